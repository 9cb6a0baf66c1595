package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Bounds of what a plugin may keep in the host's cache.
const (
	maxCacheKey   = 512
	maxCacheValue = 64 << 10
	cacheTTL      = 24 * time.Hour
	maxProgress   = 10 * time.Minute
)

// services is what one call may ask of the host (K19): the lane says whose it
// is, whatever the plugin says, and nothing is answered after the call.
type services struct {
	*lane
	run, stream int64
	dog         *watchdog // nil for a call without one

	mu    sync.Mutex // guards what follows, and the closing of done
	ended bool
	taken int
	owned map[int]func() // what is given back at the end
	done  chan struct{}  // closed with ended
}

var _ sdk.Host = (*services)(nil)

func (w *lane) services(run, stream int64, dog *watchdog) *services {
	return &services{lane: w, run: run, stream: stream, dog: dog, done: make(chan struct{}), owned: map[int]func(){}}
}

// end refuses everything from now on, and wakes a refresh that the call began
// and did not finish.
func (s *services) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.done)
		for _, give := range s.owned {
			give()
		}
		clear(s.owned)
	}
}

func (s *services) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "call_ended", Message: "the call that asks has ended"}
	}
	return nil
}

// CacheGet implements sdk.Host.
func (s *services) CacheGet(ctx context.Context, scope sdk.CacheScope, key string) ([]byte, bool, error) {
	name, err := s.cacheScope(scope, key)
	if err != nil {
		return nil, false, err
	}
	return s.r.db.CacheGet(ctx, name, key)
}

// CachePut implements sdk.Host.
func (s *services) CachePut(ctx context.Context, scope sdk.CacheScope, key string, value []byte, ttl time.Duration) error {
	name, err := s.cacheScope(scope, key)
	if err != nil {
		return err
	}
	if len(value) > maxCacheValue {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "cache_value_too_large", Message: fmt.Sprintf("cache value of %s has %d bytes, %d are allowed", key, len(value), maxCacheValue)}
	}
	expires := s.r.opts.Now().Add(cmp.Or(ttl, cacheTTL))
	return s.r.db.CachePut(ctx, store.CacheEntry{Scope: name, Key: key, Value: value, ExpiresAt: expires})
}

// cacheScope names the scope's owner: only the host does.
func (s *services) cacheScope(scope sdk.CacheScope, key string) (string, error) {
	if err := s.open(); err != nil {
		return "", err
	}
	if key == "" || len(key) > maxCacheKey {
		return "", &sdk.Error{Class: sdk.ClassSystem, Code: "bad_cache_key", Message: fmt.Sprintf("a cache key has 1 to %d bytes", maxCacheKey)}
	}
	switch scope {
	case sdk.CacheIntegration:
		return "integration:" + s.in.UID, nil
	case sdk.CacheTenant:
		return "tenant:" + s.in.Tenant + ":" + s.in.Plugin, nil
	case sdk.CachePlugin:
		return "plugin:" + s.in.Plugin, nil
	default:
		return "", &sdk.Error{Class: sdk.ClassSystem, Code: "bad_cache_scope", Message: fmt.Sprintf("no cache scope %q", scope)}
	}
}

// Progress implements sdk.Host.
func (s *services) Progress(_ context.Context, _ string, until time.Time) error {
	if err := s.open(); err != nil {
		return err
	}
	if s.dog != nil {
		s.dog.extend(min(max(until.Sub(s.r.opts.Now()), s.r.opts.Silence), maxProgress))
	}
	return nil
}

// maxLogFields is how many fields of a line of a plugin's log are kept.
const maxLogFields = 32

// Log implements sdk.Host.
func (s *services) Log(level sdk.LogLevel, message string, args ...any) {
	if s.open() != nil {
		return
	}
	fields := map[string]string{"tenant": s.in.Tenant, "integration": s.in.Name}
	if s.run != 0 {
		fields["run"], fields["stream"] = strconv.FormatInt(s.run, 10), strconv.FormatInt(s.stream, 10)
	}
	for i := 0; i+1 < min(len(args), 2*maxLogFields); i += 2 {
		key := clean(fmt.Sprint(args[i]), 64)
		if _, ours := fields[key]; !ours { // a plugin does not say whose line it is
			fields[key] = clean(fmt.Sprint(args[i+1]), 4096)
		}
	}
	s.r.opts.Say(s.in.Plugin, hclogLevel(level), clean(message, 4096), fields)
}

func hclogLevel(l sdk.LogLevel) hclog.Level {
	switch l {
	case sdk.LogDebug:
		return hclog.Debug
	case sdk.LogWarn:
		return hclog.Warn
	case sdk.LogError:
		return hclog.Error
	default:
		return hclog.Info
	}
}

// say writes a plugin's line to the runner's own log.
func (r *Runner) say(plugin string, level hclog.Level, message string, fields map[string]string) {
	args := []any{"plugin", plugin}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		args = append(args, key, fields[key])
	}
	r.opts.Log.Log(level, message, args...)
}

// Credential implements sdk.Host.
func (s *services) Credential(ctx context.Context, name string, least int64) (sdk.Credential, error) {
	if err := s.open(); err != nil {
		return sdk.Credential{}, err
	}
	c, err := s.r.db.Credential(ctx, s.in.ID, name)
	if errors.Is(err, store.ErrNotFound) || (err == nil && c.Version < least) {
		return sdk.Credential{}, sdk.ErrNoCredential
	}
	if err != nil {
		return sdk.Credential{}, err
	}
	return s.unseal(c)
}

// CommitCredential implements sdk.Host. The token is durable when it returns
// (C30), and whoever waited for the refresh gets it.
func (s *services) CommitCredential(ctx context.Context, name string, version int64, token sdk.Secret, expires time.Time) (sdk.Credential, error) {
	if err := s.open(); err != nil {
		return sdk.Credential{}, err
	}
	sealed, err := s.r.vault.Seal([]byte(token.Reveal()), s.in.Tenant, s.in.UID, "credential:"+name)
	if err != nil {
		return sdk.Credential{}, err
	}
	c, err := s.r.db.CommitCredential(context.WithoutCancel(ctx), s.in.ID, name, version, sealed, expires)
	if err != nil {
		return sdk.Credential{}, err
	}
	s.r.refreshed(refreshKey{s.in.ID, name}, s)
	return s.unseal(c)
}

func (s *services) unseal(c store.Credential) (sdk.Credential, error) {
	plain, err := s.r.vault.Open(c.Sealed, s.in.Tenant, s.in.UID, "credential:"+c.Name)
	if err != nil {
		return sdk.Credential{}, fmt.Errorf("credential %s: %w", c.Name, err)
	}
	return sdk.Credential{Version: c.Version, Token: sdk.NewSecret(string(plain)), Expires: c.ExpiresAt}, nil
}

// mergePatch returns the integration's sealed patch with the changes in it. It
// counts once it is applied: see patched.
func (w *lane) mergePatch(changes map[string][]byte) ([]byte, error) {
	w.patching.Lock()
	in := w.in
	w.patching.Unlock()
	return w.r.vault.MergePatch(in, changes)
}

// patched takes the patch over that the store has now.
func (w *lane) patched(patch []byte) {
	w.patching.Lock()
	defer w.patching.Unlock()
	w.in.Patch = patch
	w.r.mu.Lock()
	w.r.patches[w.in.ID]++
	w.r.mu.Unlock()
}
