package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K14, C49, C50, I11
func testBuckets(t *testing.T, setup func(*testing.T) *world) {
	take := func(w *world, scope, key string, every time.Duration, n int) time.Duration {
		w.Helper()
		from, err := w.s.TakeTurns(w.ctx(), scope, key, every, n)
		require.NoError(w, err)
		return from.Sub(w.clock.Now())
	}

	t.Run("TurnsFollowEachOther", func(t *testing.T) {
		w := setup(t)
		require.Zero(t, take(w, "plugin:a", "k", time.Second, 5))
		require.Equal(t, 5*time.Second, take(w, "plugin:a", "k", time.Second, 1))
		require.Zero(t, take(w, "plugin:a", "other", time.Second, 1), "of another key")
		require.Zero(t, take(w, "plugin:b", "k", time.Second, 1), "of another scope")
		w.clock.add(4 * time.Second)
		require.Equal(t, 2*time.Second, take(w, "plugin:a", "k", time.Second, 1))
		w.clock.add(time.Hour)
		require.Zero(t, take(w, "plugin:a", "k", time.Second, 1), "what was not used is gone")
		require.Equal(t, time.Second, take(w, "plugin:a", "k", time.Second, 1))
	})

	t.Run("PartsOfAMillisecondAddUp", func(t *testing.T) {
		w := setup(t)
		take(w, "plugin:a", "k", 1500*time.Microsecond, 1)
		require.Equal(t, 2*time.Millisecond, take(w, "plugin:a", "k", time.Millisecond, 1))
	})

	t.Run("AClockThatJumpedHoldsNobodyBack", func(t *testing.T) {
		w := setup(t)
		take(w, "plugin:a", "k", time.Hour, 1)
		w.clock.add(-365 * 24 * time.Hour)
		require.Zero(t, take(w, "plugin:a", "k", time.Hour, 1))
	})

	t.Run("BoundsHaveNames", func(t *testing.T) {
		w := setup(t)
		for n := range store.MaxBuckets {
			take(w, "plugin:a", fmt.Sprint(n), time.Second, 1)
		}
		_, err := w.s.TakeTurns(w.ctx(), "plugin:a", "one more", time.Second, 1)
		require.ErrorIs(t, err, store.ErrLimit)
		require.ErrorContains(t, err, "more than 1000 buckets")
		require.Equal(t, time.Second, take(w, "plugin:a", "7", time.Second, 1), "those that are there go on")
		w.clock.add(3 * time.Second)
		require.Zero(t, take(w, "plugin:a", "one more", time.Second, 1), "there is room again")
		_, err = w.s.TakeTurns(w.ctx(), "plugin:a", string(make([]byte, 600)), time.Second, 1)
		require.ErrorIs(t, err, store.ErrLimit)
		_, err = w.s.TakeTurns(w.ctx(), "plugin:a", "", time.Second, 1)
		require.ErrorIs(t, err, store.ErrInvalid)
	})

	t.Run("ThrottlesOfKeys", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		seg := j.segment(j.claim())
		until := w.clock.Now().Add(time.Minute)
		seg.Throttles = []store.Throttle{{Plugin: plug, Key: "one", Until: until}, {Plugin: plug, Key: "two", Until: w.clock.Now().Add(time.Second)}, {Plugin: "other", Key: "three", Until: until}}
		j.apply(seg)
		w.clock.add(2 * time.Second)
		got, err := w.s.Throttles(w.ctx(), plug, []string{"one", "two", "three", "four"})
		require.NoError(t, err)
		require.Equal(t, map[string]time.Time{"one": until}, got)
	})
}
