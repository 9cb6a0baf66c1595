//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mayChange says why this process cannot start others as users from first to last, or
// end them; empty if it can.
func mayChange(first, last int) string {
	if os.Geteuid() != 0 {
		return "the daemon does not run as root"
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return "the daemon cannot ask for its capabilities"
	}
	for _, c := range []struct {
		number int
		name   string
	}{
		{unix.CAP_SETUID, "CAP_SETUID"},
		{unix.CAP_SETGID, "CAP_SETGID"},
		{unix.CAP_KILL, "CAP_KILL"},
		{unix.CAP_CHOWN, "CAP_CHOWN"},
		{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
	} {
		if have[0].Effective&(1<<c.number) == 0 {
			return "root lacks " + c.name + " here"
		}
	}
	for _, table := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		if body, err := os.ReadFile(table); err == nil && !mapped(body, first, last) { //nolint:gosec // one of the two
			return fmt.Sprintf("the user namespace does not have all of %d to %d", first, last)
		}
	}
	if body, err := os.ReadFile("/proc/self/setgroups"); err == nil && strings.TrimSpace(string(body)) == "deny" {
		return "the user namespace denies setgroups"
	}
	if info, err := os.Stat("/proc/self/exe"); err != nil || info.Mode()&0o001 == 0 {
		return "other users may not execute the daemon's program"
	}
	return ""
}

// mapped reports whether a map of a user namespace has all ids from first to last.
func mapped(table []byte, first, last int) bool {
	for line := range bytes.Lines(table) {
		var inside, outside, count int
		if _, err := fmt.Sscan(string(line), &inside, &outside, &count); err == nil && inside <= first && last < inside+count {
			return true
		}
	}
	return false
}

// become has cmd start as the user id, with the group of that number and no other, to
// whom its directory is given.
func become(cmd *exec.Cmd, dir string, id int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read its directory: %w", err)
	}
	for _, e := range entries {
		if err := os.Lchown(filepath.Join(dir, e.Name()), id, id); err != nil {
			return fmt.Errorf("give away what is in its directory: %w", err)
		}
	}
	if err := os.Lchown(dir, id, id); err != nil {
		return fmt.Errorf("give away its directory: %w", err)
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)} //nolint:gosec // out of a range that is checked when it is read
	return nil
}

// Unfit says why the program cannot be executed by a user who is not the daemon's; empty
// if it can. A script is opened again by its interpreter, in a directory that is the
// daemon's alone.
func Unfit(program *os.File) string {
	k, err := kindOf(program)
	if err != nil {
		return err.Error()
	}
	info, err := program.Stat()
	switch {
	case k.script():
		return "its program is a script, which its interpreter reads in the daemon's directory"
	case err != nil || info.Mode()&0o005 != 0o005:
		return "its stored copy may not be executed by others"
	case exclusive("/proc/self/fd/" + strconv.Itoa(int(program.Fd()))):
		return "its stored copy is on a FUSE file system, which may let no other user in"
	}
	return ""
}

// exclusive reports a file system that lets in the user who mounted it, and others only
// if that one said so: no mode tells.
func exclusive(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC
}

// Passable reports whether every user comes to what has the path, if it may be read.
func Passable(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// mostLooks is how many files of a folder are looked at before it is taken for one that
// may be read.
const mostLooks = 4096

// Unreadable returns the first of the paths, or of what is in them, that a user who is
// neither the owner nor of the group may not read; empty if there is none. What does not
// exist is left out, and no more than 4,096 files of a folder are looked at.
func Unreadable(paths []string) string {
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		if !Passable(real) || exclusive(real) {
			return path
		}
		if bad := unreadableIn(real); bad != "" {
			return strings.Replace(bad, real, path, 1)
		}
	}
	return ""
}

func unreadableIn(root string) (bad string) {
	looks := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if looks++; looks > mostLooks {
			return fs.SkipAll
		}
		var need os.FileMode = 0o004
		switch {
		case err != nil:
			return nil //nolint:nilerr // it is gone, or even the daemon cannot read it
		case e.IsDir():
			need = 0o005
		case !e.Type().IsRegular():
			return nil // where it leads is granted by itself, or not
		}
		if info, err := e.Info(); err == nil && info.Mode()&need != need {
			bad = path
			return fs.SkipAll
		}
		return nil
	})
	if err != nil && bad == "" {
		return root
	}
	return bad
}
