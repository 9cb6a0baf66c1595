//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeGroup makes a folder with the files that the kernel would make.
func fakeGroup(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.kill", "pids.max", "memory.max", "memory.swap.max", "memory.oom.group", "memory.events"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// rows: P08, H02
//
// The kernel is not asked here: the files are those of a tree that looks like its own.
func TestAGroupForEachProcess(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "jackfield.service")
	require.NoError(t, fakeGroup(root))
	said := func(path ...string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		require.NoError(t, err)
		return string(text)
	}
	left, another := filepath.Join(root, fmt.Sprintf("%s%d-1", pluginGroups, os.Getpid())), filepath.Join(root, fmt.Sprintf("%s%d-1", pluginGroups, os.Getppid()))
	require.NoError(t, os.Mkdir(left, 0o700))
	require.NoError(t, os.Mkdir(another, 0o700))
	g, err := openGroups(func() (string, error) { return root, nil }, fakeGroup)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid()), said(hostGroup, "cgroup.procs"))
	require.Equal(t, "+memory +pids", said("cgroup.subtree_control"))
	require.NoDirExists(t, left, "an earlier host's group")
	require.DirExists(t, another, "of a host that lives")
	require.NoError(t, os.Remove(another))

	a, err := g.make(256<<20, 512)
	require.NoError(t, err)
	b, err := g.make(0, 7)
	require.NoError(t, err)
	require.NotEqual(t, a.dir, b.dir)
	of := filepath.Base(a.dir)
	require.Equal(t, "268435456", said(of, "memory.max"))
	require.Equal(t, "512", said(of, "pids.max"))
	require.Equal(t, "1", said(of, "memory.oom.group"))
	require.Empty(t, said(filepath.Base(b.dir), "memory.max"), "no limit")

	cmd := &exec.Cmd{}
	a.enter(cmd)
	require.True(t, cmd.SysProcAttr.UseCgroupFD)
	require.Equal(t, int(a.file.Fd()), cmd.SysProcAttr.CgroupFD)

	require.False(t, a.ranOut())
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "memory.events"), []byte("low 0\nmax 12\noom 1\noom_kill 2\n"), 0o600))
	require.True(t, a.ranOut())
	c := Cell{group: a, memory: 256 << 20}
	require.Contains(t, c.Explain(nil), "it needed more than the 256 MiB of memory")
	c.Kill()
	require.Equal(t, "1", said(of, "cgroup.kill"))
	b.remove()
	c.Close()

	// A daemon that is started by one which was moved finds the tree again.
	again, err := openGroups(func() (string, error) { return filepath.Join(root, hostGroup), nil }, fakeGroup)
	require.NoError(t, err)
	require.Equal(t, root, again.dir)

	_, err = openGroups(func() (string, error) { return "", errNoGroups }, fakeGroup)
	require.ErrorIs(t, err, errNoGroups)
	refuses := errors.New("read only")
	_, err = openGroups(func() (string, error) { return root + "x", nil }, func(string) error { return refuses })
	require.ErrorIs(t, err, refuses)
}

func TestAGroupIsTakenOnlyIfItWasGiven(t *testing.T) {
	t.Parallel()
	dir, err := ownGroup()
	if err != nil {
		require.ErrorIs(t, err, errNoGroups)
		return
	}
	require.FileExists(t, filepath.Join(dir, "cgroup.procs"))
}
