package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/api"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// golden compares what a command printed with testdata/golden. JACKFIELD_UPDATE=1
// writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("JACKFIELD_UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// The shapes that host/README.md documents: a change here breaks somebody's
// script.
//
// rows: O47
func TestJSONShapes(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, &fakeDaemon{})
	for name, args := range map[string][]string{
		"status":            {"status"},
		"reload":            {"reload"},
		"plugin-list":       {"plugin", "list"},
		"tenant-list":       {"tenant", "list"},
		"integration-list":  {"integration", "list"},
		"integration-show":  {"integration", "show", "acme/history"},
		"integration-check": {"integration", "check", "acme/history"},
		"integration-sync":  {"integration", "sync", "acme/history", "--wait", "-q"},
		"run-list":          {"run", "list"},
		"run-show":          {"run", "show", "12"},
		"run-watch":         {"run", "watch", "12"},
		"run-continue":      {"run", "continue", "13"},
		"stream-list":       {"stream", "list", "--run", "12"},
		"record-list":       {"record", "list"},
	} {
		require.Equal(t, exitDone, s.run(append(args, "-o", "json")...), "%s: %s", name, s.stderr)
		require.Empty(t, s.stderr, name)
		golden(t, name+".json", s.stdout)
		one := s.stdout

		require.Equal(t, exitDone, s.run(append(args, "-o", "yaml")...), "%s: %s", name, s.stderr)
		var fromYAML any
		require.NoError(t, yaml.Unmarshal([]byte(s.stdout), &fromYAML), name)
		text, err := json.Marshal(fromYAML)
		require.NoError(t, err, name)
		if name != "record-list" { // it has a number that only JSON keeps
			require.JSONEq(t, one, string(text), name)
		}
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, &fakeDaemon{})
	for name, c := range map[string]struct {
		args  []string
		lines int
	}{
		"records":  {[]string{"record", "list"}, 2},
		"runs":     {[]string{"run", "list"}, 1},
		"tail":     {[]string{"record", "tail", "--from", "0"}, 2},
		"tailFrom": {[]string{"record", "tail", "--from", "1"}, 1},
		"watch":    {[]string{"run", "watch", "12"}, 2},
		"logs":     {[]string{"plugin", "logs", "git"}, 1},
		"syncs":    {[]string{"integration", "sync", "acme/history,acme/history", "-q"}, 2},
	} {
		require.Equal(t, exitDone, s.run(append(c.args, "-o", "jsonl")...), "%s: %s", name, s.stderr)
		lines := strings.Split(strings.TrimSuffix(s.stdout, "\n"), "\n")
		require.Len(t, lines, c.lines, name)
		for _, line := range lines {
			require.True(t, json.Valid([]byte(line)), line)
		}
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, &fakeDaemon{})
	for want, args := range map[string][]string{
		"isolation none: plugins are trusted like the operator": {"status"},
		"git - 1.0.0 approved serving partial 42":               {"plugin", "list"},
		"2026-":                       {"plugin", "logs", "git"},
		"acme/history git active 20m": {"integration", "list"},
		`token "***"`:                 {"integration", "show", "acme/history"},
		"acme/history: ok, 80ms":      {"integration", "check", "acme/history"},
		"acme/history: run 12 is pending. Watch: jackfield run watch 12":                                     {"integration", "sync", "acme/history"},
		"there is more: --page 12":                                                                           {"run", "list"},
		"why 1 of 3 streams failed: object is corrupt":                                                       {"run", "show", "12"},
		"failure bad_pack: object is corrupt (process_stream, remote, attempt 3)":                            {"run", "show", "13"},
		"run 12 acme/history is processed: 3 streams, 12,040 records read: 12,000 new, 40 as before in 1.5s": {"run", "watch", "12"},
		"1 ADDED acme/history activity c1 2026-01-02 03:04:05 fix <b>":                                       {"record", "list"},
		"there is more: --from 2":                                                                            {"record", "list", "--limit", "2"},
		"update acme/history git every tenants/acme.yaml:3":                                                  {"reload"},
	} {
		require.Equal(t, exitDone, s.run(args...), s.stderr)
		require.Contains(t, strings.Join(strings.Fields(s.stdout), " "), want)
		require.NotContains(t, s.stdout, " \n", "no blanks at the ends of lines")
	}
}

// rows: O15, O17, C36, C37
func TestExitCodes(t *testing.T) {
	t.Parallel()
	d := &fakeDaemon{}
	s := startDaemon(t, d)
	s.stdin = `{"token":"x"}`
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"UnknownIntegration": {[]string{"integration", "sync", "acme/nobody"}, exitFailed, "error: there is no integration \"acme/nobody\"\nhint: jackfield integration list\n"},
		"Disabled":           {[]string{"integration", "sync", "acme/off"}, exitFailed, "error: integration acme/off is disabled\nhint: set enabled: true in tenants/acme.yaml\n"},
		"Partial":            {[]string{"run", "watch", "13"}, exitFailed, ""},
		"BadEnd":             {[]string{"integration", "sync", "acme/broken", "--wait", "-q", "-o", "json"}, exitFailed, ""},
		"CheckFails":         {[]string{"integration", "check", "acme/history", "--settings", "-"}, exitFailed, ""},
		"Conflict":           {[]string{"run", "continue", "12"}, exitFailed, "error: run 12 is processed and cannot be continued\nhint: jackfield run show 12\n"},
		"Internal":           {[]string{"run", "cancel", "12"}, exitFailed, "error: internal error 1a2b3c4d\nhint: the daemon's log has it whole: look for 1a2b3c4d\n"},
		"BadConfiguration":   {[]string{"diff"}, exitUsage, ""},
		"Slow":               {[]string{"run", "list", "-t", "hang"}, exitEnvironment, "error: the daemon did not answer in time\nhint: raise --timeout\n"},
		"Older":              {[]string{"tenant", "show", "acme"}, exitEnvironment, ""},
	} {
		require.Equal(t, c.code, s.run(c.args...), "%s: %s", name, s.stderr)
		if c.stderr != "" {
			require.Equal(t, c.stderr, s.stderr, name)
			require.Empty(t, s.stdout, name)
		}
	}
	require.Equal(t, exitFailed, s.run("integration", "sync", "acme/broken", "--wait"))
	require.Equal(t, "acme/broken: run 13 is open already (pending); nothing was added\n", s.stderr)
	require.Contains(t, s.stdout, "bad_pack: object is corrupt")
	require.Equal(t, exitUsage, s.run("diff"))
	require.Contains(t, s.stdout, "error[unknown-key]: no key \"evry\"\n  --> tenants/acme.yaml:5:5\n 5 |     evry: 20\n   |     ^\n   = help: did you mean \"every\"?\n")

	s.env["JACKFIELD_TOKEN"] = "wrong"
	require.Equal(t, exitDenied, s.run("status"))
	require.Equal(t, "error: the token is missing or wrong\nhint: look at it\n", s.stderr)
}

