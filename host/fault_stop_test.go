//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C31, F29, I03
//
// SIGTERM in the middle of a run ends the daemon with 0 within 25 s and leaves no
// process; the next start goes on with the run and counts nothing twice.
func TestStoppedInTheMiddleGoesOnAtTheNextStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 6, "children": 1, "pages": 5, "records": 20, "segment": 5, "pause_ms": 20})
	const all = 6 * 2 * 5 * 20
	var run runDoc
	for range 3 {
		d := s.start()
		s.ready()
		before := run.Stats.Read
		s.until("the run goes on", func() bool {
			run = s.run()
			return run.Stats.Read > before
		})
		require.Equal(t, "processing", run.State)
		began := time.Now()
		d.stop(t)
		require.Less(t, time.Since(began), 25*time.Second)
		require.Empty(t, s.processes())
	}
	d := s.start()
	s.await(store.RunProcessed)
	last := s.run()
	require.Equal(t, run.ID, last.ID, "the same run")
	require.Equal(t, all, last.Stats.Added)
	require.Equal(t, all, last.Stats.Read, "nothing was read twice and counted")
	require.Equal(t, 12, last.Streams.Processed)
	for _, st := range s.streams(last.ID) {
		require.Zero(t, st.Attempts, "a stop is no failure")
		require.Equal(t, all/12, st.Stats.Read)
	}
	d.stop(t)
	require.Len(t, s.contents(), all)
}

// rows: F29, F03, C31
//
// A plugin that does not answer does not keep the daemon from ending in time.
func TestStoppedWhilePluginHangs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes the grace of a stop")
	}
	s := newSite(t, map[string]any{"streams": 2, "pages": 3, "records": 20, "pause_ms": 20, "fault": map[string]any{"do": "hang", "stream": "s0001"}})
	d := s.start()
	s.ready()
	s.started()
	s.until("the other stream is done", func() bool { return s.run().Streams.Processed == 1 })
	require.NoError(t, syscall.Kill(s.serving().PID, syscall.SIGSTOP))
	began := time.Now()
	d.stop(t)
	t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))
	require.Less(t, time.Since(began), 25*time.Second)
	require.Empty(t, s.processes())
	require.Len(t, s.contents(), 3*20)
}

// rows: F03, H03, H10, C32, O50
//
// A plugin that is frozen is found out within 15 seconds, stopped within 3 more and
// started again; its streams go on, and other commands are answered meanwhile. What
// happened when is in the events; the log has what it was doing.
func TestFrozenPluginIsReplaced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes the patience of the health checks")
	}
	s := newSite(t, map[string]any{"streams": 4, "pages": 10, "records": 20, "segment": 10, "pause_ms": 20})
	d := s.start()
	s.ready()
	s.started()
	frozen := s.serving().PID
	began := time.Now()
	require.NoError(t, syscall.Kill(frozen, syscall.SIGSTOP))
	s.until("another process serves", func() bool {
		pid := s.serving().PID
		return pid != 0 && pid != frozen
	})
	t.Logf("replaced after %s", time.Since(began).Round(time.Millisecond))
	require.Equal(t, 1, s.serving().Restarts)
	require.NotContains(t, s.processes(), frozen)
	s.await(store.RunProcessed)
	run := s.run()
	require.Equal(t, 4*10*20, run.Stats.Read)
	for _, st := range s.streams(run.ID) {
		require.Zero(t, st.Attempts, "no answer is no failure of the stream")
	}
	s.until("the moves are written", func() bool { return len(s.events("plugin.process.serving")) == 2 })
	var of, next []eventDoc // of the frozen process, and of the one after it, oldest first
	for _, e := range slices.Backward(s.events("plugin.process")) {
		if e.Data.PID == frozen {
			of = append(of, e)
		} else if e.Data.PID != 0 {
			next = append(next, e)
		}
	}
	require.Equal(t, []string{"handshake", "describe", "serving", "degraded", "exited", "backoff"}, moved(of))
	require.Equal(t, []string{"handshake", "describe", "serving"}, moved(next))
	require.Equal(t, "unhealthy", of[3].Data.Reason)
	require.Contains(t, of[4].Data.Detail, "unhealthy: it did not answer 2 health checks; busy with: acme/load")
	ended := of[4].Data.At.Sub(began)
	proved(t, "frozen: degraded after %s, ended after %s, another process served after %s",
		of[3].Data.At.Sub(began).Round(time.Millisecond), ended.Round(time.Millisecond), next[2].Data.At.Sub(began).Round(time.Millisecond))
	require.Less(t, ended, (15+3)*time.Second)
	require.True(t, next[0].Data.At.After(of[4].Data.At), "not two that serve at once")
	d.stop(t)
	require.Contains(t, d.log.String(), "it did not answer 2 health checks")
	require.Contains(t, d.log.String(), "SIGQUIT: quit")
	require.Equal(t, expected(4, 10*20), s.contents())
}

// moved returns where the moves went.
func moved(events []eventDoc) (to []string) {
	for _, e := range events {
		to = append(to, e.Data.To)
	}
	return to
}

// rows: F02, C32
//
// A plugin that is killed serves again within a second, the first time; the sync
// ends as if nothing had happened, however often.
func TestKilledPluginServesAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 4, "pages": 12, "records": 20, "segment": 5, "pause_ms": 20})
	d := s.start()
	s.ready()
	s.started()
	for n := range 3 {
		var old pluginDoc
		s.until("a process serves", func() bool {
			old = s.serving()
			return old.PID != 0
		})
		began := time.Now()
		require.NoError(t, syscall.Kill(old.PID, syscall.SIGKILL))
		s.until("another process serves", func() bool {
			p := s.serving()
			return p.PID != 0 && p.PID != old.PID
		})
		took := time.Since(began)
		t.Logf("death %d: serves again after %s", n+1, took.Round(time.Millisecond))
		if n == 0 {
			require.Less(t, took, time.Second)
		}
		require.Equal(t, n+1, s.serving().Restarts)
	}
	s.await(store.RunProcessed)
	require.Equal(t, 4*12*20, s.run().Stats.Read)
	require.Equal(t, "ok", s.status().State)
	d.stop(t)
	require.Equal(t, expected(4, 12*20), s.contents())
}

// rows: F29, F01, C31
//
// A second signal ends the daemon at once, whatever a plugin does; what it leaves is
// what a kill leaves, and no process.
func TestASecondSignalEndsTheDaemonAtOnce(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, nil, 0o600))
	s := newSite(t, map[string]any{"streams": 2, "pages": 3, "records": 20, "pause_ms": 20, "fault": map[string]any{"do": "hang", "stream": "s0001", "while": bad}})
	d := s.start()
	s.ready()
	s.until("the other stream is done", func() bool { return s.run().Streams.Processed == 1 })
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	s.until("the daemon stops", func() bool { // it answers nobody any more, and waits for the plugin
		_, err := s.try("status")
		return err != nil
	})
	select {
	case err := <-d.done:
		require.Fail(t, "one signal was enough: it proves nothing", "%v", err)
	default:
	}
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-d.done:
		require.Error(t, err, "ended by the signal")
	case <-time.After(10 * time.Second): // the grace of a stop is longer
		require.Fail(t, "the second signal did not end it", d.log.String())
	}
	s.until("its plugin has ended, too", func() bool { return len(s.processes()) == 0 })
	require.NoError(t, os.Remove(bad))
	d = s.start()
	s.await(store.RunProcessed)
	require.Equal(t, 2*3*20, s.run().Stats.Read)
	d.stop(t)
	require.Equal(t, expected(2, 3*20), s.contents())
}
