//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// examples returns the JSON documents that the README shows, by their names.
func examples(t *testing.T) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	out := map[string]map[string]any{}
	parts := strings.Split(string(text), "```json\n")
	for i, part := range parts[1:] {
		lines := strings.Split(strings.TrimSpace(parts[i]), "\n")
		body, _, ok := strings.Cut(part, "```")
		require.True(t, ok)
		var doc map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &doc))
		out[lines[len(lines)-1]] = doc
	}
	return out
}

// requireShape compares the names and the kinds of values with an example's.
// Names in optional may be missing, or there without being in the example.
func requireShape(t *testing.T, example, got map[string]any, optional ...string) {
	t.Helper()
	names := func(doc map[string]any) []string {
		return slices.DeleteFunc(slices.Sorted(maps.Keys(doc)), func(name string) bool { return slices.Contains(optional, name) })
	}
	require.Equal(t, names(example), names(got))
	for name, value := range example {
		if there, ok := got[name]; ok {
			require.IsType(t, value, there, name)
		}
	}
}

func inner(t *testing.T, doc map[string]any, name string) map[string]any {
	t.Helper()
	out, ok := doc[name].(map[string]any)
	require.True(t, ok, "%s is %T", name, doc[name])
	return out
}

func first(t *testing.T, doc map[string]any, name string) map[string]any {
	t.Helper()
	list, ok := doc[name].([]any)
	require.True(t, ok, "%s is %T", name, doc[name])
	require.NotEmpty(t, list)
	out, ok := list[0].(map[string]any)
	require.True(t, ok)
	return out
}

// rows: O17, O25, O47
//
// What scripts read of a sync, its runs and its records has the shape that the
// README documents, of real work as of the example: the same names, numbers as
// numbers, ids as strings.
func TestDocumentsHaveTheDocumentedShape(t *testing.T) {
	t.Parallel()
	shown := examples(t)
	s := newSite(t, map[string]any{"streams": 2, "pages": 2, "records": 10})
	d := s.start()
	s.await(store.RunProcessed)
	var sync, runs, records map[string]any
	s.read(&sync, "integration", "sync", "acme/load", "--wait", "-q")
	require.Equal(t, []string{"created", "integration", "run"}, slices.Sorted(maps.Keys(sync)))
	require.Equal(t, true, sync["created"])
	require.Equal(t, "acme/load", sync["integration"])
	run := inner(t, sync, "run")
	s.read(&runs, "run", "list")
	require.Equal(t, []string{"next", "runs"}, slices.Sorted(maps.Keys(runs)))
	require.Equal(t, run, first(t, runs, "runs"), "sync and list tell the same")
	sometimes := []string{"planned_at", "delayed_until", "failure", "started_at", "ended_at"}
	requireShape(t, shown["A run:"], run, sometimes...)
	requireShape(t, inner(t, shown["A run:"], "stats"), inner(t, run, "stats"))
	requireShape(t, inner(t, shown["A run:"], "streams"), inner(t, run, "streams"))
	require.Equal(t, "manual", run["kind"])
	require.Equal(t, "processed", run["state"])

	s.read(&records, "record", "list", "--limit", "7")
	require.Equal(t, []string{"next", "position", "records"}, slices.Sorted(maps.Keys(records)))
	require.Len(t, records["records"], 7)
	requireShape(t, shown["A record:"], first(t, records, "records"), "occurred_at", "parent_found")
	require.Equal(t, "thing", first(t, records, "records")["kind"])

	// Page by page: every record once, and then an empty next.
	seen := map[string]bool{}
	for from := ""; ; {
		var page struct {
			Records []recordDoc
			Next    string
		}
		s.read(&page, "record", "list", "--limit", "7", "--from", from)
		for _, r := range page.Records {
			require.False(t, seen[r.ExternalID], r.ExternalID)
			seen[r.ExternalID] = true
		}
		if from = page.Next; from == "" {
			break
		}
	}
	require.Len(t, seen, 2*2*10)
	d.stop(t)
}