// rows: C36
func TestSeveralSyncs(t *testing.T) {
	t.Parallel()
	d := &fakeDaemon{others: []*hostv1.Integration{{Id: "acme/off", Plugin: "git", State: "disabled"}}}
	s := startDaemon(t, d)
	require.Equal(t, exitFailed, s.run("integration", "sync", "acme/history", "acme/nobody"))
	require.Zero(t, d.synced.Load(), "none is started when one of the names is wrong")
	require.Equal(t, exitDone, s.run("integration", "sync", "acme/history,acme/history", "--onboarding", "--connector", "a,b", "x=1", "y=a=b", "-o", "json"))
	require.EqualValues(t, 2, d.synced.Load())
	require.True(t, d.asked.Load().GetOnboarding())
	require.Equal(t, []string{"a", "b"}, d.asked.Load().GetConnectors())
	require.Equal(t, map[string]string{"x": "1", "y": "a=b"}, d.asked.Load().GetParams())
	var got struct {
		Syncs []struct{ Integration string } `json:"syncs"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.stdout), &got))
	require.Len(t, got.Syncs, 2)

	require.Equal(t, exitDone, s.run("integration", "sync", "--plugin", "git"), s.stderr)
	require.EqualValues(t, 3, d.synced.Load(), "those that can run")
	require.Contains(t, s.stderr, "acme/off: left out, it is disabled")
}

func TestWaitingLivesThroughARestart(t *testing.T) {
	t.Parallel()
	d := &fakeDaemon{}
	s := startDaemon(t, d)
	d.lost = func() { // the next start has a token of its own
		next := "another-token"
		d.token.Store(&next)
		path := filepath.Join(filepath.Dir(s.env["JACKFIELD_CONFIG"]), "data", api.TokenName)
		require.NoError(t, os.WriteFile(path, []byte(next+"\n"), 0o600))
	}
	require.Equal(t, exitDone, s.run("integration", "sync", "acme/history", "--wait"), s.stderr)
	require.Contains(t, s.stdout, "run 12 is processed")
}

func TestSuggestsNames(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, &fakeDaemon{})
	for _, name := range []string{"acme/histroy", "history", "acm/history"} {
		require.Equal(t, exitFailed, s.run("integration", "show", name))
		require.Equal(t, "error: there is no integration \""+name+"\"\nhint: did you mean \"acme/history\"?\n", s.stderr)
	}
	require.Equal(t, exitFailed, s.run("integration", "sync", "acme/history,acme/histroy"))
	require.Contains(t, s.stderr, "hint: did you mean \"acme/history\"?\n")
	require.Equal(t, exitFailed, s.run("run", "watch", "1"))
	require.Contains(t, s.stderr, "hint: jackfield run list\n", "a number is like every other")
}

func TestHintsAreLinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := &hostv1.Failure{Point: "get_streams", Class: "config", Code: "bad_repository", Message: "there is no such folder (hint: use an absolute path)", Attempt: 1}
	require.Equal(t, "bad_repository: there is no such folder (get_streams, config, attempt 1)", failureText(f))
	var out, errs bytes.Buffer
	c := newCLI(nil, &out, &errs, func(string) string { return "" })
	require.NoError(t, c.printTable(func(t *table) { failureFacts(t, f) }))
	require.Contains(t, out.String(), "\nhint     use an absolute path\n")

	c.report(failed(errors.Join(errors.New("approve a: cut short (hint: copy it again)"), errors.Join(errors.New("approve b: boom"))), ""))
	require.Equal(t, "error: approve a: cut short\nhint: copy it again\nerror: approve b: boom\n", errs.String())
}

func TestRecordTitles(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"display_name":"Ada","emails":[]}`:       "Ada",
		`{"type":"message","body":"hi","score":6}`: "message: hi",
		`{"type":"channel_joined"}`:                "channel_joined",
		`{"title":7,"name":"n"}`:                   "n",
		`{"n":1}`:                                  "",
		`[1]`:                                      "",
	} {
		require.Equal(t, want, recordTitle([]byte(data)), data)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, &fakeDaemon{})
	require.Equal(t, exitDone, s.run("__complete", "integration", "show", ""))
	require.Contains(t, s.stdout, "acme/history\tgit, active\n")
	require.Equal(t, exitDone, s.run("__complete", "run", "watch", ""))
	require.Contains(t, s.stdout, "12\tacme/history manual, processed\n")
}
