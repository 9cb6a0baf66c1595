package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/discovery"
)

// rows: G30, O02
//
// Remove takes every version of a plugin away, however it is packed, and says what it
// leaves and why.
func TestRemoveTakesEveryVersion(t *testing.T) {
	t.Parallel()
	s, site := inited(t)
	dir := filepath.Join(site, "plugins")
	description := func(name, version string) string {
		return "schema: 1\nname: " + name + "\nversion: " + version + "\nruntime: js\n"
	}
	for file, text := range map[string]string{
		"slack/1.4.1/plugin.yaml":      description("slack", "1.4.1"),
		"slack/1.10.0/plugin.yaml":     description("slack", "1.10.0"),
		"slack/1.4.2/plugin.yaml":      description("slack", "1.4.2"),
		"slack/other/plugin.yaml":      description("git", "1.0.0"),
		"slack/notes/todo.txt":         "nothing",
		"teams/1.0.0/plugin.yaml":      description("slack", "1.0.0"),
		"elsewhere/plugin.yaml":        description("slack", "0.9.0"),
		"slack_v1.2.0":                 "a program",
		"slack_v1.2.0.minisig":         "its signature",
		"slack_v1.2.0.sha256":          "its digest",
		"slack_v1.3.0":                 "approved as another",
		"slack_v1.1.0.tar.gz":          "an archive",
		"slack.md":                     "no program",
		"slackline":                    "another",
		"git/1.0.0/plugin.yaml":        description("git", "1.0.0"),
		"slack/1.4.1/SHA256SUMS":       "",
		"slack/1.4.1/lib/deep/main.js": "code",
	} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		put(t, path, text)
	}
	var lock discovery.Lock
	lock.Approve(discovery.Entry{Name: "slack", Version: "1.4.2", SHA256: strings.Repeat("ab", 32), File: "slack/1.4.2"})
	lock.Approve(discovery.Entry{Name: "workspace", Version: "1.3.0", SHA256: strings.Repeat("cd", 32), File: "slack_v1.3.0"})
	require.NoError(t, lock.Save(filepath.Join(site, "plugins.lock")))

	require.Equal(t, exitDone, s.run("plugin", "remove", "slack", "-o", "json"), s.stderr)
	var done struct{ Removed []removed }
	require.NoError(t, json.Unmarshal([]byte(s.stdout), &done))
	r := done.Removed[0]
	at := func(files ...string) (out []string) {
		for _, f := range files {
			out = append(out, filepath.Join(dir, filepath.FromSlash(f)))
		}
		return out
	}
	require.ElementsMatch(t, at("elsewhere", "teams/1.0.0", "slack/1.4.1", "slack/1.10.0", "slack_v1.2.0", "slack_v1.1.0.tar.gz", "slack/1.4.2"), r.Files)
	require.Equal(t, at("slack/1.4.2")[0], r.Files[len(r.Files)-1], "nothing serves in its place meanwhile")
	require.Equal(t, at("slack/1.4.2")[0], r.File)
	require.True(t, r.Approved)
	require.ElementsMatch(t, []kept{
		{at("slack_v1.3.0")[0], "it is approved as plugin workspace"},
		{at("slack/notes")[0], "no plugin.yaml in it"},
		{at("slack/other")[0], "it is a version of plugin git"},
	}, r.Kept)
	require.Contains(t, s.stderr, at("slack/notes")[0]+" is kept: no plugin.yaml in it\n")
	var left []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); !d.IsDir() {
			left = append(left, filepath.ToSlash(rel))
		}
		return err
	}))
	require.ElementsMatch(t, []string{"slack/other/plugin.yaml", "slack/notes/todo.txt", "slack_v1.3.0", "slack.md", "slackline", "git/1.0.0/plugin.yaml"}, left)
	require.NoDirExists(t, filepath.Join(dir, "teams"), "no version is left in it")
	after, err := discovery.LoadLock(filepath.Join(site, "plugins.lock"))
	require.NoError(t, err)
	require.Len(t, after.Plugins, 1)
	require.Equal(t, "workspace", after.Plugins[0].Name)

	require.Equal(t, exitFailed, s.run("plugin", "remove", "slack"), "there is none any more")
}
