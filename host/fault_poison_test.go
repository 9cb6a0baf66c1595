//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// open runs the site's daemon in this process, with a runner of little patience.
// The function that it returns stops it.
func (s *site) open(patience runner.Options) (stop func()) {
	s.t.Helper()
	_, stop = s.host(patience)
	return stop
}

// host is open for who wants the daemon itself.
func (s *site) host(patience runner.Options) (h *Host, stop func()) {
	s.t.Helper()
	redactor := &secret.Redactor{}
	cfg, problems := config.LoadHost(filepath.Join(s.dir, "host.yaml"), config.Options{Redactor: redactor})
	require.NoError(s.t, problems.Err())
	h, err := openHost(context.Background(), cfg, hclog.NewNullLogger(), redactor, patience)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Run(ctx) }()
	s.t.Cleanup(cancel)
	<-h.Ready()
	return h, func() {
		cancel()
		require.NoError(s.t, <-served)
	}
}

// troubled returns the streams of a run that did not end well.
func (s *site) troubled(run string) (out []streamDoc) {
	for _, st := range s.streams(run) {
		if st.State != "processed" {
			out = append(out, st)
		}
	}
	return out
}

// rows: F23, F02, C28, C34, K11, H15
//
// A stream that ends its plugin's process each time is given up: after two such
// ends it runs alone in a process of its own, and when it has ended two of them it
// is an error with their last words. The streams whose calls died with it finish,
// and the plugin's other integrations lose less than a tenth of their work. With
// the cause gone the run can be continued.
func TestPoisonIsGivenUpAndTheOthersFinish(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	bad := s.path("bad", "")
	const streams, pages, records = 8, 40, 10 // of the other integration
	raw, err := json.Marshal(map[string]any{
		"streams": 4, "pages": 3, "records": 20, "pause_ms": 100, // longer than the poison takes to work
		"fault": map[string]any{"do": "exit", "stream": "s0002", "while": bad},
	})
	require.NoError(t, err)
	other, err := json.Marshal(map[string]any{"streams": streams, "pages": pages, "records": records, "pause_ms": 20, "mark": "other"})
	require.NoError(t, err)
	s.write("tenants/acme.yaml", fmt.Sprintf(`tenant: acme
integrations:
  - {name: load, plugin: load, connectors: [things], every: -1, settings: %s}
  - {name: other, plugin: load, connectors: [things], every: -1, settings: %s}
`, raw, other))
	stop := s.open(runner.Options{DeathDelay: 100 * time.Millisecond})
	ended := func(name, state string) bool { return s.runOf(name).State == state }
	s.within(90*time.Second, "the run ends", func() bool { return ended("acme/load", "partial") })
	run := s.runOf("acme/load")
	require.Equal(t, 3, run.Streams.Processed)
	require.Equal(t, 1, run.Streams.Error)
	require.Equal(t, 3*3*20, run.Stats.Added)
	poison := s.troubled(run.ID)
	require.Len(t, poison, 1)
	require.Equal(t, "s0002", poison[0].Identifier)
	require.Equal(t, "plugin_crashed", poison[0].Failure.Code)
	require.Contains(t, poison[0].Failure.Message, "the process that plugin load had for this call alone exited with code 7; it wrote: fatal: cannot bear stream s0002; it is the second to end so: given up; payload sha256 ")
	require.Zero(t, poison[0].Attempts, "the plugin answered nothing")
	require.Equal(t, 2+2, poison[0].Interrupts, "twice with others, twice alone")
	require.Equal(t, 2, s.serving().Restarts, "the process that serves the others died no more often")
	require.Contains(t, s.cli("run", "show", run.ID), "1 of 4 streams failed")
	shown := s.cli("stream", "show", poison[0].ID)
	require.Contains(t, shown, "exited with code 7")
	require.Contains(t, shown, "fatal: cannot bear stream s0002")
	require.Contains(t, shown, "payload sha256")

	s.within(90*time.Second, "the other integration is synced", func() bool { return ended("acme/other", "processed") })
	require.Equal(t, streams*pages*records, s.runOf("acme/other").Stats.Added)
	otherRun := s.runOf("acme/other").ID

	s.cli("stream", "retry", poison[0].ID)
	s.within(90*time.Second, "it is poison still", func() bool {
		again := s.troubled(run.ID)
		return ended("acme/load", "partial") && again[0].State == "error" && again[0].Failure.Code == "plugin_crashed"
	})
	require.NoError(t, os.Remove(bad))
	s.cli("run", "continue", run.ID)
	s.until("the run ends well", func() bool { return ended("acme/load", "processed") })
	require.Equal(t, run.ID, s.runOf("acme/load").ID)
	require.Equal(t, 4*3*20, s.runOf("acme/load").Stats.Added)
	stop()
	require.Empty(t, s.processes(), "no process is left")
	claims := s.claims(otherRun)
	proved(t, "poison: given up after 2 crashes alone; the other integration's %d pages took %d calls", streams*pages, claims)
	require.LessOrEqual(t, claims, streams*pages*110/100, "calls of the other integration")
}

