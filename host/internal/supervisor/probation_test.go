//go:build linux

package supervisor

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// trialled is a supervisor with version 2.0.0 on probation after 1.0.0.
type trialled struct {
	*bundle
	one, two Binary
	told     *moves
}

func onTrial(t *testing.T, change ...func(*Options)) *trialled {
	t.Helper()
	told := &moves{}
	s := setup(t, append([]func(*Options){func(o *Options) {
		o.OnMove, o.MinRestartDelay = told.add, time.Millisecond
	}}, change...)...)
	base := animal(t, "ok")
	x := &trialled{bundle: s, one: variant(t, base, "1.0.0"), two: variant(t, base, "2.0.0"), told: told}
	require.NoError(t, s.Sync(t.Context(), []Binary{x.one}))
	require.NoError(t, s.Sync(t.Context(), []Binary{x.two}))
	require.JSONEq(t, `"2.0.0"`, s.call(t, "zoo-ok", "version"))
	return x
}

// die ends the process that serves and waits for the next.
func (x *trialled) die(t *testing.T) {
	t.Helper()
	pid := x.status("zoo-ok").PID
	_, err := x.invoke(t.Context(), "zoo-ok", "die", "")
	require.Error(t, err)
	require.Eventually(t, func() bool {
		st := x.status("zoo-ok")
		return st.State == StateServing && st.PID != pid
	}, time.Minute, time.Millisecond)
}

// back wants version 1.0.0 to serve and the other one to be withdrawn.
func (x *trialled) back(t *testing.T, reason string) {
	t.Helper()
	require.Eventually(t, func() bool {
		st := x.status("zoo-ok")
		return st.Digest == x.one.Digest && st.State == StateServing
	}, time.Minute, time.Millisecond)
	require.JSONEq(t, `"1.0.0"`, x.call(t, "zoo-ok", "version"))
	states, reasons := x.told.of(store.MachineArtifact, x.two.Digest)
	require.Equal(t, store.ArtifactWithdrawn, states[len(states)-1])
	require.Equal(t, []string{reason}, reasons)
	require.Eventually(t, func() bool {
		states, _ := x.told.of(store.MachinePlugin, "")
		return states[len(states)-1] == store.PluginRolledBack
	}, time.Minute, time.Millisecond)
	x.told.legal(t)
}

