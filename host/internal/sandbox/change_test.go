//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// ofOther is a user that nobody is.
const ofOther = 61100

// separate skips a test that has to start processes of other users.
func separate(t *testing.T) {
	t.Helper()
	if why := mayChange(ofOther, ofOther); why != "" {
		t.Skip("needs root that may change users: " + why)
	}
}

// passable returns a directory that other users come to.
func passable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
	require.NoError(t, os.Chmod(dir, 0o711))
	if !Passable(filepath.Join(dir, "x")) {
		t.Skip("needs a temporary directory that other users come to: " + dir)
	}
	return dir
}

// statusOf returns what the kernel says of a process.
func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	out := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		out[key] = strings.Join(strings.Fields(value), " ")
	}
	return out
}

// rows: P04, P08
//
// A process has a user, a group and a directory of its own, no other group, no
// capability, and as many threads as its user may have.
func TestAProcessIsOfAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	separate(t)
	box := New(Options{Users: NewUsers(filepath.Join(t.TempDir(), "users"), ofOther, ofOther), Threads: 100})
	require.Empty(t, box.Separate())
	dir := filepath.Join(passable(t), "own")
	require.NoError(t, os.Mkdir(dir, 0o700))
	socket := filepath.Join(dir, "egress")
	require.NoError(t, os.WriteFile(socket, nil, 0o600))

	cmd := command(t, attempt{Name: "wait", Do: "wait"})
	lifeline, err := cmd.StdinPipe()
	require.NoError(t, err)
	cell := start(t, box, cmd, Policy{Dir: dir, User: ofOther})
	is, id := statusOf(t, cmd.Process.Pid), strconv.Itoa(ofOther)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	require.NoError(t, err)
	require.NoError(t, lifeline.Close())
	require.NoError(t, cmd.Wait())
	cell.Close()
	all := strings.Join([]string{id, id, id, id}, " ")
	require.Equal(t, all, is["Uid"])
	require.Equal(t, all, is["Gid"])
	require.Empty(t, is["Groups"])
	require.Equal(t, "1", is["NoNewPrivs"])
	for _, set := range []string{"CapPrm", "CapEff", "CapInh", "CapAmb"} {
		require.Equal(t, "0000000000000000", is[set], set)
	}
	require.Regexp(t, `(?m)^Max processes +400 +400 `, string(limits))
	for _, path := range []string{dir, socket} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.EqualValues(t, ofOther, info.Sys().(*syscall.Stat_t).Uid, path)
	}
}

// rows: P04
//
// The user alone keeps a process from what is the daemon's and from what is another
// plugin's, where the kernel has neither Landlock nor filters; as the daemon's user it
// gets at what is that one's.
func TestAUserOfItsOwnIsAWallOfItsOwn(t *testing.T) {
	t.Parallel()
	separate(t)
	box := New(Options{Users: NewUsers(filepath.Join(t.TempDir(), "users"), ofOther, ofOther)})
	box.can.landlock, box.can.filters, box.can.bare = landlock{}, false, false
	base := passable(t)
	own, other := filepath.Join(base, "own"), filepath.Join(base, "other")
	for _, dir := range []string{own, other} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(base, "key"), nil, 0o600))
	require.NoError(t, os.Chown(other, ofOther+1, ofOther+1))
	pid := victim(t, New(Options{}))
	tries := []attempt{
		{"read what is the daemon's", "read", filepath.Join(base, "key")},
		{"write beside it", "plant", base},
		{"list another plugin's", "list", other},
		{"write there", "plant", other},
		{"signal another", "signal", pid},
		{"its environment", "environ", pid},
		{"trace another", "trace", pid},
	}
	got := outcome(t, box, Policy{Dir: own, User: ofOther}, append(tries, attempt{"own", "plant", own})...)
	for _, try := range tries {
		require.Regexp(t, "permission denied|not permitted", got[try.Name], try.Name)
	}
	require.Empty(t, got["own"])
	got = outcome(t, box, Policy{Dir: own}, tries[:2]...)
	for _, try := range tries[:2] {
		require.Empty(t, got[try.Name], "%s, as the daemon's user", try.Name)
	}
}

// rows: P04
func TestWhatAnotherUserCannotReadIsFound(t *testing.T) {
	t.Parallel()
	dir := passable(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	make := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(filepath.Dir(path), 0o755)) // whatever the umask
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	open, closed, deep := make("open", 0o644), make("closed", 0o640), make("clone/objects/1", 0o600)
	require.NoError(t, os.Chmod(filepath.Join(dir, "clone"), 0o755))
	require.NoError(t, os.Symlink(closed, filepath.Join(dir, "link")))
	require.Empty(t, Unreadable([]string{open, filepath.Join(dir, "none")}))
	require.Equal(t, closed, Unreadable([]string{open, closed}))
	require.Equal(t, filepath.Join(dir, "link"), Unreadable([]string{filepath.Join(dir, "link")}))
	require.Equal(t, deep, Unreadable([]string{filepath.Join(dir, "clone")}))
	require.NoError(t, os.Chmod(deep, 0o644))
	require.Empty(t, Unreadable([]string{filepath.Join(dir, "clone")}))
	objects := filepath.Dir(deep)
	require.NoError(t, os.Chmod(objects, 0o711))
	require.Equal(t, objects, Unreadable([]string{filepath.Join(dir, "clone")}), "what cannot be listed")
	require.Empty(t, Unreadable([]string{deep}), "who knows a name needs no list")
	require.NoError(t, os.Chmod(dir, 0o700))
	require.Equal(t, open, Unreadable([]string{open}), "behind a closed door")
	require.False(t, Passable(open))
}

func TestARangeHasToBeMapped(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]bool{
		"         0          0 4294967295\n":   true,
		"0 100000 65536\n":                     true,
		"0 1000 1\n1 100000 65536\n":           true,
		"0 100000 60000\n":                     false,
		"0 100000 60800\n60800 200000 10000\n": false,
		"":                                     false,
		"nonsense\n":                           false,
	} {
		require.Equal(t, want, mapped([]byte(table), 60706, 61183), table)
	}
}

func TestAScriptStaysTheDaemons(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		mode os.FileMode
		want string
	}{
		"script": {"#!/bin/sh\n", 0o755, "is a script"},
		"closed": {"\x7fELF", 0o500, "may not be executed by others"},
		"open":   {"\x7fELF", 0o555, ""},
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(c.body), c.mode))
		f, err := os.Open(path)
		require.NoError(t, err)
		why := Unfit(f)
		require.NoError(t, f.Close())
		if c.want == "" {
			require.Empty(t, why)
		} else {
			require.Contains(t, why, c.want)
		}
	}
}
