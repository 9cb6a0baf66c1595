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
	// CachePut keeps a value of at most 64 KiB for ttl, or a day if ttl is zero.
	CachePut(ctx context.Context, scope CacheScope, key string, value []byte, ttl time.Duration) error
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

func (noHost) Progress(context.Context, string, time.Time) error { return ErrNoHost }

func (noHost) Log(LogLevel, string, ...any) {}
