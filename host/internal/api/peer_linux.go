package api

import (
	"bytes"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

func peerOfConn(conn net.Conn) peerInfo {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return peerInfo{}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return peerInfo{}
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return peerInfo{}
	}
	return peerInfo{known: true, pid: int(cred.Pid), uid: int(cred.Uid)}
}

// maxAncestors bounds the way up from a process.
const maxAncestors = 256

// Descends returns a function that reports whether a process is, or descends
// from, one of those that pids returns. It reads /proc. Of a process that is gone it
// says so too: whoever asks for something lives, and one that passed its connection
// on and ended is not believed.
func Descends(pids func() []int) func(pid int) bool {
	return func(pid int) bool {
		of := pids()
		if pid > 1 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return true
		}
		for range maxAncestors {
			if pid <= 1 {
				return false
			}
			if slices.Contains(of, pid) {
				return true
			}
			pid = parentOf(pid)
		}
		return false
	}
}

// parentOf returns the parent of a process, or 0.
func parentOf(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything: what counts is behind the last.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
