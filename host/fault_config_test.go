//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// declared is a tenant file with an integration of the plugin load; more has
// lines of its own.
func declared(name string, more ...string) string {
	lines := append([]string{"  - name: " + name, "    plugin: load", "    connectors: [things]", "    every: -1"}, more...)
	return "tenant: acme\nintegrations:\n" + strings.Join(lines, "\n") + "\n"
}

const small = "    settings: {streams: 2, pages: 1, records: 5}"

// rows: F20, F21, O03, O08
//
// While the daemon runs, a bad tenant file changes nothing: the last good one
// stays, the status says what is wrong and where, and the repair is found by
// itself.
func TestBadTenantFileLeavesTheLastGood(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	good := declared("load", small)
	s.write("tenants/acme.yaml", good)
	d := s.start()
	s.await(store.RunProcessed)
	before := s.shown("acme/load")
	for _, c := range []struct {
		name, text, code, says string
		line                   int
	}{
		{"half written", good[:strings.Index(good, "things")+3], "syntax", "", 6},
		{"unknown key", declared("load", "    evry: 20", small), "unknown-key", `"evry"`, 7},
		{"wrong type", declared("load", "    concurrency: many", small), "bad-type", "concurrency", 7},
		{"wrong setting", declared("load", "    settings: {streams: two}"), "bad-type", "streams", 7},
		{"unknown setting", declared("load", "    settings: {steams: 2}"), "unknown-setting", `"steams"`, 7},
		{"duplicate name", good + strings.SplitAfterN(good, "\n", 3)[2], "duplicate-name", `"load"`, 8},
		{"missing secret", declared("load", "    settings: {streams: 2, secret: '${env:JACKFIELD_TEST_UNSET}'}"), "missing-secret", "JACKFIELD_TEST_UNSET", 7},
		{"unknown connector", declared("load", "    settings: {streams: 2}") + "  - {name: other, plugin: load, connectors: [thongs]}\n", "unknown-connector", "thongs", 8},
	} {
		s.write("tenants/acme.yaml", c.text)
		var status statusDoc
		s.noticed(c.name+" degrades the status", func() bool {
			status = s.status()
			return status.State == "degraded"
		})
		require.Contains(t, strings.Join(status.Reasons, "\n"), "the last good configuration is in force", c.name)
		p := status.Config.Problems[0]
		require.Equal(t, c.code, p.Code, c.name)
		require.Equal(t, "error", p.Severity, c.name)
		require.Contains(t, p.Message, c.says, c.name)
		require.Equal(t, filepath.Join(s.dir, "tenants", "acme.yaml"), p.File, c.name)
		require.Equal(t, c.line, p.Line, c.name)
		require.Positive(t, p.Column, c.name)
		require.Equal(t, before, s.shown("acme/load"), c.name)
		require.Contains(t, s.cli("status"), fmt.Sprintf("acme.yaml:%d:", c.line), c.name)
		out, err := s.try("validate", "-o", "json")
		require.Equal(t, exitUsage, exitCode(err), "%s: %s", c.name, out)

		began := time.Now()
		s.write("tenants/acme.yaml", good)
		s.noticed(c.name+" is repaired", func() bool { return s.status().State == "ok" })
		t.Logf("%s: repaired in %s", c.name, time.Since(began).Round(time.Millisecond))
	}
	require.Equal(t, before, s.shown("acme/load"))
	require.Equal(t, "processed", s.sync().State, "it works as before")
	d.stop(t)
}

// rows: F20, F21
//
// A bad host.yaml while the daemon runs changes nothing either, not even what was read
// since the start; what cannot be taken over without a restart is told.
func TestBadHostFileWhileRunningLeavesTheLastGood(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	raw, err := os.ReadFile(filepath.Join(s.dir, "host.yaml"))
	require.NoError(t, err)
	d := s.start()
	s.await(store.RunProcessed)
	raw = append(raw, "defaults: {plugins: {load: {concurrency: 3}}}\n"...)
	s.write("host.yaml", string(raw))
	s.noticed("a default is taken over", func() bool { return s.shown("acme/load").Concurrency == 3 })
	s.write("host.yaml", string(raw)+"tenant: ./elsewhere\n")
	var status statusDoc
	s.noticed("the status is degraded", func() bool {
		status = s.status()
		return status.State == "degraded"
	})
	require.Equal(t, "unknown-key", status.Config.Problems[0].Code)
	require.Equal(t, strings.Count(string(raw), "\n")+1, status.Config.Problems[0].Line)
	require.Equal(t, "processed", s.sync().State, "it serves with the last good one")
	require.Equal(t, "active", s.shown("acme/load").State)
	require.Equal(t, 3, s.shown("acme/load").Concurrency, "the default is that of the last good one, not of the start")

	s.write("host.yaml", strings.Replace(string(raw), "tenants: ./tenants", "tenants: ./nowhere", 1))
	s.noticed("the status tells of the restart", func() bool {
		for _, p := range s.status().Config.Problems {
			if p.Code == "needs-restart" {
				return true
			}
		}
		return false
	})
	require.Equal(t, "active", s.shown("acme/load").State, "another directory is no deletion of every tenant")
	s.write("host.yaml", string(raw))
	s.noticed("all is well", func() bool { return s.status().State == "ok" })
	d.stop(t)
}