// runOf returns the newest run of an integration.
func (s *site) runOf(name string) runDoc {
	s.t.Helper()
	var doc struct{ Runs []runDoc }
	out, err := s.try("run", "list", "--integration", name, "--limit", "1", "-o", "json")
	if err != nil { // its file is not read yet
		return runDoc{}
	}
	require.NoError(s.t, json.Unmarshal([]byte(out), &doc))
	if len(doc.Runs) == 0 {
		return runDoc{}
	}
	return doc.Runs[0]
}

// claims returns how many calls the streams of a run took, the run's own left out.
// The daemon has ended.
func (s *site) claims(run string) (n int) {
	s.t.Helper()
	id, err := strconv.ParseInt(run, 10, 64)
	require.NoError(s.t, err)
	db, err := sqlite.Open(s.t.Context(), sqlite.Options{Path: filepath.Join(s.dir, "data")})
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	streams, err := db.Streams(s.t.Context(), store.StreamFilter{RunID: id, Limit: 1000})
	require.NoError(s.t, err)
	for _, st := range streams {
		n += int(st.Claim)
	}
	return n
}

// rows: F23, C34, C37, C47, H11
//
// A call that panics fails its stream and nothing else: the process goes on.
func TestPanicFailsItsStreamAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{
		"streams": 3, "pages": 2, "records": 10, "fault": map[string]any{"do": "panic", "stream": "s0001"},
	})
	stop := s.open(runner.Options{Retries: 2, RetryBase: 20 * time.Millisecond})
	s.until("the run ends", func() bool { return s.run().State == "partial" })
	failed := s.troubled(s.run().ID)
	require.Len(t, failed, 1)
	require.Equal(t, "s0001", failed[0].Identifier)
	require.Equal(t, 3, failed[0].Attempts, "one try and two more")
	require.Contains(t, failed[0].Failure.Message, "the plugin panicked: the remote system is down")
	require.Zero(t, s.serving().Restarts)
	stop()
	require.Len(t, s.contents(), 2*2*10)
}

// rows: F23, C28, C34, O17, O22, O25
//
// A stream that failed for good makes its run partial and the command that
// waited exit with 1; it is retried when a person says so, or skipped.
func TestFailedStreamIsRetriedOrSkipped(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	bad := s.path("bad", "")
	s.integration(map[string]any{
		"streams": 3, "pages": 2, "records": 10, "fault": map[string]any{"do": "config", "stream": "s0001", "while": bad},
	})
	d := s.start()
	s.ready()
	s.until("the integration is there", func() bool { return s.shown("acme/load").State == "active" })
	code, _ := s.exec("integration", "sync", "acme/load", "--wait", "-q")
	require.Equal(t, exitFailed, code)
	run := s.run()
	require.Equal(t, "partial", run.State)
	require.Equal(t, 2*2*10, run.Stats.Added)
	failed := s.troubled(run.ID)
	require.Len(t, failed, 1)
	require.Equal(t, "error", failed[0].State)
	require.Equal(t, failureDoc{Point: "process_stream", Class: "config", Code: "down", Message: "the remote system is down", Attempt: 1}, *failed[0].Failure)
	code, _ = s.exec("run", "watch", run.ID, "-q")
	require.Equal(t, exitFailed, code)

	s.cli("stream", "retry", failed[0].ID)
	s.until("the stream failed again", func() bool { return s.run().State == "partial" && s.troubled(run.ID)[0].State == "error" })
	require.NoError(t, os.Remove(bad))
	s.cli("stream", "retry", failed[0].ID)
	s.await("processed")
	require.Equal(t, 3*2*10, s.run().Stats.Added)
	out, err := s.try("stream", "retry", failed[0].ID)
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, "is processed and cannot be tried again")

	require.NoError(t, os.WriteFile(bad, nil, 0o600))
	next := s.sync("--force")
	require.Equal(t, "partial", next.State)
	id := s.troubled(next.ID)[0].ID
	s.cli("stream", "skip", id, "--reason", "not worth it")
	skipped := s.troubled(next.ID)[0]
	require.Equal(t, "cancelled", skipped.State)
	require.Equal(t, "not worth it", skipped.Failure.Message)
	out, err = s.try("run", "continue", next.ID)
	require.Equal(t, exitFailed, exitCode(err), "what a person skipped stays so")
	require.Contains(t, out, "hint:")
	d.stop(t)
	require.Equal(t, expected(3, 2*10), s.contents())
}
