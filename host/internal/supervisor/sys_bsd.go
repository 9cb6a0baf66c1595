//go:build unix && !linux

package supervisor

import (
	"errors"
	"os"
	"syscall"
)

// Supported reports why plugins cannot run on this system.
func Supported() error { return nil }

// sysProcAttr puts the process at the head of a group of its own. Its SDK ends
// it when the host is gone: the lifeline breaks.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit does not wait: the caller reaps at once.
func awaitExit(int) bool { return false }

// executablePath returns the file's name: there is no path of an open file here.
func executablePath(f *os.File, _ bool) string { return f.Name() }

// identify cannot tell one process from another of the same pid.
func identify(int) (start, exe string, err error) { return "", "", errors.ErrUnsupported }

// killByEnvironment cannot look into other processes.
func killByEnvironment(string) []int { return nil }

// closeOnExec knows of no list of open files here.
func closeOnExec() error { return nil }