// rows: F04, F07, H14
//
// What fails in its probation gives way to the version before, by itself, and is not
// started again before a person wants it or another version comes.
func TestProbation(t *testing.T) {
	t.Parallel()
	t.Run("ACrashLoopBringsTheOldBack", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t)
		for range probationEnds - 1 {
			x.die(t)
			require.Equal(t, x.two.Digest, x.status("zoo-ok").Digest, "a crash is no loop")
		}
		x.die(t)
		x.back(t, "crash_loop")
		require.NoError(t, x.Sync(t.Context(), []Binary{x.two}), "it is in the plugin directory still")
		require.JSONEq(t, `"1.0.0"`, x.call(t, "zoo-ok", "version"))
		var withdrawn []Status
		for _, st := range x.Status() {
			if st.State == StateWithdrawn {
				withdrawn = append(withdrawn, st)
			}
		}
		require.Len(t, withdrawn, 1)
		require.Equal(t, x.two.Digest, withdrawn[0].Digest)
		require.Contains(t, withdrawn[0].LastError, "it ended again and again")

		require.NoError(t, x.Restart(t.Context(), "zoo-ok"))
		require.JSONEq(t, `"1.0.0"`, x.call(t, "zoo-ok", "version"))
		require.NoError(t, x.Try(t.Context(), x.two), "a person wants it")
		require.JSONEq(t, `"2.0.0"`, x.call(t, "zoo-ok", "version"))
		three := variant(t, animal(t, "ok"), "3.0.0")
		require.NoError(t, x.Sync(t.Context(), []Binary{three}))
		require.JSONEq(t, `"3.0.0"`, x.call(t, "zoo-ok", "version"))
	})
	t.Run("OneThatDoesNotAnswerBringsTheOldBack", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t, func(o *Options) { o.HealthEvery = 200 * time.Millisecond })
		require.NoError(t, syscall.Kill(x.status("zoo-ok").PID, syscall.SIGSTOP))
		x.back(t, "unhealthy")
	})
	t.Run("CallsThatFailBringTheOldBack", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t)
		h, err := x.Acquire(t.Context(), "zoo-ok", integration(1))
		require.NoError(t, err)
		defer h.Release()
		for range probationFailures {
			h.Report(false)
		}
		for range probationFailures {
			h.Report(true)
		}
		require.Equal(t, x.two.Digest, x.status("zoo-ok").Digest, "half of them fail")
		h.Report(true)
		<-h.Draining()
		x.back(t, "error_rate")
	})
	t.Run("SettingsThatAreOnlyTriedSayNothing", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t)
		bad := integration(1)
		bad.Name, bad.ID = "bad", "i2"
		_, err := x.Acquire(t.Context(), "zoo-ok", bad)
		require.ErrorContains(t, err, "the settings are bad")
		before := x.actor("zoo-ok").process().outcome()
		require.Equal(t, int64(1), before.failed, "what a run has is no trial")
		bad.DryRun = true
		for range 2 * probationFailures {
			_, err := x.Acquire(t.Context(), "zoo-ok", bad)
			require.ErrorContains(t, err, "the settings are bad")
		}
		require.Equal(t, before, x.actor("zoo-ok").process().outcome())
	})
	t.Run("CallsThatFailedBeforeTooSayNothing", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t)
		fail := func() {
			h, err := x.Acquire(t.Context(), "zoo-ok", integration(1))
			require.NoError(t, err)
			defer h.Release()
			for range 2 * probationFailures {
				h.Report(true)
			}
		}
		three := variant(t, animal(t, "ok"), "3.0.0")
		x.actor("zoo-ok").setProbation(nil) // a good while later
		fail()
		require.NoError(t, x.Sync(t.Context(), []Binary{three}))
		fail()
		x.die(t) // which comes after the doubt
		require.Equal(t, three.Digest, x.status("zoo-ok").Digest)
	})
	t.Run("AfterItNothingIsBroughtBack", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t, func(o *Options) { o.Probation = time.Nanosecond })
		for range probationEnds + 1 {
			x.die(t)
		}
		require.Equal(t, x.two.Digest, x.status("zoo-ok").Digest)
	})
	t.Run("ItGoesOnAfterARestartOfTheHost", func(t *testing.T) {
		t.Parallel()
		told := &moves{}
		base := animal(t, "ok")
		one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
		s := setup(t, func(o *Options) {
			o.OnMove, o.MinRestartDelay = told.add, time.Millisecond
			o.Resume = func(b Binary) (Binary, time.Time, bool) { return one, time.Now().Add(time.Hour), b == two }
		})
		require.NoError(t, s.Sync(t.Context(), []Binary{two}))
		x := &trialled{bundle: s, one: one, two: two, told: told}
		for range probationEnds {
			x.die(t)
		}
		x.back(t, "crash_loop")
	})
	t.Run("WhatTheOldOneDoesNotReadKeepsTheNew", func(t *testing.T) { // rows: K17
		t.Parallel()
		told := &moves{}
		s := setup(t, func(o *Options) { o.OnMove, o.MinRestartDelay = told.add, time.Millisecond })
		base := animal(t, "ok")
		x := &trialled{bundle: s, one: variant(t, base, "1.0.0"), two: variant(t, base, "2.0.0"), told: told}
		for i, b := range []Binary{x.one, x.two} {
			require.NoError(t, os.WriteFile(b.Path+".writes", []byte{'1' + byte(i)}, 0o600))
			require.NoError(t, s.Sync(t.Context(), []Binary{b}))
		}
		for range probationEnds + 1 {
			x.die(t)
		}
		require.Equal(t, x.two.Digest, x.status("zoo-ok").Digest)
		var writes []int
		told.mu.Lock()
		defer told.mu.Unlock()
		for _, m := range told.all {
			if m.Machine == store.MachinePlugin {
				writes = append(writes, m.StateWrites)
			}
		}
		require.Equal(t, []int{1, 1, 2}, writes[:3], "active, upgrading, draining")
	})
	t.Run("WithoutAnOldOneTheNewStays", func(t *testing.T) {
		t.Parallel()
		x := onTrial(t)
		require.NoError(t, os.Remove(x.one.Path))
		for range probationEnds + 1 {
			x.die(t)
		}
		require.Equal(t, x.two.Digest, x.status("zoo-ok").Digest)
		states, _ := x.told.of(store.MachineArtifact, x.two.Digest)
		require.NotContains(t, states, store.ArtifactWithdrawn)
	})
}
