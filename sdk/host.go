package sdk

import (
	"context"
	"errors"
	"time"
)

// Host is what a call may ask of the host. HostFrom returns it; it works until
// the call ends, and reaches only what belongs to the call's integration.
type Host interface {
	// Credential returns the named rotating token at version atLeast or later. A
	// credential that was never committed is ErrNoCredential.
	Credential(ctx context.Context, name string, atLeast int64) (Credential, error)
	// BeginRefresh asks for the right to refresh the credential that is at
	// version. One caller gets it (true); for the others the host waits until
	// the new one is committed and returns that.
	BeginRefresh(ctx context.Context, name string, version int64) (Credential, bool, error)
	// CommitCredential stores a new token. When it returns the token is durable
	// and every stream sees it.
	CommitCredential(ctx context.Context, name string, version int64, token Secret, expires time.Time) (Credential, error)
	// CacheGet returns a cached value; false if there is none or it is too old.
	CacheGet(ctx context.Context, scope CacheScope, key string) ([]byte, bool, error)
	// CachePut keeps a value of at most 64 KiB for ttl, or a day if ttl is zero. An
	// empty value is one too: it remembers that there is none, and CacheGet returns
	// it with true.
	CachePut(ctx context.Context, scope CacheScope, key string, value []byte, ttl time.Duration) error
	// Limit waits until the bucket has a call left, and takes it. If that is not
	// soon it returns a rate-limited *Error with the time: the stream goes on then.
	Limit(ctx context.Context, b Bucket) error
	// Slot waits until fewer than limit of the scope's calls hold a slot of the key,
	// and takes one until release, or the end of the call if that is sooner. If that
	// is not soon it returns a rate-limited *Error.
	Slot(ctx context.Context, scope CacheScope, key string, limit int) (release func(), err error)
	// Pick returns one of the limit keys, such as those of a pool of tokens, that no
	// rate limit holds back: each in its turn. If all are held back it returns a
	// rate-limited *Error with the earliest reset. An error or an outcome with
	// RateLimit.Key holds a key back.
	Pick(ctx context.Context, keys []string) (string, error)
	// Progress says that the call is alive though it sends nothing, until then
	// at most (10 minutes at most).
	Progress(ctx context.Context, what string, until time.Time) error
	// Log writes a line with tenant, integration, run and stream as fields.
	Log(level LogLevel, message string, args ...any)
}

// Credential is a rotating token.
type Credential struct {
	Version int64
	Token   Secret
	Expires time.Time // zero if unknown
}

// CacheScope says who shares a cache.
type CacheScope string

// The cache scopes.
const (
	CacheIntegration CacheScope = "integration" // this integration alone
	CacheTenant      CacheScope = "tenant"      // the tenant's integrations of this plugin
	CachePlugin      CacheScope = "plugin"      // every integration of this plugin: nothing of a tenant may go in
)

// Bucket is a number of calls that a remote system takes in a time: never more
// than Max in any Window, over all streams and restarts.
type Bucket struct {
	Scope  CacheScope // who shares it
	Key    string
	Max    int
	Window time.Duration
}

// LogLevel is how much a line matters.
type LogLevel string

// The log levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// Errors of Host.
var (
	ErrNoCredential = errors.New("no such credential")
	ErrNoHost       = errors.New("this call has no host")
)

type hostKey struct{}

// WithHost returns a context whose HostFrom is h. The host and tests use it.
func WithHost(ctx context.Context, h Host) context.Context {
	return context.WithValue(ctx, hostKey{}, h)
}

// HostFrom returns the host of this call; one that answers ErrNoHost, with an
// empty cache, outside of a call.
func HostFrom(ctx context.Context) Host {
	if h, ok := ctx.Value(hostKey{}).(Host); ok {
		return h
	}
	return noHost{}
}

type noHost struct{}

func (noHost) Credential(context.Context, string, int64) (Credential, error) {
	return Credential{}, ErrNoHost
}

func (noHost) BeginRefresh(context.Context, string, int64) (Credential, bool, error) {
	return Credential{}, false, ErrNoHost
}

func (noHost) CommitCredential(context.Context, string, int64, Secret, time.Time) (Credential, error) {
	return Credential{}, ErrNoHost
}

func (noHost) CacheGet(context.Context, CacheScope, string) ([]byte, bool, error) {
	return nil, false, nil
}

func (noHost) CachePut(context.Context, CacheScope, string, []byte, time.Duration) error {
	return ErrNoHost
}

func (noHost) Limit(context.Context, Bucket) error { return ErrNoHost }

func (noHost) Slot(context.Context, CacheScope, string, int) (func(), error) { return nil, ErrNoHost }

func (noHost) Pick(context.Context, []string) (string, error) { return "", ErrNoHost }

func (noHost) Progress(context.Context, string, time.Time) error { return ErrNoHost }

func (noHost) Log(LogLevel, string, ...any) {}

// MessageOvertime is what a plugin's process logs of a call that goes on 2 seconds after
// it was cancelled, or after its deadline: nobody at the other side can see that.
const MessageOvertime = "a call goes on though it was cancelled"
