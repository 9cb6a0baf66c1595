//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNoGroups is of a host whose control group is not its own to divide.
var errNoGroups = errors.New("no control group is delegated to this process")

// groups is the control group of the host, of which each plugin's process gets a part.
// Version 2 alone: in version 1 nobody delegates.
type groups struct {
	dir   string
	mkdir func(dir string) error // with the files by which the kernel is told
	next  atomic.Int64
}

// The names below the host's group.
const (
	hostGroup    = "host" // a group that is divided has no processes of its own
	pluginGroups = "plugin-"
)

// ownGroup returns the directory of this process's group, if a service manager has
// delegated it: then, and only then, it is marked.
func ownGroup() (string, error) {
	line, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find control group: %w", err)
	}
	path, found := "", false
	for entry := range strings.Lines(string(line)) {
		if path, found = strings.CutPrefix(strings.TrimSpace(entry), "0::"); found {
			break
		}
	}
	dir := filepath.Join("/sys/fs/cgroup", path)
	if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); !found || err != nil {
		return "", errNoGroups
	}
	for _, mark := range []string{"user.delegate", "trusted.delegate"} {
		var value [8]byte
		if n, err := unix.Getxattr(dir, mark, value[:]); err == nil && string(value[:n]) == "1" {
			return dir, nil
		}
	}
	return "", errNoGroups
}

// openGroups moves the host into a group of its own below the one that find returns,
// and has that divide memory and processes. What an earlier host left is removed.
func openGroups(find func() (string, error), mkdir func(dir string) error) (*groups, error) {
	dir, err := find()
	if err != nil {
		return nil, err
	}
	if filepath.Base(dir) == hostGroup { // an earlier program of this process was here
		dir = filepath.Dir(dir)
	}
	g := &groups{dir: dir, mkdir: mkdir}
	host := filepath.Join(dir, hostGroup)
	if err := mkdir(host); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	if err := writeGroup(host, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return nil, err
	}
	if err := writeGroup(dir, "cgroup.subtree_control", "+memory +pids"); err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(dir, pluginGroups+"*"))
	for _, left := range old {
		if !lives(left) {
			(&group{dir: left}).kill()
			_ = os.Remove(left) // at the latest the next host does
		}
	}
	return g, err
}

// lives reports whether the host that made a group does, and is another one.
func lives(dir string) bool {
	text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), pluginGroups), "-")
	pid, err := strconv.Atoi(text)
	return err == nil && pid != os.Getpid() && unix.Kill(pid, 0) == nil
}

// make returns a new group with its limits.
func (g *groups) make(memory uint64, threads int) (*group, error) {
	dir := filepath.Join(g.dir, fmt.Sprintf("%s%d-%d", pluginGroups, os.Getpid(), g.next.Add(1)))
	if err := g.mkdir(dir); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	p := &group{dir: dir}
	err := writeGroup(dir, "pids.max", strconv.Itoa(threads))
	if memory > 0 {
		err = errors.Join(err, writeGroup(dir, "memory.max", strconv.FormatUint(memory, 10)))
		_ = writeGroup(dir, "memory.swap.max", "0")  // where there is swap
		_ = writeGroup(dir, "memory.oom.group", "1") // all of a plugin ends, or nothing
	}
	if err == nil {
		p.file, err = os.Open(dir) //nolint:gosec // it was made above
	}
	if err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

// makeGroup makes a group: the kernel fills it.
func makeGroup(dir string) error { return os.Mkdir(dir, 0o755) } //nolint:gosec // what is in it has modes of its own

// group is that of one process and what it starts.
type group struct {
	dir  string
	file *os.File
}

// enter has cmd start in the group: from its first instruction.
func (g *group) enter(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.file.Fd())
}

// ranOut reports whether the kernel ended something in the group for its memory.
func (g *group) ranOut() bool {
	text, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}

// kill ends all processes of the group.
func (g *group) kill() { _ = writeGroup(g.dir, "cgroup.kill", "1") } // they have ended already, at worst

// remove kills what is left and removes the group.
func (g *group) remove() {
	g.kill()
	if g.file != nil {
		_ = g.file.Close() // a directory: nothing is lost
	}
	_ = os.Remove(g.dir) //nolint:gosec // below the host's own group; the next host does it otherwise
}

// writeGroup writes to a file that the kernel made.
func writeGroup(dir, name, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0) //nolint:gosec // below the host's own group
	if err != nil {
		return fmt.Errorf("set %s of control group: %w", name, err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