// rows: K22, F20, C52
//
// A tenant file that is gone disables its integrations and keeps their data; the
// file put back finds all of it again.
func TestFileGoneKeepsTheDataAndBackRestores(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	before := s.shown("acme/load")
	path := filepath.Join(s.dir, "tenants", "acme.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	s.noticed("the integration is disabled", func() bool { return s.shown("acme/load").State == "disabled" })
	gone := s.shown("acme/load")
	require.Equal(t, before.UID, gone.UID)
	require.Equal(t, "gone from its file", gone.Reason)
	require.Equal(t, store.KeepRemoved, gone.KeepUntil.Sub(gone.RemovedAt))
	require.Equal(t, 10, s.status().Store.Records)
	out, err := s.try("integration", "sync", "acme/load")
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, "was removed from its file")

	s.write("tenants/acme.yaml", string(text))
	s.noticed("the integration is back", func() bool { return s.shown("acme/load").State == "active" })
	back := s.shown("acme/load")
	require.Equal(t, before.UID, back.UID)
	require.True(t, back.RemovedAt.IsZero())
	run := s.sync("--force")
	require.Equal(t, 10, run.Stats.Unchanged, "every record was kept")
	d.stop(t)
	require.Equal(t, expected(2, 5), s.contents())
}

// rows: K22, O08
//
// A new name without moved_from is not taken for a deletion and a new
// integration; with it the integration keeps its uid and its records.
func TestRenameNeedsMovedFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.write("tenants/acme.yaml", declared("load", small))
	d := s.start()
	s.await(store.RunProcessed)
	uid := s.shown("acme/load").UID
	s.write("tenants/acme.yaml", declared("renamed", small))
	var status statusDoc
	s.noticed("the rename is refused", func() bool {
		status = s.status()
		return status.State == "degraded"
	})
	require.Equal(t, "moved-or-new", status.Config.Problems[0].Code)
	require.Contains(t, status.Config.Problems[0].Help, "moved_from: load")
	require.Contains(t, status.Config.Problems[0].Help, "jackfield reload --confirm")
	require.Equal(t, "active", s.shown("acme/load").State)
	out, err := s.try("reload", "-o", "json")
	require.Equal(t, exitUsage, exitCode(err), out)

	s.write("tenants/acme.yaml", declared("renamed", "    moved_from: load", small))
	s.noticed("the integration has its new name", func() bool { return s.shown("acme/renamed").UID == uid })
	require.Empty(t, s.shown("acme/load").UID)
	require.Equal(t, "ok", s.status().State)
	var doc struct{ Records []recordDoc }
	s.read(&doc, "record", "list", "--integration", "acme/renamed")
	require.Len(t, doc.Records, 10)

	s.write("tenants/acme.yaml", declared("another", small))
	s.noticed("the rename is refused", func() bool { return s.status().State == "degraded" })
	s.cli("reload", "--confirm")
	require.Equal(t, "disabled", s.shown("acme/renamed").State)
	require.NotEqual(t, uid, s.shown("acme/another").UID)
	d.stop(t)
}

// rows: K10, C52, O34
//
// Disabling an integration in the middle of a run cancels it at once: nothing
// that is under way is stored any more.
func TestDisablingCancelsTheRunAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	long := "    settings: {streams: 4, pages: 1000, records: 10, pause_ms: 20}"
	s.write("tenants/acme.yaml", declared("load", long))
	d := s.start()
	s.ready()
	s.started()
	s.write("tenants/acme.yaml", declared("load", "    enabled: false", long))
	s.noticed("the run is cancelled", func() bool { return s.run().State == "cancelled" })
	run := s.run()
	require.Equal(t, "disabled", s.shown("acme/load").State)
	require.NotNil(t, run.Failure)
	require.Contains(t, run.Failure.Message, "disabled")
	require.Equal(t, 4, run.Streams.Cancelled)
	s.noticed("no call is under way", func() bool { return s.serving().Calls == 0 })
	require.Equal(t, run.Stats, s.run().Stats, "what came later counts for nothing")
	require.Equal(t, run.Stats.Added, s.status().Store.Records)
	require.NotZero(t, s.serving().PID, "the process is not the one to blame")

	s.write("tenants/acme.yaml", declared("load", small))
	s.noticed("it works again", func() bool { return s.run().State == "processed" })
	d.stop(t)
}

// rows: F20, K21
//
// Reload says by its exit code whether the files are in force.
func TestReloadTellsByItsExitCode(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.write("tenants/acme.yaml", declared("load", small))
	_, err := s.try("reload")
	require.Equal(t, exitEnvironment, exitCode(err), "there is no daemon")
	d := s.start()
	s.await(store.RunProcessed)
	require.Contains(t, s.cli("reload"), "nothing changed")
	s.write("tenants/acme.yaml", declared("load", "    label: Load it", small))
	s.noticed("the change is in force", func() bool { return strings.Contains(s.cli("reload"), "nothing changed") })
	s.write("tenants/acme.yaml", declared("load", "    labl: Load it", small))
	code, _ := s.exec("reload")
	require.Equal(t, exitUsage, code)
	code, _ = s.exec("diff")
	require.Equal(t, exitUsage, code)
	d.stop(t)
}

// rows: F20, K21
//
// What cannot be served with ends serve with 2 and every problem at once, before
// anything is touched.
func TestServeRefusesABadHostFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "data")))
	s.write("host.yaml", "version: 2\ndat: ./data\nlisten: everywhere\nplugins: {trust: anybody}\n")
	code, out := s.exec("serve")
	require.Equal(t, exitUsage, code)
	for _, problem := range []string{"host.yaml:1:", "reads version 1", "host.yaml:2:", `"dat"`, "host.yaml:3:", "not an address", "host.yaml:4:", `"anybody"`} {
		require.Contains(t, out, problem)
	}
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\nplugins: {trust: dir}\n")
	code, out = s.exec("serve")
	require.Equal(t, exitUsage, code)
	require.Contains(t, out, "trust: dir runs whatever is found in")
	require.Contains(t, out, "serve --dev")
	require.NoDirExists(t, filepath.Join(s.dir, "data"))
	require.NoFileExists(t, filepath.Join(s.dir, "jackfield.key"))
}
