package supervisor

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Supported reports why plugins cannot run on this system.
func Supported() error {
	return fmt.Errorf("plugins on Windows: %w", errors.ErrUnsupported)
}

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func awaitExit(int) bool { return false }

func executablePath(f *os.File, _ bool) string { return f.Name() }

func identify(int) (start, exe string, err error) { return "", "", errors.ErrUnsupported }

// signalGroup ends the process alone: there are no groups here.
func signalGroup(pid int, _ syscall.Signal) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // it has ended already, at worst
	}
}

func ownedByUs(os.FileInfo) bool { return true }

// The signals are all the same here.
const (
	sigTerm = syscall.SIGTERM
	sigDump = syscall.SIGKILL
	sigCont = syscall.SIGKILL
	sigKill = syscall.SIGKILL
)

// killByEnvironment cannot look into other processes.
func killByEnvironment(string) []int { return nil }

// closeOnExec knows of no list of open files here.
func closeOnExec() error { return nil }
