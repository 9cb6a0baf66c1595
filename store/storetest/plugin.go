package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K18, F30
func testPluginState(t *testing.T, setup func(*testing.T) *world) {
	t.Run("OneOfManyRefreshesWins", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		_, err := w.s.Credential(w.ctx(), i.ID, "oauth")
		require.ErrorIs(t, err, store.ErrNotFound)
		expires := w.clock.Now().Add(time.Hour)
		c, err := w.s.CommitCredential(w.ctx(), i.ID, "oauth", 0, []byte("sealed 1"), expires)
		require.NoError(t, err)
		require.Equal(t, int64(1), c.Version)
		_, err = w.s.CommitCredential(w.ctx(), i.ID, "oauth", 0, []byte("sealed x"), expires)
		require.ErrorIs(t, err, store.ErrConflict)
		var (
			wg   sync.WaitGroup
			errs = make([]error, 10)
		)
		for n := range errs {
			wg.Go(func() {
				_, errs[n] = w.s.CommitCredential(w.ctx(), i.ID, "oauth", 1, fmt.Appendf(nil, "sealed by %d", n), time.Time{})
			})
		}
		wg.Wait()
		won := -1
		for n, err := range errs {
			if err == nil {
				require.Equal(t, -1, won)
				won = n
				continue
			}
			require.ErrorIs(t, err, store.ErrConflict)
		}
		c, err = w.s.Credential(w.ctx(), i.ID, "oauth")
		require.NoError(t, err)
		require.Equal(t, store.Credential{
			IntegrationID: i.ID, Name: "oauth", Version: 2, Sealed: fmt.Appendf(nil, "sealed by %d", won), UpdatedAt: w.clock.Now(),
		}, c)
	})

	t.Run("TheCacheIsBoundedAndExpires", func(t *testing.T) {
		w := setup(t)
		put := func(scope, key, value string, ttl time.Duration) {
			require.NoError(t, w.s.CachePut(w.ctx(), store.CacheEntry{Scope: scope, Key: key, Value: []byte(value), ExpiresAt: w.clock.Now().Add(ttl)}))
		}
		get := func(scope, key string) string {
			v, ok, err := w.s.CacheGet(w.ctx(), scope, key)
			require.NoError(t, err)
			if !ok {
				return "-"
			}
			return string(v)
		}
		put("a", "k", "1", time.Minute)
		put("a", "k", "2", time.Minute)
		put("b", "k", "3", time.Hour)
		require.Equal(t, "2", get("a", "k"))
		require.Equal(t, "3", get("b", "k"))
		require.Equal(t, "-", get("a", "other"))
		w.clock.add(time.Minute)
		require.Equal(t, "-", get("a", "k"))
		if testing.Short() {
			return // filling the cache takes minutes under the race detector
		}
		for n := range store.MaxCacheEntries + 5 {
			put("a", fmt.Sprint(n), "x", time.Hour+time.Duration(n)*time.Second)
		}
		require.Equal(t, "-", get("a", "4")) // those that expire first gave way
		require.Equal(t, "x", get("a", "5"))
		require.Equal(t, "3", get("b", "k"))
		err := w.s.CachePut(w.ctx(), store.CacheEntry{Scope: "a", Key: "k", Value: make([]byte, store.MaxCacheValueBytes+1), ExpiresAt: w.clock.Now()})
		require.ErrorIs(t, err, store.ErrLimit)
	})

	t.Run("AttributesAreSavedOncePerVersion", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		isDone := func(version string) bool {
			ok, err := w.s.AttributesDone(w.ctx(), i.TenantID, plug, version)
			require.NoError(t, err)
			return ok
		}
		require.False(t, isDone("1"))
		require.NoError(t, w.s.SaveAttributes(w.ctx(), i.TenantID, plug, "1", []store.Attribute{{Name: "url", Label: "URL", Type: "string"}}))
		require.True(t, isDone("1"))
		require.False(t, isDone("2"))
		require.NoError(t, w.s.SaveAttributes(w.ctx(), i.TenantID, plug, "2", []store.Attribute{{Name: "url", Label: "Address", Type: "string"}}))
		all, err := w.s.Attributes(w.ctx(), i.TenantID)
		require.NoError(t, err)
		require.Equal(t, map[string][]store.Attribute{plug: {{Name: "url", Label: "Address", Type: "string"}}}, all)
	})

	t.Run("StatusCounts", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		seg.Records = []store.Record{record("1", "x"), record("2", "x")}
		j.apply(seg)
		gone := w.create("gone")
		w.change(store.Change{Op: store.ChangeRemove, UID: gone.UID})
		w.create("due")
		st, err := w.s.Status(w.ctx())
		require.NoError(t, err)
		require.Equal(t, int64(1), st.Tenants)
		require.Equal(t, map[store.IntegrationState]int64{store.IntegrationActive: 2}, st.Integrations)
		require.Equal(t, int64(1), st.Removed)
		require.Equal(t, map[store.RunState]int64{store.RunProcessing: 1}, st.Runs)
		require.Equal(t, int64(1), st.LanesDue)
		require.Equal(t, int64(1), st.LanesHeld)
		require.Equal(t, int64(2), st.Records)
	})
}
