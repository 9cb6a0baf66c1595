//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
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

// rows: F04, H14
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
		require.Equal(t, StateQuarantined, a.status().State)
		require.Equal(t, now.Add(s.opts.MaxRestartDelay), a.status().RestartAt)
		now = now.Add(s.opts.MaxRestartDelay)
	}
	crash(crashWindow)
	require.False(t, a.ends.tooMany, "it lasted")
	require.Equal(t, StateBackoff, a.status().State)
}

// rows: H14, F28
//
// A plugin does not answer for a host that has no room for its process.
func TestNoRoomIsNoCrash(t *testing.T) {
	t.Parallel()
	full := errors.New("the daemon has 120 of 128 open files")
	s := setup(t, func(o *Options) {
		o.MinRestartDelay = time.Millisecond
		o.MaxRestartDelay = time.Millisecond
		o.Room = func() error { return full }
	})
	require.ErrorIs(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}), full)
	a := newActor(s.Supervisor, Binary{Name: "slack"})
	for range 3 * mostCrashes {
		require.LessOrEqual(t, a.backOff(fmt.Errorf("start plugin slack: %w", noRoom{full})), time.Millisecond)
	}
	require.Equal(t, StateBackoff, a.status().State)
	require.False(t, a.ends.tooMany)
}

// rows: F04, H14
//
// A plugin that crashes in a loop is in quarantine after the fifth time, with its last
// lines; another one does not notice, and a new binary or a person ends that.
func TestACrashLoopComesToRest(t *testing.T) {
	t.Parallel()
	told := &moves{}
	s := setup(t, func(o *Options) {
		o.MinRestartDelay = time.Millisecond
		o.MaxRestartDelay = time.Hour
		o.OnMove = told.add
	})
	loop := variant(t, animal(t, "loop"), "1.0.0")
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
		return st.State == StateQuarantined && st.Restarts == mostCrashes
	}, 30*time.Second, 5*time.Millisecond)
	require.Contains(t, st.LastError, "it failed 5 times within 1m0s and rests")
	require.Contains(t, st.LastError, "hint: jackfield plugin restart zoo-loop")
	require.Equal(t, []string{"goodbye, cruel world"}, st.LastLines[len(st.LastLines)-1:])
	require.Greater(t, time.Until(st.RestartAt), 50*time.Minute)
	isolated := told.move(store.MachineArtifact, store.ArtifactQuarantined)
	require.Equal(t, loop.Digest, isolated.Digest)
	require.Equal(t, "crash_loop", isolated.Reason)
	require.Contains(t, isolated.Detail, "goodbye, cruel world")
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), loop}), "asked again it goes on resting")
	require.Equal(t, StateQuarantined, s.status("zoo-loop").State)
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
	require.Equal(t, quiet, s.status("zoo-ok").PID)

	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok"), variant(t, loop, "1.0.1")}))
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

// rows: H14
//
// What is in quarantine is started when a person wants it, also by the name of its
// program, and begins anew.
func TestQuarantineEndsWhenAPersonSaysSo(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(s *Supervisor, b Binary) error{
		"Restart": func(s *Supervisor, b Binary) error { return s.Restart(t.Context(), b.Name) },
		"Try":     func(s *Supervisor, b Binary) error { return s.Try(t.Context(), b) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, func(o *Options) {
				o.MinRestartDelay = time.Millisecond
				o.MaxRestartDelay = time.Hour
			})
			b := animal(t, "loop")
			require.NoError(t, s.Sync(t.Context(), []Binary{b}))
			require.Eventually(t, func() bool {
				if s.status(b.Name).State == StateServing {
					_, _ = s.invoke(t.Context(), b.Name, "die", "")
				}
				return s.status(b.Name).State == StateQuarantined
			}, 60*time.Second, 5*time.Millisecond)
			require.NoError(t, ask(s.Supervisor, b))
			require.Equal(t, StateServing, s.status(b.Name).State)
			_, _ = s.invoke(t.Context(), b.Name, "die", "")
			require.Eventually(t, func() bool { return s.status(b.Name).Restarts > mostCrashes && len(s.Loaded()) == 1 }, 30*time.Second, 5*time.Millisecond)
		})
	}
}
