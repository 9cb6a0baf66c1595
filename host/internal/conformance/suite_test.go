package conformance_test

import (
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/conformance"
)

// The plugins of this repository keep the contract as processes.
func TestPluginsPass(t *testing.T) {
	t.Parallel()
	git, err := json.Marshal(map[string]any{"path": repository(t)})
	require.NoError(t, err)
	for name, settings := range map[string]string{
		"hello": `{"name":"world","count":2,"token":"t0p-s3cret"}`,
		"git":   string(git),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, checks := test(t, program(t, name), conformance.Options{Settings: []byte(settings)})
			require.Empty(t, failed(report), "%v", report.Checks)
			require.Equal(t, name, report.Plugin)
			for _, rule := range []string{"start", "run", "resume", "repeat", "second_run", "go_on", "cancel", "kill", "parent", "stdout", "stderr"} {
				require.Equal(t, conformance.Pass, checks[rule].Verdict, rule)
			}
		})
	}
}

// Without settings that fit there is nothing to look at, and the report says so.
func TestSettingsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	report, checks := test(t, program(t, "git"), conformance.Options{})
	require.Equal(t, []string{"settings"}, failed(report))
	require.Contains(t, checks["settings"].Hint, "path")
	require.Equal(t, conformance.Skip, checks["run"].Verdict)
	require.NotEmpty(t, checks["run"].Reasons)
	require.Equal(t, conformance.Pass, checks["parent"].Verdict)
}

// repository makes a repository of a few commits.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.org"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	git("init", "-q", "-b", "main")
	for range 5 {
		git("commit", "-q", "--allow-empty", "-m", "one more")
	}
	return dir
}
