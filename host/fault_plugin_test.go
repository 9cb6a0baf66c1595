//go:build unix

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: P01, C01, C60, F08
//
// What nobody approved is listed with its digest and is not executed; an
// approval wakes the integration that waits for it, without a restart. One that comes
// while its plugin is not there waits from the beginning.
func TestUnapprovedIsListedAndNotRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins.lock")))
	canary := filepath.Join(s.dir, "canary")
	s.place("canary", []byte("#!/bin/sh\n: > "+canary+"\n"), 0o755)
	d := s.start()
	s.ready()
	s.until("the integration is parked", func() bool { return s.shown("acme/load").State == "parked" })
	for _, name := range []string{"load", "canary"} {
		p := s.file(name)
		require.Equal(t, "unapproved", p.Verdict)
		require.Len(t, p.Digest, 64)
		require.Contains(t, p.Reason, "jackfield plugin approve "+p.File)
		require.Empty(t, p.State)
	}
	require.Contains(t, s.shown("acme/load").Reason, `"load" is not loaded`)
	require.Equal(t, "degraded", s.status().State)
	s.write("tenants/later.yaml", "tenant: later\nintegrations: [{name: other, plugin: nowhere}]\n")
	s.until("a new one is parked", func() bool { return s.shown("later/other").State == "parked" })
	require.Equal(t, `plugin "nowhere" is not loaded`, s.shown("later/other").Reason)
	out, err := s.try("integration", "sync", "acme/load")
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, `parked: plugin "load" is not loaded`)
	require.Contains(t, out, "hint: jackfield plugin list")

	s.cli("plugin", "approve", "load")
	s.await(store.RunProcessed)
	require.Equal(t, "active", s.shown("acme/load").State)
	d.stop(t)
	require.Equal(t, expected(2, 5), s.contents())
	require.NoFileExists(t, canary, "a program that nobody approved was executed")
}

// rows: C01, C31, C60
//
// A plugin whose file goes away ends between streams; the run waits with its
// integration, says so, and goes on when the file is back.
func TestPluginGoneParksAndBackResumes(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 4, "pages": 6, "records": 20, "segment": 10, "pause_ms": 40})
	d := s.start()
	s.ready()
	run := s.started()
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins", "load")))
	s.until("the integration is parked", func() bool { return s.shown("acme/load").State == "parked" })
	s.until("the process is gone", func() bool { return len(s.processes()) == 0 })
	require.Contains(t, s.shown("acme/load").Reason, `"load" is not loaded`)
	out := s.cli("run", "show", run.ID)
	require.Contains(t, out, `the integration is parked: plugin "load" is not loaded`)
	require.Contains(t, strings.Join(s.status().Reasons, "\n"), "integrations that are parked: 1")

	s.install("load")
	s.await(store.RunProcessed)
	run = s.run()
	require.Equal(t, 4*6*20, run.Stats.Added, "counted once")
	require.Equal(t, run.Stats.Added, run.Stats.Read)
	for _, st := range s.streams(run.ID) {
		require.Zero(t, st.Attempts, "a plugin that is taken away is no failure of a stream")
	}
	d.stop(t)
	require.Equal(t, expected(4, 6*20), s.contents())
}

