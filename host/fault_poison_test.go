//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/secret"
)

// open runs the site's daemon in this process, with a runner of little patience.
// The function that it returns stops it.
func (s *site) open(patience runner.Options) (stop func()) {
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
	return func() {
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

// rows: F23, F02, C28, C34, K11
//
// A stream that ends its plugin's process each time is given up in the end; the
// streams beside it, whose calls die with it, finish: after two such ends each
// runs alone. With the cause gone the run can be continued.
func TestPoisonIsGivenUpAndTheOthersFinish(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	bad := s.path("bad", "")
	s.integration(map[string]any{
		"streams": 4, "pages": 3, "records": 20, "pause_ms": 100, // longer than the poison takes to work
		"fault": map[string]any{"do": "exit", "stream": "s0002", "while": bad},
	})
	stop := s.open(runner.Options{MaxDeaths: 4, DeathDelay: 100 * time.Millisecond})
	s.within(90*time.Second, "the run ends", func() bool { return s.run().State == "partial" }) // four deaths, each waits longer
	run := s.run()
	require.Equal(t, 3, run.Streams.Processed)
	require.Equal(t, 1, run.Streams.Error)
	require.Equal(t, 3*3*20, run.Stats.Added)
	poison := s.troubled(run.ID)
	require.Len(t, poison, 1)
	require.Equal(t, "s0002", poison[0].Identifier)
	require.Equal(t, "plugin_crashed", poison[0].Failure.Code)
	require.Contains(t, poison[0].Failure.Message, "the process of plugin load ended during the call, as in 3 calls before; given up")
	require.Zero(t, poison[0].Attempts, "the plugin answered nothing")
	require.GreaterOrEqual(t, poison[0].Interrupts, 4)
	require.Contains(t, s.cli("run", "show", run.ID), "1 of 4 streams failed")

	require.NoError(t, os.Remove(bad))
	s.cli("run", "continue", run.ID)
	s.until("the run ends well", func() bool { return s.run().State == "processed" })
	require.Equal(t, run.ID, s.run().ID)
	require.Equal(t, 4*3*20, s.run().Stats.Added)
	stop()
	require.Equal(t, expected(4, 3*20), s.contents())
}

// rows: F23, C34, C37, C47
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
