package sdktest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// Host is an sdk.Host in memory. Its methods may be called from several
// goroutines.
type Host struct {
	mu    sync.Mutex // guards what follows
	creds map[string]sdk.Credential
	busy  map[string]chan struct{} // closed when the refresh of a credential ends
	cache map[string][]byte
	lines []string
	slots map[string]int // held
	picks int
}

var _ sdk.Host = (*Host)(nil)

// NewHost returns an empty Host.
func NewHost() *Host {
	return &Host{creds: map[string]sdk.Credential{}, busy: map[string]chan struct{}{}, cache: map[string][]byte{}, slots: map[string]int{}}
}

// Lines returns what was logged, a string a line.
func (h *Host) Lines() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.lines...)
}

// Credential implements sdk.Host.
func (h *Host) Credential(_ context.Context, name string, atLeast int64) (sdk.Credential, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.creds[name]
	if !ok || c.Version < atLeast {
		return sdk.Credential{}, sdk.ErrNoCredential
	}
	return c, nil
}

// BeginRefresh implements sdk.Host.
func (h *Host) BeginRefresh(ctx context.Context, name string, version int64) (sdk.Credential, bool, error) {
	for {
		h.mu.Lock()
		c, busy := h.creds[name], h.busy[name]
		if c.Version != version {
			h.mu.Unlock()
			return c, false, nil
		}
		if busy == nil {
			h.busy[name] = make(chan struct{})
			h.mu.Unlock()
			return c, true, nil
		}
		h.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return sdk.Credential{}, false, context.Cause(ctx)
		}
	}
}

// CommitCredential implements sdk.Host.
func (h *Host) CommitCredential(_ context.Context, name string, version int64, token sdk.Secret, expires time.Time) (sdk.Credential, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if have := h.creds[name].Version; have != version {
		return sdk.Credential{}, &sdk.Error{Class: sdk.ClassSystem, Code: "stale_credential", Message: fmt.Sprintf("credential %s is at version %d, not %d", name, have, version)}
	}
	h.creds[name] = sdk.Credential{Version: version + 1, Token: token, Expires: expires}
	if busy := h.busy[name]; busy != nil {
		close(busy)
		delete(h.busy, name)
	}
	return h.creds[name], nil
}

// CacheGet implements sdk.Host. Values stay for ever.
func (h *Host) CacheGet(_ context.Context, scope sdk.CacheScope, key string) ([]byte, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	value, ok := h.cache[string(scope)+"\x00"+key]
	return value, ok, nil
}

// CachePut implements sdk.Host.
func (h *Host) CachePut(_ context.Context, scope sdk.CacheScope, key string, value []byte, _ time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cache[string(scope)+"\x00"+key] = append([]byte{}, value...)
	return nil
}

// Limit implements sdk.Host. There is always a call left.
func (h *Host) Limit(ctx context.Context, b sdk.Bucket) error {
	if b.Key == "" || b.Max < 1 || b.Window <= 0 {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "bad_bucket", Message: fmt.Sprintf("a bucket needs a key, a number and a time: %+v", b)}
	}
	return ctx.Err()
}

// Slot implements sdk.Host. It does not wait: a slot that is not there is refused.
func (h *Host) Slot(_ context.Context, scope sdk.CacheScope, key string, limit int) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := string(scope) + "\x00" + key
	if h.slots[name] >= limit {
		e := sdk.RateLimitedFor(time.Second)
		e.Code = "slots_taken"
		return nil, e
	}
	h.slots[name]++
	var once sync.Once
	return func() {
		once.Do(func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.slots[name]--
		})
	}, nil
}

// Pick implements sdk.Host. No key is held back: each comes in its turn.
func (h *Host) Pick(_ context.Context, keys []string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(keys) == 0 {
		return "", &sdk.Error{Class: sdk.ClassSystem, Code: "bad_pick", Message: "there is no key to pick from"}
	}
	h.picks++
	return keys[(h.picks-1)%len(keys)], nil
}

// Progress implements sdk.Host.
func (h *Host) Progress(ctx context.Context, _ string, _ time.Time) error { return ctx.Err() }

// Log implements sdk.Host.
func (h *Host) Log(level sdk.LogLevel, message string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := fmt.Appendf(nil, "%s %s", level, message)
	for len(args) > 1 {
		line = fmt.Appendf(line, " %v=%v", args[0], args[1])
		args = args[2:]
	}
	h.lines = append(h.lines, string(line))
}
