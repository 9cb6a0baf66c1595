//go:build unix

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a person does after a run that did not end well, on a real daemon: look at it,
// at its tree, at its history and events; have one stream worked on, all that failed,
// and one that was done already; and name what there is not.
//
// rows: O24, C34, C36, C37, C38, C44, C46
func TestAPersonFindsOutAndGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	bad := s.path("bad", "")
	s.integration(map[string]any{
		"streams": 3, "children": 2, "pages": 2, "records": 5,
		"fault": map[string]any{"do": "config", "stream": "s0001.c001", "while": bad},
	})
	s.start()
	s.ready()
	s.until("the first run is over", func() bool { return s.run().State == "partial" })
	run := s.run()

	shown := s.cli("run", "show", run.ID)
	require.Contains(t, shown, "down: the remote system is down")
	require.Contains(t, shown, "jackfield run continue "+run.ID, "what to do next")
	require.Regexp(t, `(?m)^things +partial +9 +1 +80 +80 `, shown, "a row per connector")

	tree := s.cli("run", "show", run.ID, "--tree")
	require.Regexp(t, `(?m)^\d+ things s0001 .*\n  \d+ things s0001\.c000 .*\n  \d+ things s0001\.c001 +error`, tree)
	var doc struct {
		Streams []struct {
			ID       string
			ParentID string `json:"parent_id"`
		}
		More bool
	}
	s.read(&doc, "run", "show", run.ID, "--tree")
	require.Len(t, doc.Streams, 12, "with preprocess, plan and postprocess")
	require.False(t, doc.More)

	var history struct {
		Statuses []struct{ Connector, Code, Message string }
	}
	s.read(&history, "integration", "history", "acme/load", "--connector", "things", "--code", "partial", "--since", "1h")
	require.Len(t, history.Statuses, 1)
	require.Equal(t, "down: the remote system is down", history.Statuses[0].Message)
	s.read(&history, "integration", "history", "--until", "1h")
	require.Empty(t, history.Statuses)
	_, err := s.try("integration", "history", "--since", "yesterday")
	require.Equal(t, exitUsage, exitCode(err))
	require.Contains(t, s.cli("event", "list", "--kind", "integration"), "integration.onboarding_failed")

	// All that failed, while the cause is still there: it fails again.
	require.Contains(t, s.cli("stream", "retry", "--plugin", "load"), "1 stream tried again")
	s.until("it failed again", func() bool { return s.run().State == "partial" })
	require.NoError(t, os.Remove(bad))
	require.Contains(t, s.cli("stream", "retry", "-i", "acme/load", "-o", "json"), `"retried": 1`)
	s.until("the run is processed", func() bool { return s.run().State == "processed" })
	require.Contains(t, s.cli("stream", "retry", "--plugin", "load"), "0 streams tried again")
	require.Contains(t, s.cli("event", "list", "-i", "acme/load", "--kind", "integration.onboarded"), "integration.onboarded")

	// One that is done is worked on again only when it is forced.
	first := s.streams(run.ID)[0].ID
	out, err := s.try("stream", "process", first)
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, "jackfield stream process "+first+" --force")
	require.Contains(t, s.cli("stream", "process", first, "--force"), "is pending")
	s.until("it is processed again", func() bool { return s.run().State == "processed" })

	for _, args := range [][]string{
		{"integration", "sync", "acme/none"},
		{"integration", "sync", "acme/load", "acme/none"},
		{"integration", "sync", "--plugin", "none"},
		{"run", "continue", "4711"},
		{"stream", "process", "4711"},
	} {
		out, err := s.try(args...)
		require.Error(t, err, strings.Join(args, " "))
		require.NotEqual(t, exitDone, exitCode(err))
		require.Contains(t, out, "hint:", "%v", args)
	}
	_, err = s.try("integration", "sync", "acme/load", "--plugin", "load")
	require.Equal(t, exitUsage, exitCode(err))
	require.Equal(t, run.ID, s.run().ID, "nothing was started by any of these")
	s.cli("integration", "sync", "--plugin", "load", "--onboarding", "--wait", "-q")
	require.NotEqual(t, run.ID, s.run().ID)
	require.Equal(t, "processed", s.run().State)
}

// A real plugin ends a stream, and then the run, with what it knows; a person sees
// it all on the page of the run.
//
// rows: C47, C34
func TestAnAbortReachesThePerson(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	settings := func(do string) {
		s.integration(map[string]any{
			"streams": 2, "pages": 1, "records": 5, "fault": map[string]any{"do": do, "stream": "s0000"},
		})
	}
	settings("abort-stream")
	s.start()
	s.ready()
	s.until("the stream was aborted", func() bool { return s.run().State == "partial" })
	run := s.run()
	require.Equal(t, 1, run.Streams.Error)
	require.Equal(t, "gone", run.Failure.Code)
	require.Equal(t, 1, run.Failure.Attempt, "it was tried once")
	shown := s.cli("run", "show", run.ID)
	require.Contains(t, shown, "gone: the remote system is down (process_stream, remote, attempt 1)")
	require.Regexp(t, `(?m)^ +channel +C012$`, shown)

	settings("abort-run")
	s.cli("reload")
	s.sync()
	run = s.run()
	require.Equal(t, "error", run.State)
	require.Equal(t, "closed", run.Failure.Code)
	var doc struct {
		Run struct {
			Failure struct{ Details map[string]string }
		}
	}
	s.read(&doc, "run", "show", run.ID)
	require.Equal(t, map[string]string{"account": "acme, the remote system is down"}, doc.Run.Failure.Details)
}
