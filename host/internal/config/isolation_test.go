package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: H24, P09
//
// Who shares a process of a plugin is read from host.yaml, strictly, and at the start
// alone.
func TestIsolationIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "host.yaml")
	write := func(text string) {
		require.NoError(t, os.WriteFile(path, []byte("version: 1\n"+text), 0o600))
	}
	read := func(text string) (Host, Problems) {
		write(text)
		return LoadHost(path, Options{})
	}
	host, problems := read("plugins: {slack: {isolation: tenant, idle: 1m}, git: {isolation: process}, max_processes: 8}\n")
	require.Empty(t, problems)
	require.Equal(t, IsolationTenant, host.Plugins.IsolationOf("slack"))
	require.Equal(t, IsolationProcess, host.Plugins.IsolationOf("git"))
	require.Equal(t, IsolationProcess, host.Plugins.IsolationOf("other"))
	require.Equal(t, 8, host.Plugins.MaxProcesses)
	host, problems = read("plugins: {idle: 5m}\n")
	require.Empty(t, problems)
	require.Equal(t, 32, host.Plugins.MaxProcesses)

	for text, want := range map[string]struct {
		code, help string
		col        int
	}{
		"plugins: {slack: {isolation: shared}}\n":   {CodeBadValue, "one of process, tenant", 30},
		"plugins: {slack: {isolation: [tenant]}}\n": {CodeBadType, "", 30},
		"plugins: {slack: {isolated: tenant}}\n":    {CodeUnknownKey, "isolation", 19},
		"plugins: {slack: tenant}\n":                {CodeUnknownKey, "", 11},
		"plugins: {max_processes: 0}\n":             {CodeBadValue, "", 26},
		"plugins: {max_processes: 1001}\n":          {CodeBadValue, "", 26},
		"plugins: {max_processes: many}\n":          {CodeBadType, "", 26},
	} {
		_, problems := read(text)
		require.Len(t, problems, 1, text)
		require.Equal(t, want.code, problems[0].Code, text)
		require.Equal(t, path, problems[0].File, text)
		require.Equal(t, 2, problems[0].Line, text)
		require.Equal(t, want.col, problems[0].Col, text)
		require.Contains(t, problems[0].Help, want.help, text)
	}

	write("plugins: {slack: {isolation: tenant}, max_processes: 8}\n")
	running := Default(path)
	s := Load(path, Options{Running: &running})
	require.Equal(t, IsolationProcess, s.Host.Plugins.IsolationOf("slack"))
	require.Equal(t, 32, s.Host.Plugins.MaxProcesses)
	told := map[string]bool{}
	for _, p := range s.Problems {
		if p.Code == CodeNeedsRestart {
			told[p.Message] = true
		}
	}
	for _, key := range []string{"plugins.NAME.isolation", "plugins.max_processes"} {
		require.True(t, told[key+" is read at the start alone; the daemon goes on with what it had"], s.Problems)
	}
}
