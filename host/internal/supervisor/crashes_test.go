//go:build linux

package supervisor

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// rows: F04
func TestCrashes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var far crashes
	for n := range 50 {
		require.False(t, far.add(now.Add(time.Duration(n)*16*time.Second)), "five within 64 s")
	}
	var near crashes
	for n := range 4 {
		require.False(t, near.add(now.Add(time.Duration(n)*15*time.Second)))
	}
	require.True(t, near.add(now.Add(time.Minute)))
	require.True(t, near.add(now.Add(time.Hour)), "one try is enough after a rest")
}

// rows: F04
//
// A plugin that has rested is tried once; one that lasts begins anew.
func TestARestIsTheLongestDelay(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := New(Options{RunDir: t.TempDir(), Now: func() time.Time { return now }})
	require.NoError(t, err)
	a := newActor(s, Binary{Name: "slack"})
	crash := func(after time.Duration) time.Duration {
		now = now.Add(after)
		a.lasted(after)
		return a.backOff(errors.New("it broke"))
	}
	for range mostCrashes - 1 {
		require.Less(t, crash(time.Second), 10*time.Second)
	}
	for range 3 {
		require.Equal(t, s.opts.MaxRestartDelay, crash(time.Second))
		require.Equal(t, now.Add(s.opts.MaxRestartDelay), a.status().RestartAt)
		now = now.Add(s.opts.MaxRestartDelay)
	}
	crash(crashWindow)
	require.False(t, a.ends.tooMany, "it lasted")
}

// rows: F04
//
// A plugin that crashes in a loop rests after the fifth time; another one does not
// notice, and a new binary ends the rest.
func TestACrashLoopComesToRest(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.MinRestartDelay = time.Millisecond
		o.MaxRestartDelay = time.Hour
	})
	loop := animal(t, "loop")
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), loop}))
	quiet := s.status("zoo-ok").PID
	for n := range mostCrashes {
		require.Eventually(t, func() bool {
			st := s.status("zoo-loop")
			return st.State == StateServing && st.Restarts == n
		}, 30*time.Second, 5*time.Millisecond)
		_, err := s.invoke(t.Context(), "zoo-loop", "die", "")
		require.ErrorIs(t, err, plugin.ErrLost)
	}
	var st Status
	require.Eventually(t, func() bool {
		st = s.status("zoo-loop")
		return st.State == StateBackoff && st.Restarts == mostCrashes
	}, 30*time.Second, 5*time.Millisecond)
	require.Contains(t, st.LastError, "it failed 5 times within 1m0s and rests")
	require.Greater(t, time.Until(st.RestartAt), 50*time.Minute)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), loop}), "asked again it goes on resting")
	require.Equal(t, StateBackoff, s.status("zoo-loop").State)
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	require.Equal(t, quiet, s.status("zoo-ok").PID)

	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), variant(t, loop, "1.0.0")}))
	st = s.status("zoo-loop")
	require.Equal(t, StateServing, st.State)
	require.Empty(t, st.LastError)
	_, err := s.invoke(t.Context(), "zoo-loop", "die", "")
	require.ErrorIs(t, err, plugin.ErrLost)
	require.Eventually(t, func() bool {
		st := s.status("zoo-loop")
		return st.State == StateServing && st.Restarts == mostCrashes+1
	}, 30*time.Second, 5*time.Millisecond, "it begins anew")
}
