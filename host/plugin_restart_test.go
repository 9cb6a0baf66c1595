//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C31, F04, H14
//
// A plugin that is restarted by hand gets another process under work, and no stream
// fails; one that is in quarantine after a crash loop serves at once.
func TestAPluginIsRestartedByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 4, "pages": 8, "records": 20, "segment": 10, "pause_ms": 40})
	d := s.start()
	s.ready()
	s.started()
	old := s.serving()
	out := s.cli("plugin", "restart", "load")
	require.Contains(t, out, "plugin load 1.0.0 was restarted")
	now := s.serving()
	require.NotZero(t, now.PID)
	require.NotEqual(t, old.PID, now.PID)
	s.await(store.RunProcessed)
	run := s.run()
	require.Equal(t, 4*8*20, run.Stats.Added)
	for _, st := range s.streams(run.ID) {
		require.Zero(t, st.Attempts)
		require.Zero(t, st.Interrupts)
	}
	s.until("the old process is gone", func() bool { return len(s.processes()) == 1 })

	rests := func() bool {
		p := s.file("load")
		return p.State == "quarantined" && strings.Contains(p.Reason, "and rests")
	}
	s.within(3*patience, "it crashes until it rests", func() bool {
		if pid := s.serving().PID; pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
		}
		return rests()
	})
	require.Equal(t, "degraded", s.status().State)
	require.Contains(t, strings.Join(s.status().Reasons, "\n"), "plugin load does not serve: it failed 5 times within 1m0s and rests in quarantine (hint: jackfield plugin restart load tries it at once): ")
	s.until("it is told", func() bool {
		isolated := s.events("plugin.artifact.quarantined")
		return len(isolated) == 1 && isolated[0].Data.Reason == "crash_loop" && strings.Contains(isolated[0].Data.Detail, "was ended by signal killed")
	})
	s.cli("plugin", "rescan")
	require.True(t, rests(), "nobody but a person or another program ends that before its time")
	s.cli("plugin", "restart", "load", "-o", "json")
	require.NotZero(t, s.serving().PID)
	require.Equal(t, "ok", s.status().State)

	out, err := s.try("plugin", "restart", "nothing")
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, `plugin`)
	require.Contains(t, out, "hint: jackfield plugin list")
	d.stop(t)
	require.Equal(t, expected(4, 8*20), s.contents())
}