// rows: C60, F07, F08
//
// A changed binary does not run before it is approved, while the old one goes on
// serving; then it takes over between segments. No stream fails.
func TestChangedBinaryReplacesTheOldUnderWork(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 8, "pages": 80, "records": 20, "segment": 10, "pause_ms": 40})
	d := s.start()
	s.ready()
	s.started()
	old := s.serving()
	s.place("load", newVersion(t), 0o755)
	s.until("the change is seen", func() bool {
		for _, p := range s.plugins() {
			if p.Verdict == "unapproved" {
				require.Contains(t, p.Reason, "changed since load 1.0.0 was approved")
				return true
			}
		}
		return false
	})
	kept := s.serving()
	require.Equal(t, old.PID, kept.PID, "the old one serves")
	require.Equal(t, "kept", kept.Verdict)

	s.cli("plugin", "approve", "load")
	s.until("the new one serves", func() bool {
		p := s.serving()
		return p.PID != 0 && p.Digest != old.Digest
	})
	require.Equal(t, "processing", s.run().State, "it was replaced while a run was under way")
	s.await(store.RunProcessed)
	run := s.run()
	require.Equal(t, 8*80*20, run.Stats.Added)
	require.Equal(t, run.Stats.Added, run.Stats.Read)
	for _, st := range s.streams(run.ID) {
		require.Zero(t, st.Attempts)
		require.Zero(t, st.Interrupts)
		require.Nil(t, st.Failure)
	}
	s.until("the old one is gone", func() bool { return len(s.processes()) == 1 })
	s.until("the change is over", func() bool { return len(s.events("plugin.active")) == 2 })
	require.Len(t, s.events("plugin.upgrading"), 1)
	require.Len(t, s.events("plugin.draining"), 1)
	require.Len(t, s.events("plugin.process.serving"), 2)
	require.Len(t, s.events("plugin.artifact.unapproved"), 1)
	require.Len(t, s.events("plugin.artifact.ready"), 2)
	d.stop(t)
	require.Len(t, strings.Split(d.log.String(), "plugin moved"), 1+4, "active, upgrading, draining, active")
	require.Equal(t, expected(8, 80*20), s.contents())
}

// rows: F08, O02
//
// What cannot run is listed with the reason and the cure; the plugins beside it
// do not notice.
func TestUnfitFilesAreListedWithTheCure(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	whole := s.program("load")
	s.place("truncated", whole[:len(whole)/2], 0o755)
	s.place("empty", nil, 0o755)
	s.place("notes", []byte("remember the milk\n"), 0o755)
	s.place("still-a-file", whole, 0o644)
	s.place("open", whole, 0o777)
	s.place("second", whole, 0o755)
	s.place("script", []byte("#!/no/such/interpreter\n"), 0o755)
	want := map[string][2]string{
		"truncated":    {"incomplete", "copy it again"},
		"empty":        {"incomplete", "copy it again"},
		"notes":        {"not-executable", "the file is no program"},
		"still-a-file": {"not-executable", "chmod +x"},
		"open":         {"refused", "chmod o-w"},
		"second":       {"duplicate", filepath.Join("plugins", "load")},
		"script":       {"not-executable", "/no/such/interpreter is missing"},
	}
	if runtime.GOOS == "linux" {
		foreign := append([]byte(nil), whole...)
		machine := map[bool]uint16{true: 183, false: 62}[runtime.GOARCH == "amd64"] // the other of arm64 and amd64
		binary.LittleEndian.PutUint16(foreign[18:], machine)
		s.place("foreign", foreign, 0o755)
		want["foreign"] = [2]string{"wrong-arch", fmt.Sprintf("GOARCH=%s", runtime.GOARCH)}
	}
	d := s.start()
	s.await(store.RunProcessed)
	reasons := strings.Join(s.status().Reasons, "\n")
	for name, expect := range want {
		p := s.file(name)
		require.Equal(t, expect[0], p.Verdict, name)
		require.Contains(t, p.Reason, expect[1], name)
		require.Contains(t, reasons, p.File, "the status tells of it")
	}
	require.Equal(t, "approved", s.file("load").Verdict, "the first of two keeps serving")

	// A whole copy in the place of the cut one runs as soon as it is approved.
	s.place("truncated", newVersion(t), 0o755)
	s.until("the copy is looked at again", func() bool { return s.file("truncated").Verdict == "unapproved" })
	d.stop(t)
}

// rows: O02
//
// A second program for a plugin that another one serves cannot be approved. The
// refusal names both files.
func TestSecondProgramOfAPluginIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	s.place("load2", newVersion(t), 0o755)
	d := s.start()
	s.await(store.RunProcessed)
	serving := s.serving()
	out, err := s.try("plugin", "approve", "load2")
	require.Equal(t, exitFailed, exitCode(err))
	require.Contains(t, out, filepath.Join(s.dir, "plugins", "load")+" already")
	require.Contains(t, out, filepath.Join(s.dir, "plugins", "load2"))
	require.Equal(t, "unapproved", s.file("load2").Verdict)
	require.Equal(t, serving.PID, s.serving().PID)
	d.stop(t)
}
