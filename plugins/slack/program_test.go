package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program keeps the contract as a process too: jackfield plugin test says so.
func TestProgramConformance(t *testing.T) {
	t.Parallel()
	f := acme(t)
	f.longest = 4 // several pages, several checkpoints
	dir := t.TempDir()
	for name, pkg := range map[string]string{"jackfield": "../../host", "slack": "."} {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	file := func(name string, more object) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, settingsFor(f, more).Reveal(), 0o600))
		return path
	}
	test := exec.CommandContext(t.Context(), filepath.Join(dir, "jackfield"), "plugin", "test", filepath.Join(dir, "slack"), "-o", "json",
		"--settings", file("settings", nil), "--refused-settings", file("refused", object{"token": "xoxb-another-0123456789"}),
		"--bad-settings", file("bad", object{"thread_days": 0, "token": ""}), "--remote-setting", "api_url")
	out, err := test.Output()
	var report struct {
		Plugin string
		Failed int
		Checks []struct {
			Name, Verdict string
			Reasons       []string
		}
	}
	require.NoError(t, json.Unmarshal(out, &report), string(out))
	var skipped []string
	for _, c := range report.Checks {
		require.NotEqual(t, "fail", c.Verdict, "%s: %s", c.Name, c.Reasons)
		if c.Verdict == "skip" {
			skipped = append(skipped, c.Name)
		}
	}
	require.NoError(t, err)
	require.Equal(t, "slack", report.Plugin)
	require.Equal(t, []string{"future"}, skipped)
}
