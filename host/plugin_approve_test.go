package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/discovery"
)

// rows: K21, P01, O01
func TestApproveWritesTheLock(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{})
	var out struct{ Approved []approved }
	require.NoError(t, json.Unmarshal([]byte(s.cli("plugin", "approve", "-o", "json", "load")), &out))
	require.Len(t, out.Approved, 1)
	p := out.Approved[0]
	require.Equal(t, "load", p.Name)
	require.False(t, p.Changed, "the site approved it")

	lock, err := discovery.LoadLock(filepath.Join(s.dir, discovery.LockFile))
	require.NoError(t, err)
	entry, ok := lock.ByName("load")
	require.True(t, ok)
	digest, err := discovery.Digest(filepath.Join(s.dir, "plugins", "load"))
	require.NoError(t, err)
	require.Equal(t, digest, entry.SHA256)
	require.Equal(t, p.SHA256, entry.SHA256)
	require.Equal(t, p.Version, entry.Version)
	require.Equal(t, "load", entry.File)
	require.False(t, entry.ApprovedAt.IsZero())
	m, err := discovery.LoadManifest(filepath.Join(s.dir, "data"), digest)
	require.NoError(t, err)
	require.Equal(t, "load", m.Name)
	require.Contains(t, s.cli("plugin", "approve", "load"), "before")
	require.Empty(t, s.cli("plugin", "approve", "--all"), "nothing is left to approve")
}

// rows: O02, F08
func TestApproveRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{})
	dir := filepath.Join(s.dir, "plugins")
	body, err := os.ReadFile(filepath.Join(dir, "load"))
	require.NoError(t, err)
	second := append(append([]byte{}, body...), "other"...)
	for name, content := range map[string][]byte{
		"second":  second,
		"broken":  []byte("#!/bin/sh\necho boom >&2\nexit 3\n"),
		"cut":     body[:len(body)/2],
		"nothing": []byte("hello"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o755))
	}
	before, err := os.ReadFile(filepath.Join(s.dir, discovery.LockFile))
	require.NoError(t, err)
	for name, want := range map[string][]string{
		"second":  {filepath.Join(dir, "load"), filepath.Join(dir, "second"), "is served by"},
		"broken":  {"exited with code 3 before the handshake", "boom"},
		"cut":     {"the file is cut short", "hint: copy it again"},
		"nothing": {"the file is no program"},
		"absent":  {"there is no such file in " + dir, "hint: copy it there first"},
	} {
		out, err := s.try("plugin", "approve", name)
		require.Error(t, err, name)
		require.Equal(t, exitFailed, exitCode(err), name)
		for _, part := range want {
			require.Contains(t, out, part, name)
		}
	}
	after, err := os.ReadFile(filepath.Join(s.dir, discovery.LockFile))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	_, err = s.try("plugin", "approve")
	require.Equal(t, exitUsage, exitCode(err))
	_, err = s.try("plugin", "approve", "--all", "load")
	require.Equal(t, exitUsage, exitCode(err))

	require.NoError(t, os.Remove(filepath.Join(dir, "load")))
	s.cli("plugin", "approve", "second")
	lock, err := discovery.LoadLock(filepath.Join(s.dir, discovery.LockFile))
	require.NoError(t, err)
	require.Len(t, lock.Plugins, 1)
	require.Equal(t, "second", lock.Plugins[0].File)
}
