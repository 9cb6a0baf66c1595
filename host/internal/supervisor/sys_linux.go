package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported reports why plugins cannot run on this system.
func Supported() error { return nil }

// sysProcAttr puts the process at the head of a group of its own, so that it
// can be killed with all it started and gets no Ctrl-C of the host's terminal,
// and lets the kernel kill it when the host ends.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns true when the process has ended, before its pid is free for
// another: until it is reaped, its group can be killed without hitting a stranger.
func awaitExit(pid int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// executablePath returns a path that executes f itself, whatever has become of
// its name. A script is executed by name: its interpreter opens it again, when
// f is closed.
func executablePath(f *os.File, script bool) string {
	path := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := os.Stat(path); err != nil || script {
		return f.Name()
	}
	return path
}

// identify returns when a process was started, in the kernel's ticks, and what
// it executes.
func identify(pid int) (start, exe string, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", fmt.Errorf("read process %d: %w", pid, err)
	}
	// The name in parentheses may hold anything; the fields come after the last.
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return "", "", fmt.Errorf("read process %d: a short line", pid)
	}
	exe, err = os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return "", "", fmt.Errorf("read executable of process %d: %w", pid, err)
	}
	return fields[19], strings.TrimSuffix(exe, " (deleted)"), nil
}

// killByEnvironment ends the processes that were started with a variable that begins
// so, and returns them. Each is held by a descriptor meanwhile: its pid cannot become
// another's.
func killByEnvironment(begins string) (killed []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && strings.Contains("\x00"+string(env), "\x00"+begins) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
			killed = append(killed, pid)
		}
		_ = unix.Close(fd) // nothing is lost
	}
	return killed
}

// closeOnExec marks the files that this process was itself started with, so that
// no plugin inherits them. What Go opens is marked from the start.
func closeOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open files: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
