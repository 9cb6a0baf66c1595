//go:build unix

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

const (
	switchedOn  = "version: 1\nlisten: 127.0.0.1:0\ndata: ./data\nplugins: {dir: ./plugins, trust: lock}\ntenants: ./tenants\n"
	switchedOff = switchedOn + "paused: true\n"
)

// rows: O52
//
// One setting stops a running daemon: what is under way stops between segments, nothing
// begins, and all can be read; the same setting lets it go on where it was.
func TestAPausedDaemonStartsNothingAndAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 4, "pages": 8, "records": 20, "segment": 10, "pause_ms": 40})
	d := s.start()
	s.ready()
	run := s.started()
	s.write("host.yaml", switchedOff)
	s.until("the host is paused and at rest", func() bool {
		return s.status().State == "degraded" && s.serving().Calls == 0 && s.run().Streams.Processing == 0
	})
	require.Contains(t, s.status().Reasons[0], "the host is paused: no run begins or goes on (hint: paused: false in ")
	require.Contains(t, s.cli("run", "show", run.ID), "waits: the host is paused")

	before := s.run()
	require.Equal(t, "processing", before.State)
	out, err := s.try("integration", "sync", "acme/load", "--connector", "things", "-q")
	require.NoError(t, err, out)
	asked := s.run()
	require.NotEqual(t, before.ID, asked.ID)
	require.Equal(t, "pending", asked.State, "what a person asks for is kept")
	require.Contains(t, s.cli("run", "show", asked.ID), "waits: the host is paused")
	var records struct{ Records []recordDoc }
	s.read(&records, "record", "list", "--limit", "1000")
	require.Len(t, records.Records, before.Stats.Added, "nothing came since, and what there is can be read")

	d.stop(t)
	d = s.start()
	s.ready()
	require.Zero(t, s.serving().Calls)
	require.Equal(t, asked.State, s.run().State, "a restart changes nothing")

	s.write("host.yaml", switchedOn)
	s.await(store.RunProcessed)
	s.until("both runs have ended", func() bool {
		var doc struct{ Run runDoc }
		s.read(&doc, "run", "show", run.ID)
		return doc.Run.State == "processed"
	})
	require.Equal(t, "ok", s.status().State)
	d.stop(t)
	require.Equal(t, expected(4, 8*20), s.contents())
}

// rows: O34
//
// Disabled by the command, an integration starts nothing any more: its run goes on to
// its end or is cancelled, as asked. That outlives the daemon; enabled it works.
func TestADisabledIntegrationStartsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 5, "records": 20, "segment": 10, "pause_ms": 40})
	d := s.start()
	s.ready()
	first := s.started()
	s.cli("integration", "disable", "acme/load", "--finish")
	require.Equal(t, "disabled", s.shown("acme/load").State)
	refused := func() {
		t.Helper()
		out, err := s.try("integration", "sync", "acme/load")
		require.Equal(t, exitFailed, exitCode(err))
		require.Contains(t, out, "disabled by ")
		require.Contains(t, out, "hint: jackfield integration enable acme/load")
	}
	refused()
	s.await(store.RunProcessed)
	require.Equal(t, first.ID, s.run().ID)
	require.Equal(t, 2*5*20, s.run().Stats.Added, "it went on to its end")
	d.stop(t)

	d = s.start()
	s.ready()
	require.Equal(t, "disabled", s.shown("acme/load").State, "a restart remembers")
	refused()
	s.cli("integration", "enable", "acme/load")
	require.Equal(t, "active", s.shown("acme/load").State)
	s.integration(map[string]any{"streams": 2, "pages": 500, "records": 20, "segment": 10, "pause_ms": 40, "mark": "new"})
	s.cli("reload")
	s.cli("integration", "sync", "acme/load", "-q")
	s.until("the second run stores", func() bool { return s.run().ID != first.ID && s.run().Stats.Read > 0 })
	s.cli("integration", "disable", "acme/load")
	second := s.run()
	require.Equal(t, "cancelled", second.State, "at once")
	s.until("no call is under way", func() bool { return s.serving().Calls == 0 })
	require.Equal(t, second.Stats, s.run().Stats, "what came later counts for nothing")
	require.Equal(t, second.ID, s.run().ID)
	d.stop(t)
	s.verified()
}
