//go:build unix

package supervisor

import (
	"os"
	"syscall"
)

// signalGroup sends sig to the process and all of its group.
func signalGroup(pid int, sig syscall.Signal) {
	if pid > 1 {
		_ = syscall.Kill(-pid, sig) // it has ended already, at worst
	}
}

func ownedByUs(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Getuid()
}

// The signals that end a process, from polite to final.
const (
	sigTerm = syscall.SIGTERM
	sigDump = syscall.SIGQUIT // a Go program prints its goroutines and exits
	sigCont = syscall.SIGCONT // one that is stopped gets no other signal before this
	sigKill = syscall.SIGKILL
)
