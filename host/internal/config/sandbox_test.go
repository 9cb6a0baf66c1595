package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: P04, P08
func TestSandboxAndMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "host.yaml")
	load := func(text string) PluginDir {
		h, problems := LoadHost(write(t, path, "version: 1\n"+text), testOptions())
		require.Empty(t, problems)
		return h.Plugins
	}
	none := load("")
	require.Equal(t, Sandbox{Require: "none"}, none.Sandbox)
	require.Equal(t, uint64(1<<30), none.Memory)
	for text, want := range map[string]uint64{"512MiB": 512 << 20, "2 GiB": 2 << 30, "262144KiB": 256 << 20, "134217728": 128 << 20} {
		require.Equal(t, want, load("plugins: {memory: "+text+"}\n").Memory, text)
	}
	for _, text := range []string{"1.5GiB", "-1GiB", "512MB", "10000000000GiB", "17179869184GiB", "''", "many"} {
		h, problems := LoadHost(write(t, path, "version: 1\nplugins: {memory: "+text+"}\n"), testOptions())
		require.Equal(t, []string{CodeBadValue}, codes(problems), text)
		require.Equal(t, uint64(1<<30), h.Plugins.Memory, text)
	}
	running, problems := LoadHost(write(t, path, "version: 1\nplugins: {sandbox: {require: full, require_user: true, trusted: [legacy]}}\n"), testOptions())
	require.Empty(t, problems)
	require.Equal(t, Sandbox{Require: "full", RequireUser: true, Trusted: []string{"legacy"}}, running.Plugins.Sandbox)

	// They count from the start on.
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tenants"), 0o700))
	write(t, path, "version: 1\nplugins: {memory: 2GiB}\n")
	snap := Load(path, Options{Running: &running})
	require.Equal(t, []string{CodeNeedsRestart, CodeNeedsRestart, CodeNeedsRestart, CodeNeedsRestart}, codes(snap.Problems))
	require.Equal(t, running.Plugins, snap.Host.Plugins)
}

// rows: P04
func TestPathsOfSettings(t *testing.T) {
	t.Parallel()
	schema := []byte(`{"type": "object", "properties": {
		"path": {"type": "string", "x-path": true},
		"paths": {"type": "array", "x-path": true, "items": {"type": "string"}},
		"inside": {"type": "object", "properties": {"key": {"type": "string", "x-path": true, "x-secret": true}, "file": {"type": "string", "x-path": true}}},
		"name": {"type": "string"}
	}}`)
	settings := []byte(`{"path": "/b", "paths": ["/c", "/a", "/b", ""], "inside": {"key": "/no", "file": "/d"}, "name": "/no", "unknown": "/no"}`)
	require.Equal(t, []string{"/a", "/b", "/c", "/d"}, Paths(schema, settings))
	require.Empty(t, Paths(nil, settings))
	require.Empty(t, Paths(schema, []byte("no JSON")))
}
