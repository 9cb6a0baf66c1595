//go:build linux

package supervisor

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// moves are those that a supervisor told of.
type moves struct {
	mu  sync.Mutex // guards all
	all []store.PluginMove
}

func (m *moves) add(move store.PluginMove) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, move)
}

// of returns where a machine of a program went, with the reasons.
func (m *moves) of(machine store.PluginMachine, digest string) (states []store.PluginState, reasons []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, move := range m.all {
		if move.Machine != machine || digest != "" && move.Digest != digest {
			continue
		}
		states = append(states, move.To)
		if move.Reason != "" {
			reasons = append(reasons, move.Reason)
		}
	}
	return states, reasons
}

// move returns the first of a machine to a state.
func (m *moves) move(machine store.PluginMachine, to store.PluginState) store.PluginMove {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, move := range m.all {
		if move.Machine == machine && move.To == to {
			return move
		}
	}
	return store.PluginMove{}
}

// legal wants every move to be one of the table, and each to begin where the one
// before ended: for the processes of one program, which follow one another here, for
// a plugin over its programs.
func (m *moves) legal(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	at := store.PluginState("")
	for _, move := range m.all {
		if move.Machine == store.MachineArtifact {
			continue
		}
		require.True(t, move.Machine.MayMove(move.From, move.To), "%+v", move)
		require.False(t, move.At.IsZero())
		if move.Machine == store.MachinePlugin {
			require.Equal(t, at, move.From, "%+v", move)
			at = move.To
		}
	}
}

// rows: F07, H34
//
// Every transition of the three machines is told of, with its reason.
func TestEveryTransitionIsTold(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, func(o *Options) { o.OnMove = told.add; o.MinRestartDelay = time.Millisecond })
	base := animal(t, "ok")
	one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
	bad := variant(t, base, "3.0.0")
	bad.Version = "4.0.0"
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	_, err := s.invoke(t.Context(), "zoo-ok", "die", "")
	require.Error(t, err)
	require.Eventually(t, func() bool { return s.status("zoo-ok").Restarts == 1 && len(s.Loaded()) == 1 }, time.Minute, time.Millisecond)
	require.Error(t, s.Sync(t.Context(), []Binary{bad}))
	require.NoError(t, s.Sync(t.Context(), []Binary{two}))
	require.Eventually(t, func() bool {
		states, _ := told.of(store.MachinePlugin, "")
		return slices.Contains(states, store.PluginDraining) && states[len(states)-1] == store.PluginActive
	}, time.Minute, time.Millisecond, "it is drained")
	require.NoError(t, s.Sync(t.Context(), nil))
	require.Eventually(t, func() bool { return len(s.Status()) == 0 }, time.Minute, time.Millisecond)

	started := []store.PluginState{store.ProcessStarting, store.ProcessHandshake, store.ProcessDescribe, store.ProcessServing}
	ended := []store.PluginState{store.ProcessDraining, store.ProcessStopping, store.ProcessExited}
	states, reasons := told.of(store.MachineProcess, one.Digest)
	require.Equal(t, slices.Concat(started, []store.PluginState{store.ProcessExited, store.ProcessBackoff}, started, ended), states)
	require.Equal(t, []string{"process_ended"}, reasons)
	states, reasons = told.of(store.MachineProcess, bad.Digest)
	require.Equal(t, []store.PluginState{store.ProcessStarting, store.ProcessHandshake, store.ProcessExited}, states)
	require.Equal(t, []string{"not_as_approved"}, reasons)
	states, _ = told.of(store.MachineProcess, two.Digest)
	started = slices.Insert(started, 3, store.ProcessInstances) // it was tried first
	require.Equal(t, slices.Concat(started, ended), states)

	states, reasons = told.of(store.MachinePlugin, "")
	require.Equal(t, []store.PluginState{
		store.PluginActive,
		store.PluginUpgrading, store.PluginActive, // refused
		store.PluginUpgrading, store.PluginDraining, store.PluginActive,
		store.PluginGone,
	}, states)
	require.Equal(t, []string{"not_as_approved"}, reasons)
	states, _ = told.of(store.MachineArtifact, bad.Digest)
	require.Equal(t, []store.PluginState{store.ArtifactRejected}, states)
	states, _ = told.of(store.MachineArtifact, two.Digest)
	require.Equal(t, []store.PluginState{store.ArtifactProbed, store.ArtifactReady}, states)
	told.legal(t)
}

// rows: F02, F03, H03
//
// A process that misses a health check is degraded; what it is killed for is told.
func TestAFrozenProcessIsDegraded(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, func(o *Options) { o.OnMove = told.add; o.HealthEvery = 100 * time.Millisecond })
	b := variant(t, animal(t, "ok"), "1.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{b}))
	_, _ = s.invoke(t.Context(), "zoo-ok", "freeze", "")
	require.Eventually(t, func() bool {
		states, reasons := told.of(store.MachineProcess, b.Digest)
		return slices.Contains(states, store.ProcessBackoff) && slices.Contains(reasons, "unhealthy")
	}, 30*time.Second, 10*time.Millisecond)
	states, reasons := told.of(store.MachineProcess, b.Digest)
	require.Equal(t, []store.PluginState{
		store.ProcessStarting, store.ProcessHandshake, store.ProcessDescribe, store.ProcessServing,
		store.ProcessDegraded, store.ProcessExited, store.ProcessBackoff,
	}, states[:7])
	require.Equal(t, []string{"unhealthy", "process_ended"}, reasons[:2])
	told.legal(t)
}
