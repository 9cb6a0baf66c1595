package runner

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// tokens keeps credentials and cache entries in memory.
type tokens struct {
	database
	mu    sync.Mutex
	creds map[string]store.Credential
	cache map[string][]byte
}

func (k *tokens) Credential(_ context.Context, _ int64, name string) (store.Credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.creds[name]
	if !ok {
		return c, store.ErrNotFound
	}
	return c, nil
}

func (k *tokens) CommitCredential(_ context.Context, _ int64, name string, version int64, sealed []byte, expires time.Time) (store.Credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.creds[name].Version != version {
		return store.Credential{}, store.ErrConflict
	}
	k.creds[name] = store.Credential{Name: name, Version: version + 1, Sealed: sealed, ExpiresAt: expires}
	return k.creds[name], nil
}

func (k *tokens) CacheGet(_ context.Context, scope, key string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.cache[scope+"/"+key]
	return v, ok, nil
}

func (k *tokens) CachePut(_ context.Context, e store.CacheEntry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cache[e.Scope+"/"+e.Key] = e.Value
	return nil
}

// plainVault seals by marking.
type plainVault struct{ Vault }

func (plainVault) Seal(p []byte, _ ...string) ([]byte, error) {
	return append([]byte("sealed:"), p...), nil
}
func (plainVault) Open(s []byte, _ ...string) ([]byte, error) { return s[len("sealed:"):], nil }

func servicesFor(t *testing.T) (*tokens, func(tenant, uid string) *services) {
	t.Helper()
	db := &tokens{creds: map[string]store.Credential{}, cache: map[string][]byte{}}
	r := New(db, noPlugins{}, plainVault{}, Options{})
	return db, func(tenant, uid string) *services {
		w := &lane{r: r, log: hclog.NewNullLogger(), in: store.Integration{ID: 1, UID: uid, IntegrationSpec: store.IntegrationSpec{Tenant: tenant, Plugin: "slack"}}}
		return w.services(1, 2, nil)
	}
}

// rows: C30, K18
func TestOneCallRefreshesAndTheOthersGetWhatItCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, oneRefreshes)
}

func oneRefreshes(t *testing.T) {
	db, call := servicesFor(t)
	first := call("acme", "u")
	_, err := first.CommitCredential(t.Context(), "oauth", 0, sdk.NewSecret("old"), time.Time{})
	require.NoError(t, err)

	var granted atomic.Int32
	var wg sync.WaitGroup
	begun := time.Now()
	for range 50 {
		wg.Go(func() {
			s := call("acme", "u")
			defer s.end()
			c, mine, err := s.BeginRefresh(t.Context(), "oauth", 1)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("waited %s: to the end of the call that refreshed", took)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if mine {
				granted.Add(1)
				time.Sleep(time.Second) // the bubble's clock; all the others have asked
				c, err = s.CommitCredential(t.Context(), "oauth", c.Version, sdk.NewSecret("new"), time.Time{})
				time.Sleep(time.Minute) // the bubble's clock; it goes on with what it is called for
			}
			if err != nil || c.Token.Reveal() != "new" || c.Version != 2 {
				t.Errorf("got version %d, %v", c.Version, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int32(1), granted.Load())
	require.Equal(t, "sealed:new", string(db.creds["oauth"].Sealed), "stored sealed")
}

// rows: K18
func TestACallThatEndsWithoutACommitLosesTheRight(t *testing.T) {
	t.Parallel()
	_, call := servicesFor(t)
	dying := call("acme", "u")
	_, mine, err := dying.BeginRefresh(t.Context(), "oauth", 0)
	require.NoError(t, err)
	require.True(t, mine)

	got := make(chan bool, 1)
	next := call("acme", "u")
	go func() {
		_, mine, err := next.BeginRefresh(t.Context(), "oauth", 0)
		got <- mine && err == nil
	}()
	dying.end()
	require.True(t, <-got)
}

// rows: K19
func TestNothingIsAnsweredAfterTheCall(t *testing.T) {
	t.Parallel()
	_, call := servicesFor(t)
	s := call("acme", "u")
	s.end()
	_, _, err := s.CacheGet(t.Context(), sdk.CacheIntegration, "k")
	require.ErrorContains(t, err, "call_ended")
	_, err = s.Credential(t.Context(), "oauth", 0)
	require.ErrorContains(t, err, "call_ended")
	require.ErrorContains(t, s.Progress(t.Context(), "x", time.Now()), "call_ended")
}

// rows: K19, C48, I09, P10
func TestCacheBelongsToWhomTheHostSays(t *testing.T) {
	t.Parallel()
	_, call := servicesFor(t)
	a, b, other := call("acme", "one"), call("acme", "two"), call("umbrella", "three")
	put := func(s *services, scope sdk.CacheScope, v string) {
		require.NoError(t, s.CachePut(t.Context(), scope, "k", []byte(v), 0))
	}
	get := func(s *services, scope sdk.CacheScope) string {
		v, _, err := s.CacheGet(t.Context(), scope, "k")
		require.NoError(t, err)
		return string(v)
	}
	put(a, sdk.CacheIntegration, "mine")
	put(a, sdk.CacheTenant, "ours")
	put(a, sdk.CachePlugin, "everybody's")
	require.Equal(t, "mine", get(a, sdk.CacheIntegration))
	require.Empty(t, get(b, sdk.CacheIntegration))
	require.Equal(t, "ours", get(b, sdk.CacheTenant))
	require.Empty(t, get(other, sdk.CacheTenant))
	require.Equal(t, "everybody's", get(other, sdk.CachePlugin))
	stranger := call("acme", "four")
	stranger.in.Plugin = "git"
	require.Empty(t, get(stranger, sdk.CacheTenant), "a tenant's other plugin has its own")
	require.Empty(t, get(stranger, sdk.CachePlugin))

	require.ErrorContains(t, a.CachePut(t.Context(), sdk.CacheIntegration, "k", make([]byte, maxCacheValue+1), 0), "cache_value_too_large")
	require.ErrorContains(t, a.CachePut(t.Context(), "galaxy", "k", nil, 0), "bad_cache_scope")
	require.ErrorContains(t, a.CachePut(t.Context(), sdk.CacheIntegration, "", nil, 0), "bad_cache_key")
}
