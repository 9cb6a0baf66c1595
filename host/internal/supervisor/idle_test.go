//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// idleSoon is a time after which a plugin rests that is short, and still longer than
// a start takes.
const idleSoon = 200 * time.Millisecond

// resting waits until the plugin rests without a process.
func (b *bundle) resting(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		all := b.Status()
		at := slices.IndexFunc(all, func(st Status) bool { return st.Name == name })
		return at >= 0 && all[at].State == StateIdle && all[at].PID == 0 && // and no process of it ends any more
			!slices.ContainsFunc(all, func(st Status) bool { return st.Name == name && st.State == StateDraining })
	}, time.Minute, 5*time.Millisecond)
}

// A plugin that nothing calls is stopped, and the next call starts it. Nothing of that
// counts as a crash or as news, and it is there all the time.
//
// rows: C60, H34
func TestIdlePluginRestsUntilItsNextCall(t *testing.T) {
	t.Parallel()
	told := &moves{}
	var changes atomic.Int64
	s := setup(t, func(o *Options) {
		o.OnMove, o.Idle = told.add, idleSoon
		o.OnChange = func() { changes.Add(1) }
	})
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	first := s.status("zoo-ok")
	require.Equal(t, StateServing, first.State)
	before := changes.Load()
	s.resting(t, "zoo-ok")
	require.True(t, gone(first.PID))
	require.Equal(t, []string{"zoo-ok"}, s.Loaded(), "work for it is taken")
	m, ok := s.Manifest("zoo-ok")
	require.True(t, ok)
	require.Equal(t, "1.0.0", m.Version)
	require.Empty(t, s.PIDs())
	at, reasons := told.of(store.MachineProcess, b.Digest)
	require.Equal(t, []store.PluginState{store.ProcessIdle, store.ProcessStopping, store.ProcessExited}, at[len(at)-3:])
	require.Empty(t, reasons)

	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	s.resting(t, "zoo-ok")
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	st := s.status("zoo-ok")
	require.Zero(t, st.Restarts)
	require.Empty(t, st.LastError)
	require.Equal(t, before, changes.Load(), "nobody reads anything anew for it")
	served, _ := told.of(store.MachinePlugin, b.Digest)
	require.Equal(t, []store.PluginState{store.PluginActive}, served, "it has served all the time")
	told.legal(t)
}

// What is in flight is no rest, however long it takes: the time begins with its end.
func TestPluginThatIsCalledDoesNotRest(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.Idle = idleSoon })
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	h, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	pid := s.status("zoo-ok").PID
	for range 3 { // each longer than the time
		_, err := h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "slow"}) //nolint:forcetypeassert // Acquire promises it
		require.NoError(t, err)
		require.Equal(t, pid, s.status("zoo-ok").PID)
	}
	select {
	case <-h.Draining():
		require.Fail(t, "it is to end while it is lent")
	default:
	}
	released := time.Now()
	h.Release()
	s.resting(t, "zoo-ok")
	require.GreaterOrEqual(t, time.Since(released), idleSoon)

	alone, err := s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err, "a call alone needs nobody who serves")
	require.Equal(t, StateIdle, s.status("zoo-ok").State)
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	select {
	case <-alone.Draining():
		require.Fail(t, "the call alone is to end")
	case <-time.After(3 * idleSoon):
	}
	require.Equal(t, StateServing, s.status("zoo-ok").State, "it stays while a call runs beside it")
	alone.Release()
	s.resting(t, "zoo-ok")
}

