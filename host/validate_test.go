package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/sdk"
)

// inited is a directory that init wrote, and a shell whose --config names it.
func inited(t *testing.T) (*shell, string) {
	t.Helper()
	s, dir := newShell(t), filepath.Join(t.TempDir(), "site")
	s.env["JACKFIELD_CONFIG"] = filepath.Join(dir, "host.yaml")
	require.Equal(t, exitDone, s.run("init", dir), s.stderr)
	return s, dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// approveFake makes a plugin approved as far as its manifest goes.
func approveFake(t *testing.T, dir string, m sdk.Manifest) {
	t.Helper()
	digest := strings.Repeat("ab", 32)
	require.NoError(t, discovery.SaveManifest(filepath.Join(dir, "data"), digest, m))
	var lock discovery.Lock
	lock.Approve(discovery.Entry{Name: m.Name, Version: m.Version, SHA256: digest, Size: 1})
	require.NoError(t, lock.Save(filepath.Join(dir, "plugins.lock")))
}

func forum() sdk.Manifest {
	return sdk.Manifest{
		Name: "forum", Label: "Forum", Version: "1.0.0", Connectors: []sdk.Connector{{Name: "posts"}},
		SettingsSchema: []byte(`{"type":"object","additionalProperties":false,"required":["token"],"properties":{"token":{"type":"string","x-secret":true}}}`),
	}
}

func TestInitInARepository(t *testing.T) {
	t.Parallel()
	s, dir := newShell(t), t.TempDir()
	put(t, filepath.Join(dir, ".gitignore"), "/bin/\n")
	require.Equal(t, exitDone, s.run("init", dir), s.stderr)
	require.Contains(t, s.stderr, "kept "+filepath.Join(dir, ".gitignore"))
	text, err := os.ReadFile(filepath.Join(dir, ".gitignore"))
	require.NoError(t, err)
	require.Equal(t, "/bin/\n", string(text))
	require.FileExists(t, filepath.Join(dir, "host.yaml"))
	require.Equal(t, exitFailed, s.run("init", dir))
	require.Contains(t, s.stderr, "host.yaml exists\nhint: init overwrites nothing")
}

func TestInitWritesWhatValidates(t *testing.T) {
	t.Parallel()
	s, dir := inited(t)
	require.Contains(t, s.stdout, "jackfield serve -c "+filepath.Join(dir, "host.yaml"))
	require.Equal(t, exitDone, s.run("validate"), s.stdout)
	require.Equal(t, "ok: 2 files, 0 integrations, 0 errors, 0 warnings\n", s.stdout)
	require.DirExists(t, filepath.Join(dir, "plugins"))
	for _, name := range []string{"host.yaml", "tenants/example.yaml"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(text), "# yaml-language-server: $schema=."), name)
	}
	// The examples in comments are what they say.
	text, err := os.ReadFile(filepath.Join(dir, "tenants/example.yaml"))
	require.NoError(t, err)
	put(t, filepath.Join(dir, "tenants/example.yaml"), strings.ReplaceAll(string(text), "\n  # ", "\n  "))
	host, err := os.ReadFile(filepath.Join(dir, "host.yaml"))
	require.NoError(t, err)
	_, settings, _ := strings.Cut(string(host), "again when this file changes.\n")
	settings = strings.NewReplacer("\n# For", "\n## For", "\n# ", "\n").Replace(settings)
	put(t, filepath.Join(dir, "host.yaml"), "version: 1\n"+settings)
	s.env["SLACK_TOKEN"] = "canary-token"
	require.Equal(t, exitDone, s.run("validate", "-o", "json"), s.stdout)
	require.Contains(t, s.stdout, `"integrations": 2`)
	require.NotContains(t, s.stdout, "canary")

	require.Equal(t, exitFailed, s.run("init", dir))
	require.Contains(t, s.stderr, "exists\nhint: init overwrites nothing")
	require.Equal(t, exitUsage, s.run("init", dir, "more"))
}

// rows: C01, O03, O43
func TestValidateTellsAllProblems(t *testing.T) {
	t.Parallel()
	s, dir := inited(t)
	approveFake(t, dir, forum())
	put(t, filepath.Join(dir, "tenants/acme.yaml"), `tenant: acme
integrations:
  - name: a
    plugin: forum
    settings: {tokn: canary-token}
  - name: b
    plugin: absent
    settings: {token: canary-token}
`)
	require.Equal(t, exitUsage, s.run("validate"))
	require.Empty(t, s.stderr)
	require.Contains(t, s.stdout, `error[unknown-setting]: plugin "forum" has no setting "tokn"`)
	require.Contains(t, s.stdout, ` 5 |     settings: {tokn: ***}`)
	require.Contains(t, s.stdout, `error[missing-setting]: plugin "forum" needs the setting "token"`)
	require.Contains(t, s.stdout, "not ok: 3 files, 2 integrations, 2 errors, 1 warning\n")
	require.Contains(t, s.stdout, "the settings are not checked: plugin \"absent\" is not approved\n")
	require.NotContains(t, s.stdout, "canary")

	for _, path := range []string{filepath.Join(dir, "tenants/acme.yaml"), dir} {
		require.Equal(t, exitUsage, s.run("validate", path, "-o", "json"))
		var v verdict
		require.NoError(t, json.Unmarshal([]byte(s.stdout), &v))
		require.False(t, v.OK)
		require.Len(t, v.Problems, 3)
		require.Equal(t, []string{"absent"}, v.Unchecked)
		require.NotContains(t, s.stdout, "canary")
	}
	require.Equal(t, exitUsage, s.run("validate", filepath.Join(dir, "nowhere.yaml")))
	require.Equal(t, exitEnvironment, newShellRun(t, "validate"))
}

func newShellRun(t *testing.T, args ...string) int {
	t.Helper()
	return newShell(t).run(args...)
}

// rows: O03
func TestSchema(t *testing.T) {
	t.Parallel()
	s, dir := inited(t)
	approveFake(t, dir, forum())
	for _, args := range [][]string{{"schema"}, {"schema", "config"}} {
		require.Equal(t, exitDone, s.run(args...), s.stderr)
		var schema struct {
			Defs map[string]json.RawMessage `json:"$defs"`
		}
		require.NoError(t, json.Unmarshal([]byte(s.stdout), &schema))
		require.Contains(t, schema.Defs, "plugin.forum")
	}
	require.Equal(t, exitDone, s.run("schema", "plugin", "forum"), s.stderr)
	require.JSONEq(t, string(forum().SettingsSchema), s.stdout)
	require.Equal(t, exitFailed, s.run("schema", "plugin", "absent"))
	require.Contains(t, s.stderr, "hint: jackfield plugin approve absent")
	require.Equal(t, exitUsage, s.run("schema", "plugin"))
	require.Equal(t, exitUsage, s.run("schema", "confg"))
}

func TestQuickstartExampleIsValid(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.env[quickstartRepo], s.env[quickstartCRM] = t.TempDir(), "127.0.0.1:7482"
	require.Equal(t, exitDone, s.run("validate", "../examples/quickstart"), s.stdout)
	require.Contains(t, s.stdout, "3 files, 2 integrations, 0 errors")
	delete(s.env, quickstartRepo)
	require.Equal(t, exitUsage, s.run("validate", "../examples/quickstart"))
	require.Contains(t, s.stdout, "missing-secret")
}
