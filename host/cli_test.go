package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// shell runs the command line as a person would, with an environment of its own.
type shell struct {
	t      *testing.T
	env    map[string]string
	stdin  string
	ctx    context.Context //nolint:containedctx // of one test
	stdout string          // of the newest command
	stderr string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	// A place without a daemon, whatever the directory of the tests has.
	return &shell{t: t, ctx: t.Context(), env: map[string]string{"JACKFIELD_CONFIG": filepath.Join(t.TempDir(), "host.yaml")}}
}

// run returns the exit code.
func (s *shell) run(args ...string) int {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	env := maps.Clone(s.env)
	c := newCLI(bytes.NewBufferString(s.stdin), &stdout, &stderr, func(name string) string { return env[name] })
	err := c.run(s.ctx, args)
	s.stdout, s.stderr = stdout.String(), stderr.String()
	return exitCode(err)
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string // on stderr
	}{
		"Command":      {[]string{"statsu"}, "error: jackfield has no command \"statsu\"\nhint: did you mean \"status\"?\n"},
		"SubCommand":   {[]string{"run", "lst"}, "error: jackfield run has no command \"lst\"\nhint: did you mean \"list\"?\n"},
		"Nothing":      {[]string{"run", "xyzzy"}, "error: jackfield run has no command \"xyzzy\"\nhint: see jackfield run --help\n"},
		"Flag":         {[]string{"run", "list", "--ouptut", "json"}, "error: jackfield run list: unknown flag: --ouptut\nhint: did you mean \"--output\"?\n"},
		"ShortFlag":    {[]string{"run", "list", "-z"}, "error: jackfield run list: unknown shorthand flag: 'z' in -z\nhint: see jackfield run list --help\n"},
		"Enum":         {[]string{"status", "-o", "xml"}, `"xml" is none of table, json, jsonl, yaml`},
		"Duration":     {[]string{"status", "--timeout", "soon"}, "error: jackfield status: --timeout: \"soon\" is no duration\nhint: a number and its unit, such as 90s or 1h30m\n"},
		"Number":       {[]string{"run", "list", "--limit", "many"}, "error: jackfield run list: --limit: \"many\": invalid syntax\nhint: see jackfield run list --help\n"},
		"Missing":      {[]string{"run", "show"}, "error: jackfield run show: missing RUN\nhint: usage: jackfield run show RUN [flags]\n"},
		"TooMany":      {[]string{"run", "show", "1", "2"}, "error: jackfield run show: unexpected argument \"2\"\n"},
		"None":         {[]string{"status", "now"}, "error: jackfield status: unexpected argument \"now\"\n"},
		"NoRun":        {[]string{"stream", "list"}, "error: jackfield stream list: missing --run or --integration\nhint: jackfield run list\n"},
		"Shell":        {[]string{"completion", "tcsh"}, "no completion for \"tcsh\"\nhint: bash, fish, powershell or zsh\n"},
		"Address":      {[]string{"status", "--address", "example.com:7480"}, "error: example.com:7480: the token would cross the network in clear\nhint: say https://example.com:7480"},
		"ClearURL":     {[]string{"status", "--address", "http://example.com"}, "error: http://example.com: the token would cross the network in clear"},
		"OddURL":       {[]string{"status", "--address", "https://a@example.com"}, "error: https://a@example.com: not the address of a daemon"},
		"SettingsFile": {[]string{"integration", "check", "a/b", "--settings", "/nowhere/x.json"}, "error: read settings: open /nowhere/x.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t)
			require.Equal(t, exitUsage, s.run(c.args...), s.stderr)
			require.Contains(t, s.stderr, c.want)
			require.Empty(t, s.stdout, "only the result goes to stdout")
		})
	}
}

func TestEnvironmentOfFlags(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.env["JACKFIELD_OUTPUT"] = "xml"
	require.Equal(t, exitUsage, s.run("version"))
	require.Contains(t, s.stderr, "error: JACKFIELD_OUTPUT: ")
	require.Contains(t, s.stderr, `"xml" is none of`)
	s.env["JACKFIELD_OUTPUT"] = "json"
	require.Equal(t, exitDone, s.run("version"))
	require.True(t, json.Valid([]byte(s.stdout)))
	require.Equal(t, exitDone, s.run("version", "-o", "yaml"), "a flag goes before its variable")
	require.Contains(t, s.stdout, "version: ")
}

// rows: C36
func TestSyncWithoutNamesPrintsHelp(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, args := range [][]string{{"integration", "sync"}, {"integration", "sync", "--onboarding"}, {"integration", "sync", "a=b"}} {
		require.Equal(t, exitUsage, s.run(args...))
		require.Contains(t, s.stderr, "Usage:\n  jackfield integration sync INTEGRATION... [KEY=VALUE...]")
		require.Contains(t, s.stderr, "error: jackfield integration sync: missing INTEGRATION")
		require.Empty(t, s.stdout)
	}
}

func TestHelpIsAResult(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, args := range [][]string{{}, {"--help"}, {"run"}, {"help", "run"}, {"run", "list", "--help"}} {
		require.Equal(t, exitDone, s.run(args...))
		require.Contains(t, s.stdout, "Usage:")
		require.Empty(t, s.stderr)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bash", "fish", "powershell", "zsh"} {
		s := newShell(t)
		require.Equal(t, exitDone, s.run("completion", name))
		require.Contains(t, s.stdout, "jackfield")
	}
	s := newShell(t)
	require.Equal(t, exitDone, s.run("__complete", "run", "list", "-o", ""))
	require.Contains(t, s.stdout, "table\njson\njsonl\nyaml\n")
}

func TestWithoutADaemon(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	require.Equal(t, exitEnvironment, s.run("status"))
	require.Contains(t, s.stderr, "error: there is no "+s.env["JACKFIELD_CONFIG"]+"\nhint: ")
	require.NoError(t, os.WriteFile(s.env["JACKFIELD_CONFIG"], []byte("version: 1\n"), 0o600))
	require.Equal(t, exitEnvironment, s.run("status"))
	require.Regexp(t, `^error: no daemon at .*/data/jackfield.sock\nhint: start it: jackfield serve\n$`, s.stderr)
	require.Equal(t, exitDenied, s.run("status", "--address", "127.0.0.1:1"))
	require.Equal(t, "error: no token for 127.0.0.1:1\nhint: set JACKFIELD_TOKEN\n", s.stderr)
	require.Equal(t, exitEnvironment, s.run("status", "-c", s.env["JACKFIELD_CONFIG"]))
	require.Contains(t, s.stderr, "hint: start it: jackfield -c "+s.env["JACKFIELD_CONFIG"]+" serve\n", "the same daemon")
	s.env["JACKFIELD_TOKEN"] = "x"
	require.Equal(t, exitEnvironment, s.run("status", "--address", filepath.Join(t.TempDir(), "x.sock")))
	require.Empty(t, s.stdout)
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.ctx = ctx
	require.Equal(t, exitInterrupted, s.run("status"))
	require.Empty(t, s.stderr, "whoever typed Ctrl-C knows")
}