// However many calls come at once, one process is started; of many plugins that are
// called at once, a few start at a time.
//
// rows: H14
func TestWakingIsNoHerd(t *testing.T) {
	t.Parallel()
	var started, now, most atomic.Int64
	s := setup(t, func(o *Options) {
		o.Idle = time.Second
		o.OnMove = func(m store.PluginMove) {
			if m.Machine != store.MachineProcess {
				return
			}
			switch m.To {
			case store.ProcessStarting:
				started.Add(1)
				n := now.Add(1)
				for have := most.Load(); n > have && !most.CompareAndSwap(have, n); have = most.Load() {
				}
			case store.ProcessDescribe:
				now.Add(-1)
			default:
			}
		}
	})
	const plugins = 12
	var all []Binary
	for n := range plugins {
		all = append(all, animal(t, fmt.Sprintf("ok%d", n)))
	}
	require.NoError(t, s.Sync(t.Context(), all))
	for _, b := range all {
		s.resting(t, b.Name)
	}
	started.Store(0)
	most.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for n := range 20 * plugins {
		wg.Go(func() {
			_, err := s.invoke(ctx, all[n%plugins].Name, "echo", `"hi"`)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, plugins, started.Load(), "of 240 calls at once")
	require.LessOrEqual(t, most.Load(), int64(2*runtime.NumCPU()), "that start at a time")
}

// A call waits for a plugin that starts as long as it may itself. One that does not
// start is away like any that is down, and comes back like that.
func TestCallWaitsForARestingPluginWithinItsDeadline(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.Idle, o.StartTimeout = time.Second, 2*time.Second
		o.MinRestartDelay, o.MaxRestartDelay = 50*time.Millisecond, 50*time.Millisecond
	})
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	s.resting(t, "zoo-ok")
	require.NoError(t, os.WriteFile(b.Path+".behave", []byte("hang"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := s.invoke(ctx, "zoo-ok", "echo", "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	patient, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = s.invoke(patient, "zoo-ok", "echo", "")
	require.ErrorIs(t, err, ErrNotLoaded, "it did not start in its time, which says nothing of the call")
	require.Eventually(t, func() bool {
		return s.status("zoo-ok").State == StateBackoff || s.status("zoo-ok").State == StateStarting
	}, time.Minute, time.Millisecond)
	require.Empty(t, s.Loaded(), "no work for it is taken")
	require.NotEmpty(t, s.status("zoo-ok").LastError)
	require.NoError(t, os.Remove(b.Path+".behave"))
	require.Eventually(t, func() bool { return len(s.Loaded()) == 1 }, time.Minute, 5*time.Millisecond)
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
}

// A plugin that rests is replaced, restarted and removed like one that serves, and what
// is found unchanged does not wake it.
//
// rows: C60, F07
func TestRestingPluginChanges(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, func(o *Options) { o.OnMove, o.Idle = told.add, idleSoon })
	base := animal(t, "ok")
	one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	s.resting(t, "zoo-ok")
	starts, _ := told.of(store.MachineProcess, one.Digest)
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	again, _ := told.of(store.MachineProcess, one.Digest)
	require.Equal(t, starts, again, "nothing changed")
	require.Equal(t, StateIdle, s.status("zoo-ok").State)

	s.SetIdle(time.Hour, nil)
	require.NoError(t, s.Sync(t.Context(), []Binary{two}))
	require.Equal(t, StateServing, s.status("zoo-ok").State)
	require.JSONEq(t, `"2.0.0"`, s.call(t, "zoo-ok", "version"))
	s.SetIdle(idleSoon, nil)
	s.resting(t, "zoo-ok")

	bad := variant(t, base, "3.0.0")
	bad.Version = "4.0.0"
	require.Error(t, s.Sync(t.Context(), []Binary{bad}))
	require.JSONEq(t, `"2.0.0"`, s.call(t, "zoo-ok", "version"), "what did not take over left the one that rests")
	require.NoError(t, s.Sync(t.Context(), []Binary{two}))
	s.resting(t, "zoo-ok")

	s.SetIdle(0, nil)
	require.NoError(t, s.Restart(t.Context(), "zoo-ok"))
	pid := s.status("zoo-ok").PID
	require.NotZero(t, pid)
	require.JSONEq(t, `"2.0.0"`, s.call(t, "zoo-ok", "version"))
	signal(t, pid, syscall.SIGKILL)
	require.Eventually(t, func() bool {
		st := s.status("zoo-ok")
		return st.State == StateServing && st.PID != pid
	}, time.Minute, 5*time.Millisecond)
	require.Equal(t, 1, s.status("zoo-ok").Restarts, "a crash counts, a rest did not")

	s.SetIdle(idleSoon, nil)
	s.resting(t, "zoo-ok")
	require.NoError(t, s.Sync(t.Context(), nil))
	require.Empty(t, s.Loaded())
	_, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
	require.ErrorIs(t, err, ErrNotLoaded)
	served, _ := told.of(store.MachinePlugin, "")
	require.Equal(t, store.PluginGone, served[len(served)-1])
	told.legal(t)
}

// What is said of one plugin counts instead of what is said of all, also when it
// changes.
//
// rows: C60
func TestOnePluginRestsInItsOwnTime(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.Idle, o.IdleOf = idleSoon, map[string]time.Duration{"zoo-ok": 0} })
	other := animal(t, "other")
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), other}))
	s.resting(t, other.Name)
	pid := s.status("zoo-ok").PID
	require.NotZero(t, pid, "it runs on")
	require.Zero(t, s.IdleAfter("zoo-ok"))
	require.Equal(t, idleSoon, s.IdleAfter(other.Name))

	s.SetIdle(0, map[string]time.Duration{"zoo-ok": idleSoon})
	s.resting(t, "zoo-ok")
	require.JSONEq(t, `"hi"`, s.call(t, other.Name, "echo"))
	require.Zero(t, s.IdleAfter(other.Name))
	require.Equal(t, idleSoon, s.IdleAfter("zoo-ok"))
}

// What a plugin that rests may reach by now wakes nobody: the process of its next call
// may reach it.
//
// rows: P04, C60
func TestRestingPluginReachesMoreWithItsNextCall(t *testing.T) {
	t.Parallel()
	var c cages
	s := setup(t, func(o *Options) { o.Confine, o.Idle = c.confine, idleSoon })
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	s.resting(t, b.Name)
	b.Access = Access{Reads: "/srv/a"}
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	require.Equal(t, StateIdle, s.status(b.Name).State)
	require.JSONEq(t, `"hi"`, s.call(t, b.Name, "echo"))
	s.resting(t, b.Name)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Len(t, c.launched, 2)
	require.Equal(t, Access{}, c.launched[0].Binary.Access)
	require.Equal(t, b.Access, c.launched[1].Binary.Access)
}
