//go:build linux

package supervisor

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: C60, H22, F07
func TestSync(t *testing.T) {
	t.Parallel()
	t.Run("KeepsOldWhenNewFails", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		old := animal(t, "ok")
		require.NoError(t, s.Sync(t.Context(), []Binary{old}))
		pid := s.status("zoo-ok").PID
		bad := variant(t, old, "2.0.0")
		bad.Version = "3.0.0"
		err := s.Sync(t.Context(), []Binary{bad})
		require.ErrorContains(t, err, `start plugin zoo-ok: it says that it is version "2.0.0", approved is "3.0.0"`)
		st := s.status("zoo-ok")
		require.Equal(t, StateServing, st.State)
		require.Equal(t, pid, st.PID)
		require.Contains(t, st.LastError, "approved is")
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	})
	t.Run("ReplacesUnderCallersWithoutAFailedCall", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		b := animal(t, "ok")
		require.NoError(t, s.Sync(t.Context(), []Binary{b}))
		ctx, cancel := context.WithCancel(t.Context())
		var calls, failed atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := s.invoke(context.WithoutCancel(ctx), "zoo-ok", "slow", ""); err != nil {
						failed.Add(1)
						t.Log(err)
					}
					calls.Add(1)
				}
			})
		}
		for _, version := range []string{"2.0.0", "3.0.0", "4.0.0"} {
			require.NoError(t, s.Sync(t.Context(), []Binary{variant(t, b, version)}))
			require.JSONEq(t, `"`+version+`"`, s.call(t, "zoo-ok", "version"))
		}
		cancel()
		wg.Wait()
		require.Positive(t, calls.Load())
		require.Zero(t, failed.Load(), "of %d calls", calls.Load())
	})
	t.Run("PausesNoClaim", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		b := animal(t, "ok")
		require.NoError(t, s.Sync(t.Context(), []Binary{b}))
		var over, swapping atomic.Bool
		longest := make(chan [2]time.Duration, 1)
		var failed, calm atomic.Int64
		go func() {
			var most [2]time.Duration
			for !over.Load() {
				began, when := time.Now(), 0
				if swapping.Load() {
					when = 1
				}
				h, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
				most[when] = max(most[when], time.Since(began))
				calm.Add(1)
				if err != nil || len(s.Loaded()) != 1 {
					failed.Add(1)
				}
				if err == nil {
					h.Release()
				}
			}
			longest <- most
		}()
		require.Eventually(t, func() bool { return calm.Load() > 10_000 }, 30*time.Second, time.Millisecond)
		swapping.Store(true)
		for n := range 5 {
			require.NoError(t, s.Sync(t.Context(), []Binary{variant(t, b, "2.0."+strconv.Itoa(n))}))
		}
		over.Store(true)
		most := <-longest
		t.Logf("the longest that a claim waited for its instance: %s over 5 swaps (goal 50ms), %s without on this machine now",
			most[1].Round(time.Microsecond), most[0].Round(time.Microsecond))
		require.Zero(t, failed.Load(), "at no moment could a claim find no process")
	})
	t.Run("LeavesTheUnchangedAndEndsTheUnwanted", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		a, b := animal(t, "ok"), animal(t, "noise")
		require.NoError(t, s.Sync(t.Context(), []Binary{a, b}))
		pid, other := s.status("zoo-ok").PID, s.status("zoo-noise").PID
		h, err := s.Acquire(t.Context(), "zoo-noise", integration(1))
		require.NoError(t, err)
		require.NoError(t, s.Sync(t.Context(), []Binary{a}))
		require.Equal(t, pid, s.status("zoo-ok").PID)
		<-h.Draining()
		require.Equal(t, StateDraining, s.status("zoo-noise").State)
		_, err = h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "echo", Payload: []byte(`1`)}) //nolint:forcetypeassert // Acquire promises it
		require.NoError(t, err, "what is in flight may end")
		h.Release()
		require.Eventually(t, func() bool { return gone(other) && len(s.Status()) == 1 }, time.Minute, 5*time.Millisecond)
	})
	// rows: H23
	t.Run("OneSlowStartHoldsUpNobody", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		hang, ok := animal(t, "hang"), animal(t, "ok")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Sync(ctx, []Binary{hang, ok}) }()
		require.Eventually(t, func() bool { return len(s.Loaded()) == 1 }, time.Minute, 5*time.Millisecond)
		require.Equal(t, []string{"zoo-ok"}, s.Loaded())
		require.Equal(t, StateStarting, s.status("zoo-hang").State)
		require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
		require.Empty(t, ended, "the slow one is still starting")
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	t.Run("RefusesTwoOfOneName", func(t *testing.T) { // rows: O02
		t.Parallel()
		s := setup(t)
		a := animal(t, "ok")
		second := a
		second.Path, second.Digest = "/other/path", strings.Repeat("0", 64)
		err := s.Sync(t.Context(), []Binary{a, second})
		require.ErrorContains(t, err, a.Path)
		require.ErrorContains(t, err, "/other/path")
		require.Equal(t, []string{"zoo-ok"}, s.Loaded())
	})
}
