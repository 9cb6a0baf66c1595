package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: H34
func TestPluginLint(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newShell(t)
	good := packaged(t, dir, "good", "runtime: js")
	require.Equal(t, exitDone, s.run("plugin", "lint", good), s.stderr)
	require.Equal(t, "ok: 1 package, 0 errors\n", s.stdout)

	bad := packaged(t, dir, "bad", "runtime: js\ncolor: blue\nmanifest: {settings: {key: {type: many}}}")
	require.Equal(t, exitUsage, s.run("plugin", "lint", good, bad))
	require.Empty(t, s.stderr)
	require.Contains(t, s.stdout, "error[bad-package]: field color not found\n  --> "+filepath.Join(bad, "plugin.yaml")+":5:1\n 5 | color: blue\n   | ^\n")
	require.Contains(t, s.stdout, "manifest.settings.key: it is no JSON Schema")
	require.Contains(t, s.stdout, "not ok: 2 packages, 2 errors\n")

	require.Equal(t, exitUsage, s.run("plugin", "lint", bad, "-o", "json"))
	var doc linted
	require.NoError(t, json.Unmarshal([]byte(s.stdout), &doc))
	require.False(t, doc.OK)
	require.Equal(t, []string{bad}, doc.Paths)
	require.Len(t, doc.Problems, 2)
	require.Equal(t, 6, doc.Problems[1].Line)
	require.Equal(t, 23, doc.Problems[1].Col)

	require.Equal(t, exitUsage, s.run("plugin", "lint", filepath.Join(dir, "none")))
	require.Contains(t, s.stderr, "there is no "+filepath.Join(dir, "none"))
	require.Equal(t, exitUsage, s.run("plugin", "lint"))
}

// What vouches for a program comes along with it, and that of the one before goes.
//
// rows: H34
func TestAChecksumIsInstalledWithItsProgram(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	put(t, filepath.Join(from, "slack"), "#!/bin/sh\n")
	put(t, filepath.Join(from, "slack.sha256"), "digest")
	here, there := filepath.Join(from, "slack"), filepath.Join(to, "slack")
	require.NoError(t, putPlugin(here, there))
	text, err := os.ReadFile(there + ".sha256")
	require.NoError(t, err)
	require.Equal(t, "digest", string(text))
	require.NoError(t, os.Remove(here+".sha256"))
	require.NoError(t, putPlugin(here, there))
	require.FileExists(t, there)
	require.NoFileExists(t, there+".sha256")
}
