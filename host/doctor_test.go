package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// report is what doctor prints with -o json.
type report struct {
	OK       bool `json:"ok"`
	Failed   int  `json:"failed"`
	Warnings int  `json:"warnings"`
	Checks   []struct {
		Group, Check, Status, Message, Hint string
	} `json:"checks"`
}

// newDoctor returns a shell in a directory with a sound host.yaml and no daemon.
func newDoctor(t *testing.T) (s *shell, dir string) {
	t.Helper()
	s = newShell(t)
	dir, err := os.MkdirTemp("", "jf") //nolint:usetesting // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s.env["JACKFIELD_CONFIG"] = filepath.Join(dir, "host.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host.yaml"), []byte("version: 1\n"), 0o600))
	for _, name := range []string{"plugins", "tenants", "data"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	return s, dir
}

// examine runs doctor and returns its report with the exit code.
func examine(t *testing.T, s *shell) (report, int) {
	t.Helper()
	code := s.run("doctor", "-o", "json")
	require.Empty(t, s.stderr)
	var r report
	require.NoError(t, json.Unmarshal([]byte(s.stdout), &r))
	return r, code
}

// find returns the status and the text of the first check of that name that is not fine.
func (r report) find(name string) (status, text string) {
	for _, ch := range r.Checks {
		if ch.Check == name && ch.Status != checkOK {
			return ch.Status, ch.Message + " | " + ch.Hint
		}
	}
	return checkOK, ""
}

func TestDoctorFindsNothingWrong(t *testing.T) {
	t.Parallel()
	s, dir := newDoctor(t)
	r, code := examine(t, s)
	require.Equal(t, exitDone, code, s.stdout)
	require.True(t, r.OK)
	status, text := r.find("plugins.scan")
	require.Equal(t, checkWarning, status)
	require.Contains(t, text, "jackfield plugin approve")
	for _, name := range []string{"config.parse", "data.socket", "data.mode", "key.file", "store.file", "disk.sync", "daemon.running"} {
		require.Contains(t, s.stdout, `"`+name+`"`)
	}
	require.Contains(t, s.stdout, "a write reaches the disk in")
	left, err := os.ReadDir(filepath.Join(dir, "data"))
	require.NoError(t, err)
	require.Empty(t, left, "doctor changes nothing")
	require.NoFileExists(t, filepath.Join(dir, "jackfield.key"))

	require.Equal(t, exitDone, s.run("doctor"))
	require.Contains(t, s.stdout, "Config   ok    config.parse")
	require.Contains(t, s.stdout, "0 failed, 1 warning, ")
}

// rows: L01
func TestDoctorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a system whose files have modes, which Windows is not")
	}
	const key = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=\n"
	for name, c := range map[string]struct {
		change       func(t *testing.T, dir string)
		check        string
		status, text string
	}{
		"NoConfiguration": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "host.yaml")))
		}, "config.parse", checkFailed, "there is no "},
		"BadTenant": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tenants", "acme.yaml"), []byte("tenant: acme\nintegrtions: []\n"), 0o600))
		}, "config.parse", checkFailed, "acme.yaml:2"},
		"OpenData": {func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "data"), 0o755))
		}, "data.mode", checkFailed, "is open to others (-rwxr-xr-x) | chmod 700 "},
		"OpenFile": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "admin.token"), nil, 0o644))
			require.NoError(t, os.Chmod(filepath.Join(dir, "data", "admin.token"), 0o644))
		}, "data.mode", checkFailed, "admin.token is open to others | chmod 600 "},
		"OpenKey": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "jackfield.key"), []byte(key), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, "jackfield.key"), 0o644))
		}, "key.file", checkFailed, "jackfield.key"},
		"LostKey": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "data", databaseName), nil, 0o600))
		}, "key.file", checkFailed, "restore it from your copy"},
		"NoDatabase": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "data", databaseName), []byte(strings.Repeat("x", 100)), 0o600))
		}, "store.file", checkFailed, "is no database | restore it from a backup"},
		"NoPlugins": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "plugins")))
		}, "plugins.scan", checkFailed, "mkdir "},
		"Unapproved": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "plugins", "git"), []byte("#!/bin/sh\n"), 0o700))
		}, "plugin.git", checkWarning, "nobody approved it | jackfield plugin approve "},
		"Unsigned": {func(t *testing.T, dir string) {
			signedOnly(t, dir)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "plugins", "git"), []byte("#!/bin/sh\n"), 0o700))
		}, "plugin.git", checkWarning, "it has no signature | minisign -S -m git"},
		"NothingSigned": {signedOnly, "plugins.scan", checkWarning, "may run | put one there that a key of plugins.keys has signed"},
		"LongPath": {func(t *testing.T, dir string) {
			text := "version: 1\ndata: ./" + strings.Repeat("x", 100) + "\n"
			require.NoError(t, os.WriteFile(filepath.Join(dir, "host.yaml"), []byte(text), 0o600))
		}, "data.socket", checkFailed, "a socket can have 103 | choose a shorter data:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newDoctor(t)
			c.change(t, dir)
			r, code := examine(t, s)
			status, text := r.find(c.check)
			require.Equal(t, c.status, status, s.stdout)
			require.Contains(t, text, c.text)
			if c.status == checkFailed {
				require.Equal(t, exitEnvironment, code)
				require.False(t, r.OK)
			} else {
				require.Equal(t, exitDone, code)
			}
		})
	}
}

// signedOnly lets run what a key signed, and nothing that was approved.
func signedOnly(t *testing.T, dir string) {
	t.Helper()
	public, _, err := minisign.GenerateKey(nil)
	require.NoError(t, err)
	text := fmt.Sprintf("version: 1\nplugins: {trust: signed, keys: [%q]}\n", public)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host.yaml"), []byte(text), 0o600))
}

func TestDoctorAsksTheDaemon(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, &fakeDaemon{})
	r, _ := examine(t, s)
	status, text := r.find("daemon.status")
	require.Equal(t, checkWarning, status)
	require.Contains(t, text, "plugin slack does not serve: exited 3")
	require.Contains(t, s.stdout, "version 1.2.3, pid 4711")
	s.env["JACKFIELD_TOKEN"] = "wrong"
	r, code := examine(t, s)
	status, _ = r.find("daemon.running")
	require.Equal(t, checkFailed, status)
	require.Equal(t, exitEnvironment, code)
}

// rows: I01, I06
func TestDoctorHasTheStoreVerified(t *testing.T) {
	t.Parallel()
	sound := startDaemon(t, &fakeDaemon{})
	// Its directories are not there, which is another matter.
	require.Equal(t, exitEnvironment, sound.run("doctor", "--deep"))
	require.Contains(t, sound.stdout, "ok    store.verify")

	broken := startDaemon(t, &fakeDaemon{broken: []*hostv1.Violation{{Row: "I03", Name: "run-counters", Rule: "they add up", Found: "run 7"}}})
	require.Equal(t, exitEnvironment, broken.run("doctor"), "only if it is asked for")
	require.NotContains(t, broken.stdout, "they add up")
	require.Equal(t, exitFailed, broken.run("doctor", "--deep"))
	require.Contains(t, broken.stdout, "they add up (I03): not so for run 7")
}
