//go:build linux

package supervisor

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// rows: K11, F02, F23
//
// A process that serves one call alone takes nobody with it: the one that serves
// the rest goes on, and its end says what it wrote last. It is gone after the call.
func TestAcquireAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	shared := s.status("zoo-ok").PID

	h, err := s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	pids := s.PIDs()
	require.Len(t, pids, 2, "it counts as a plugin's process")
	_, err = h.Instance.(sdk.Invoker).Invoke(t.Context(), sdk.HookCall{Name: "die"}) //nolint:forcetypeassert // AcquireAlone promises it
	require.ErrorIs(t, err, plugin.ErrLost)
	require.ErrorContains(t, h.Ending(), "exited with code 7")
	require.ErrorContains(t, h.Ending(), "it wrote: opened")
	h.Release()
	h.Release()
	require.Eventually(t, func() bool { return len(s.PIDs()) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, []int{shared}, s.PIDs())
	require.Zero(t, s.status("zoo-ok").Restarts)
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))

	// One that does not die ends with its call, and one that the host stops with it.
	h, err = s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	alone := other(t, s.PIDs(), shared)
	h.Release()
	require.Eventually(t, func() bool { return gone(alone) }, time.Minute, time.Millisecond)
	h, err = s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	go func() { // its call yields
		<-h.Draining()
		h.Release()
	}()
	alone = other(t, s.PIDs(), shared)
	s.stop()
	require.True(t, gone(alone))
	_, err = s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.ErrorIs(t, err, ErrNotRunning)
}

func other(t *testing.T, pids []int, not int) int {
	t.Helper()
	require.Len(t, pids, 2)
	if pids[0] == not {
		return pids[1]
	}
	return pids[0]
}

// rows: K11
func TestAcquireAloneFromWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.ErrorIs(t, err, ErrNotLoaded)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	bad := integration(1)
	bad.Name = "bad"
	_, err = s.AcquireAlone(t.Context(), "zoo-ok", bad)
	require.ErrorContains(t, err, "the settings are bad")
	require.Eventually(t, func() bool { return len(s.PIDs()) == 1 }, time.Minute, time.Millisecond)
}

// rows: K11, C60
//
// A plugin that is replaced takes its suspects along, from the next checkpoint.
func TestAReplacedPluginDrainsWhatRunsAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	old := animal(t, "ok")
	require.NoError(t, s.Sync(t.Context(), []Binary{old}))
	h, err := s.AcquireAlone(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	require.NoError(t, s.Sync(t.Context(), []Binary{variant(t, old, "1.1.0")}))
	<-h.Draining()
	h.Release()
}

// rows: K11, F02
//
// A process that dies is none that the host drains: its calls were interrupted.
func TestACrashIsNoDrain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	h, err := s.Acquire(t.Context(), "zoo-ok", integration(1))
	require.NoError(t, err)
	signal(t, s.status("zoo-ok").PID, syscall.SIGKILL)
	require.ErrorContains(t, h.Ending(), "signal killed")
	h.Release()
	<-h.process.gone
	select {
	case <-h.Draining():
		require.Fail(t, "a crash looks like a drain")
	default:
	}
}
