package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: P01
func TestLockIsStableText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), LockFile)
	var lock Lock
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	slack := Entry{Name: "slack", Version: "1.4.2", SHA256: sum([]byte("a")), Size: 19, File: "slack", Capabilities: []string{"preprocess", "check"}, ApprovedAt: at}
	require.True(t, lock.Approve(slack))
	require.False(t, lock.Approve(slack), "approving again changes nothing")
	require.True(t, lock.Approve(Entry{Name: "git", Version: "0.1.0", SHA256: sum([]byte("b")), Size: 7}))
	require.NoError(t, lock.Save(path))
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, lockHeader+`version: 1
plugins:
- name: git
  version: 0.1.0
  sha256: `+sum([]byte("b"))+`
  size: 7
- name: slack
  version: 1.4.2
  sha256: `+sum([]byte("a"))+`
  size: 19
  file: slack
  capabilities:
  - check
  - preprocess
  approved_at: 2026-11-22T01:02:03Z
`, string(body))
	read, err := LoadLock(path)
	require.NoError(t, err)
	require.NoError(t, read.Save(path))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(body), string(again))

	slack.SHA256, slack.Version = sum([]byte("c")), "1.5.0"
	require.True(t, read.Approve(slack))
	require.Len(t, read.Plugins, 2, "a plugin has one approved digest")
	_, ok := read.ByDigest(sum([]byte("a")))
	require.False(t, ok)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLockRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), LockFile)
	lock, err := LoadLock(path)
	require.NoError(t, err)
	require.Empty(t, lock.Plugins, "no lock: nothing is approved")
	for text, want := range map[string]string{
		"version: 2\nplugins: []\n":                                       "version 2 is not supported",
		"version: 1\nplugin: []\n":                                        "plugin",
		"version: 1\nversion: 1\n":                                        "version",
		"<<<<<<< HEAD\nversion: 1\n":                                      "hint: restore it from version control",
		"version: 1\nplugins: [{name: ../x, version: '1', sha256: ab}]\n": `"../x" is no plugin name`,
		"version: 1\nplugins: [{name: x, version: '1', sha256: " + strings.Repeat("AB", 32) + "}]\n": "sha256 is not 64 digits of lower-case hex",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := LoadLock(path)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "discovery.", "an operator knows nothing of Go's types")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"slack": "slack", "Slack": "slack", "slack.exe": "slack", "slack_v1.4.2": "slack", "my-crm.v2": "my-crm.v2",
		"a_very": "a_very", "-x": "", "über": "", "a b": "",
	} {
		require.Equal(t, want, NameOf(file), file)
	}
	require.True(t, ValidName(strings.Repeat("a", 63)))
	require.False(t, ValidName(strings.Repeat("a", 64)))
	require.True(t, ValidVersion("1.4.2-rc.1+build"))
	require.False(t, ValidVersion("1 2"))
}

func FuzzInspect(f *testing.F) {
	exe, err := os.Executable()
	require.NoError(f, err)
	body, err := os.ReadFile(exe)
	require.NoError(f, err)
	f.Add(body[:4096])
	f.Add([]byte("#!/usr/bin/env -S FOO=1 sh\n"))
	f.Add([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := inspect(strings.NewReader(string(body)), int64(len(body))); err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