// rows: O25, C28, F23
//
// The counts of a run add up to what its plugin emitted, in every kind of sync.
func TestStatisticsAddUp(t *testing.T) {
	t.Parallel()
	settings := map[string]any{"streams": 2, "pages": 2, "records": 10}
	s := newSite(t, settings)
	d := s.start()
	s.await(store.RunProcessed)
	stats := func(r runDoc) string {
		require.Equal(t, r.Stats.Read, r.Stats.Added+r.Stats.Updated+r.Stats.Deleted+r.Stats.Unchanged+r.Stats.Stale)
		return fmt.Sprintf("read %d added %d updated %d unchanged %d", r.Stats.Read, r.Stats.Added, r.Stats.Updated, r.Stats.Unchanged)
	}
	require.Equal(t, "read 40 added 40 updated 0 unchanged 0", stats(s.run()))
	require.Equal(t, "read 40 added 0 updated 0 unchanged 40", stats(s.sync("--force")))
	settings["mark"], settings["records"] = "new", 11
	s.integration(settings)
	s.cli("reload")
	require.Equal(t, "read 44 added 4 updated 40 unchanged 0", stats(s.sync("--force")))
	d.stop(t)
}

// tail is a `record tail` that runs beside a test.
type tail struct{ output }

// records returns what was printed so far.
func (t *tail) records() (out []recordDoc) {
	for line := range strings.Lines(t.String()) {
		var r recordDoc
		if json.Unmarshal([]byte(line), &r) == nil {
			out = append(out, r)
		}
	}
	return out
}

// rows: O47, K05, D14
//
// A tail prints each record when it is added and again when it changed, in the
// order of positions, and nothing for a sync that finds nothing new.
func TestTailPrintsWhatChanged(t *testing.T) {
	t.Parallel()
	settings := map[string]any{"streams": 2, "pages": 1, "records": 10, "mark": "a"}
	s := newSite(t, settings)
	file, err := os.ReadFile(filepath.Join(s.dir, "tenants", "acme.yaml"))
	require.NoError(t, err)
	s.write("tenants/acme.yaml", "tenant: acme\nintegrations: []\n")
	d := s.start()
	s.ready()
	ctx, cancel := context.WithCancel(t.Context())
	out := &tail{}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, []string{"-c", filepath.Join(s.dir, "host.yaml"), "record", "tail", "-o", "jsonl", "--from", "0"}, out, &bytes.Buffer{})
	}()
	s.write("tenants/acme.yaml", string(file))
	s.await(store.RunProcessed)
	s.until("every record is printed", func() bool { return len(out.records()) == 20 })

	require.Equal(t, "processed", s.sync("--force").State)
	settings["mark"] = "b"
	s.integration(settings)
	s.cli("reload")
	require.Equal(t, 20, s.sync("--force").Stats.Updated)
	s.until("every change is printed", func() bool { return len(out.records()) >= 40 })
	d.stop(t)
	cancel()
	require.Error(t, <-ended)
	all := out.records()
	require.Len(t, all, 40, "nothing was printed for the sync without changes")
	marks, last := map[string]string{}, ""
	for _, r := range all {
		marks[r.ExternalID] += r.Data.Mark
		require.NotEqual(t, last, r.Position)
		last = r.Position
	}
	require.Len(t, marks, 20)
	for id, seen := range marks {
		require.Equal(t, "ab", seen, id)
	}
	for i, r := range all {
		require.Equal(t, map[bool]string{true: "ADDED", false: "UPDATED"}[i < 20], r.Change)
	}
}

// rows: O47
//
// What a plugin logs is found with the run and the stream that it belongs to.
func TestPluginLogsSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 1, "tell": true, "secret": "sesame-open"})
	d := s.start()
	s.await(store.RunProcessed)
	lines := s.cli("plugin", "logs", "load", "-o", "jsonl")
	type line struct {
		At, Level, Message string
		Fields             map[string]string
	}
	var messages []string
	var logged line
	for text := range strings.Lines(lines) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		require.NotEmpty(t, l.At)
		messages = append(messages, l.Message)
		if l.Message == "logged: ***" {
			logged = l
		}
	}
	require.Contains(t, messages, "on stderr: ***")
	require.Contains(t, messages, "on stdout: ***")
	require.Contains(t, messages, "logged: ***")
	require.Equal(t, map[string]string{"tenant": "acme", "integration": "load", "run": "1", "stream": logged.Fields["stream"], "token": "***"}, logged.Fields)
	require.NotEmpty(t, logged.Fields["stream"])
	out, err := s.try("plugin", "logs", "lod")
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, "lod")
	d.stop(t)
	for _, field := range []string{"logged: ***", "tenant=acme", "integration=load", "run=1", "stream="} {
		require.Contains(t, d.log.String(), field)
	}
}
