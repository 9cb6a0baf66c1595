//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// stranger is a user of the machine who has nothing to do with the daemon.
const stranger = 61183 + 5

// asStranger has another user make attempts, and returns why each failed.
func (s *site) asStranger(id uint32, attempts ...escape) map[string]string {
	s.t.Helper()
	raw, err := json.Marshal(map[string]any{"attempts": attempts})
	require.NoError(s.t, err)
	program, err := os.Open(filepath.Join(s.bin, "escape"))
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, program.Close()) }()
	var out, words bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), "/proc/self/fd/3") // where it stands others do not come
	cmd.ExtraFiles, cmd.Dir, cmd.Env = []*os.File{program}, "/", []string{"ATTEMPTS=" + string(raw)}
	cmd.Stdout, cmd.Stderr = &out, &words
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	require.NoError(s.t, cmd.Run(), words.String())
	got := map[string]string{}
	require.NoError(s.t, json.Unmarshal(out.Bytes(), &got))
	require.Len(s.t, got, len(attempts))
	return got
}

// rows: L01, L02, K20
//
// Another user of the machine reaches nothing of a daemon that runs, wherever its folder
// stands: no file, no socket, no directory of a plugin, and nothing of its processes.
// The daemon's own user does, so that the attempts are some.
func TestL01AnotherUserReachesNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	s.buildEscape()
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	open := filepath.Join(s.dir, "open")
	require.NoError(t, os.WriteFile(open, nil, 0o600))
	require.NoError(t, os.Chmod(open, 0o644))
	if s.asStranger(stranger, escape{"open", "read", open})["open"] != "" {
		t.Skip("needs a temporary directory that other users come to: " + s.dir)
	}
	d := s.start()
	s.await(store.RunProcessed)

	pid, plugin := strconv.Itoa(d.cmd.Process.Pid), strconv.Itoa(s.file("load").PID)
	attempts := []escape{
		{"environment", "environ", pid},
		{"trace", "trace", pid},
		{"signal", "signal", pid},
		{"environment of a plugin", "environ", plugin},
		{"trace of a plugin", "trace", plugin},
		{"signal to a plugin", "signal", plugin},
		{"memory", "read", "/proc/" + pid + "/mem"},
		{"maps", "read", "/proc/" + pid + "/maps"},
		{"open files", "list", "/proc/" + pid + "/fd"},
		{"key", "read", filepath.Join(s.dir, "jackfield.key")},
		{"config", "read", filepath.Join(s.dir, "host.yaml")},
		{"file beside the data", "plant", filepath.Join(s.dir, "data")},
		{"file beside a plugin's", "plant", s.runDir()},
	}
	seen := map[string]bool{}
	for _, root := range []string{filepath.Join(s.dir, "data"), s.runDir(), filepath.Join(s.dir, "tenants")} {
		require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			seen[filepath.Base(path)] = true
			switch {
			case e.IsDir():
				attempts = append(attempts, escape{path, "list", path}, escape{path + " +", "plant", path})
			case e.Type() == fs.ModeSocket:
				attempts = append(attempts, escape{path, "dial", "unix " + path})
			default:
				attempts = append(attempts, escape{path, "read", path}, escape{path + " +", "empty", path})
			}
			return nil
		}))
	}
	for _, name := range []string{"jackfield.db", "jackfield.db-wal", "jackfield.sock", "admin.token", "cas", "acme.yaml", "egress"} {
		require.True(t, seen[name], name)
	}
	for name, why := range s.asStranger(stranger, attempts...) {
		require.Regexp(t, "permission denied|not permitted", why, name)
	}
	var allowed []escape
	for _, a := range attempts {
		if a.Do == "read" && !strings.HasPrefix(a.On, "/proc/") || a.Do == "dial" || a.Do == "environ" {
			allowed = append(allowed, a)
		}
	}
	for name, why := range s.asStranger(0, allowed...) {
		require.Empty(t, why, name)
	}
	d.stop(t)
}
