//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scripted is an animal that a script begins: env looks for a shell, and that executes
// the program.
func scripted(t *testing.T, name string) Binary {
	t.Helper()
	dir := t.TempDir()
	b := animal(t, name)
	require.NoError(t, os.Symlink(b.Path, filepath.Join(dir, b.Name)))
	b.Path = filepath.Join(dir, "script")
	writeProgram(t, b.Path, fmt.Appendf(nil, "#!/usr/bin/env sh\nsleep 0.2\nexec %s/%s\n", dir, b.Name))
	return b
}

// rows: H01
//
// What a plugin executes when it serves is written down for the next boot, not what it
// was begun by.
func TestAScriptIsWrittenDownAsWhatItExecutes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{scripted(t, "ok")}))
	pid := s.status("zoo-ok").PID
	start, exe, err := identify(pid)
	require.NoError(t, err)
	require.Equal(t, "zoo", filepath.Base(exe))
	body, err := os.ReadFile(filepath.Join(s.runDir, pidsFile))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%d %s %s\n", pid, start, exe), string(body))
}

// rows: H01
//
// A stray that was a script is found by the sweep although it has hidden what it was
// started with.
func TestAStrayThatWasAScriptIsKilled(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	gate, began := filepath.Join(t.TempDir(), "go"), newRunDir(dir, false)
	require.NoError(t, syscall.Mkfifo(gate, 0o600))
	path := filepath.Join(t.TempDir(), "script")
	writeProgram(t, path, fmt.Appendf(nil, "#!/usr/bin/env sh\nread -r line <%s\nexec sleep 300\n", gate))
	stray := exec.Command(path) //nolint:noctx // killed below
	stray.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, stray.Start())
	pid := stray.Process.Pid
	defer signalGroup(pid, syscall.SIGKILL)
	require.NoError(t, began.add(pid))
	_, before, err := identify(pid)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(gate, []byte("go\n"), 0o600))
	require.Eventually(t, func() bool {
		_, exe, err := identify(pid)
		return err == nil && exe != before && (strings.Contains(exe, "sleep") || strings.Contains(exe, "coreutils") || strings.Contains(exe, "busybox"))
	}, 30*time.Second, time.Millisecond)
	require.NoError(t, began.note(pid))

	killed, err := newRunDir(dir, false).open()
	require.NoError(t, err)
	require.Equal(t, []int{pid}, killed)
	require.Error(t, stray.Wait())
}
