//go:build linux

package supervisor

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// refusedStatus returns the status of the candidate that did not take over.
func (b *bundle) refusedStatus(name string) Status {
	for _, st := range b.Status() {
		if st.Name == name && st.State == StateRefused {
			return st
		}
	}
	return Status{}
}

// rows: F07, H22, C60
//
// Whatever is wrong with a new version, the old one goes on serving, the reason is
// shown, and the new one is tried again by itself.
func TestEachFailureOfANewVersionKeepsTheOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		behave string // of the new one
		change func(*Options, *atomic.Bool)
		reason string
		says   string
	}{
		"Exits":  {behave: "exit", reason: "handshake_failed", says: "exited with code 3"},
		"Prints": {behave: "chatty", reason: "handshake_failed", says: "usage: chatty"},
		"Panics": {behave: "panics", reason: "handshake_failed", says: "exited with code 2"},
		"Refused": {reason: "settings", says: "acme/one: token is missing", change: func(o *Options, cured *atomic.Bool) {
			o.Verify = func(context.Context, Candidate) error {
				if cured.Load() {
					return nil
				}
				return Because("settings", errors.New("acme/one: token is missing"))
			}
		}},
		"OpensNothing": {reason: "refused", says: "the settings are bad", change: func(o *Options, cured *atomic.Bool) {
			o.Verify = func(ctx context.Context, c Candidate) error {
				in := integration(1)
				if !cured.Load() {
					in.Name = "bad"
				}
				h, err := c.Acquire(ctx, in)
				if err != nil {
					return err
				}
				h.Release()
				return nil
			}
		}},
		"TakesTooLong": {reason: "refused", says: "its trial took longer than", change: func(o *Options, cured *atomic.Bool) {
			o.TrialTimeout = 15 * time.Second
			o.Verify = func(ctx context.Context, _ Candidate) error {
				if cured.Load() {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
		}},
		"DiesInItsTrial": {reason: "process_ended", says: "killed", change: func(o *Options, cured *atomic.Bool) {
			o.Verify = func(_ context.Context, c Candidate) error {
				if !cured.Load() {
					_ = syscall.Kill(c.process.x.pid(), syscall.SIGKILL)
					<-c.process.x.exited
				}
				return nil
			}
		}},
		"IsNotHealthy": {reason: "unhealthy", says: "it does not serve", change: func(o *Options, cured *atomic.Bool) {
			before := o.OnMove
			o.OnMove = func(m store.PluginMove) {
				before(m)
				if m.To == store.ProcessInstances && !cured.Load() {
					_ = syscall.Kill(m.PID, syscall.SIGSTOP)
					for !stopped(t, m.PID) { // it does not answer from here on
						runtime.Gosched()
					}
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told, cured := &moves{}, &atomic.Bool{}
			s := setup(t, func(o *Options) {
				o.OnMove = told.add
				o.RetryCandidate = 10 * time.Millisecond
				o.MaxRestartDelay = 50 * time.Millisecond
				if c.change != nil {
					c.change(o, cured)
				}
			})
			base := animal(t, "ok")
			one, two := variant(t, base, "1.0.0"), variant(t, base, "2.0.0")
			if c.behave != "" {
				require.NoError(t, os.WriteFile(two.Path+".behave", []byte(c.behave), 0o600))
			}
			require.NoError(t, s.Sync(t.Context(), []Binary{one}))
			pid := s.status("zoo-ok").PID
			require.ErrorContains(t, s.Sync(t.Context(), []Binary{two}), c.says)
			require.Equal(t, pid, s.status("zoo-ok").PID)
			require.Equal(t, StateServing, s.status("zoo-ok").State)
			require.JSONEq(t, `"1.0.0"`, s.call(t, "zoo-ok", "version"))
			require.Eventually(t, func() bool {
				st := s.refusedStatus("zoo-ok") // it may be in its next trial
				return st.Digest == two.Digest && st.LastError != ""
			}, time.Minute, time.Millisecond)
			_, reasons := told.of(store.MachinePlugin, one.Digest)
			require.Equal(t, c.reason, reasons[0])
			states, reasons := told.of(store.MachineArtifact, two.Digest)
			require.Equal(t, c.reason, reasons[0])
			require.NotContains(t, states, store.ArtifactReady)

			cured.Store(true)
			if c.behave != "" {
				require.NoError(t, os.Remove(two.Path+".behave"))
			}
			require.Eventually(t, func() bool { return s.status("zoo-ok").Digest == two.Digest }, 30*time.Second, 5*time.Millisecond)
			require.JSONEq(t, `"2.0.0"`, s.call(t, "zoo-ok", "version"))
			require.Eventually(t, func() bool { return len(s.Status()) == 1 }, time.Minute, 5*time.Millisecond)
			require.Empty(t, s.status("zoo-ok").LastError)
			told.legal(t)
		})
	}
}

// rows: F02, F07
//
// What serves is started again if it ends while another one is tried.
func TestTheOldIsMendedDuringATrial(t *testing.T) {
	t.Parallel()
	told, go1, tried := &moves{}, make(chan struct{}), make(chan struct{}, 9)
	s := setup(t, func(o *Options) {
		o.OnMove, o.MinRestartDelay = told.add, time.Millisecond
		o.Verify = func(ctx context.Context, _ Candidate) error {
			tried <- struct{}{}
			select {
			case <-go1:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	})
	base := animal(t, "ok")
	one, two, three := variant(t, base, "1.0.0"), variant(t, base, "2.0.0"), variant(t, base, "3.0.0")
	require.NoError(t, s.Sync(t.Context(), []Binary{one}))
	ended := make(chan error, 1)
	go func() { ended <- s.Sync(t.Context(), []Binary{two}) }()
	<-tried
	_, err := s.invoke(t.Context(), "zoo-ok", "die", "")
	require.Error(t, err)
	require.Eventually(t, func() bool { return s.status("zoo-ok").Restarts == 1 && len(s.Loaded()) == 1 }, time.Minute, time.Millisecond)
	require.JSONEq(t, `"1.0.0"`, s.call(t, "zoo-ok", "version"))

	other := make(chan error, 1)
	go func() { other <- s.Sync(t.Context(), []Binary{three}) }() // another one is wanted by now
	require.ErrorContains(t, <-ended, "another program is wanted")
	<-tried
	close(go1)
	require.NoError(t, <-other)
	require.JSONEq(t, `"3.0.0"`, s.call(t, "zoo-ok", "version"))
	states, _ := told.of(store.MachineProcess, two.Digest)
	require.False(t, slices.Contains(states, store.ProcessServing))
	told.legal(t)
}

// rows: C01, F07
//
// A plugin that is taken away during a trial is gone with both.
func TestARemovalEndsTheTrial(t *testing.T) {
	t.Parallel()
	tried := make(chan struct{}, 1)
	s := setup(t, func(o *Options) {
		o.Verify = func(ctx context.Context, _ Candidate) error {
			tried <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	base := animal(t, "ok")
	require.NoError(t, s.Sync(t.Context(), []Binary{variant(t, base, "1.0.0")}))
	ended := make(chan error, 1)
	two := variant(t, base, "2.0.0")
	go func() { ended <- s.Sync(t.Context(), []Binary{two}) }()
	<-tried
	require.NoError(t, s.Sync(t.Context(), nil))
	require.Error(t, <-ended)
	require.Eventually(t, func() bool { return len(s.Status()) == 0 }, time.Minute, time.Millisecond)
}
