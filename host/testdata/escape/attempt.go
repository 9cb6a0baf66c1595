//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 2 * time.Second

// try does one thing, and undoes it.
func (a attempt) try() error {
	switch a.Do {
	case "read":
		_, err := os.ReadFile(a.On)
		return err
	case "wait": // for the end of the input
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "hog": // memory, MiB of it
		return a.hog()
	case "files": // so many open at once
		return a.files()
	case "list":
		_, err := os.ReadDir(a.On)
		return err
	case "plant": // a file into a folder
		return plant(filepath.Join(a.On, "planted"))
	case "empty": // a file that is there
		return os.Truncate(a.On, 0)
	case "signal":
		return a.process(func(pid int) error { return unix.Kill(pid, 0) })
	case "trace":
		return a.process(trace)
	case "peek":
		return a.process(peek)
	case "environ":
		return a.process(func(pid int) error {
			_, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			return err
		})
	case "slow": // another process down
		return a.process(func(pid int) error { return unix.Setpriority(unix.PRIO_PROCESS, pid, 1) })
	case "starve": // another process of files
		return a.process(func(pid int) error {
			var l unix.Rlimit
			return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &l)
		})
	case "execute":
		return exec.CommandContext(context.Background(), a.On, "-c", "exit 0").Run()
	case "become": // another program, without a new process
		return unix.Exec(a.On, []string{a.On, "-c", "echo '{}'"}, nil)
	case "fork":
		return fork()
	case "raise": // a limit
		return raise()
	case "core":
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Max > 0 {
			return err
		}
		return errors.New("no core is written")
	case "mount":
		if err := unix.Mount("none", a.On, "tmpfs", 0, ""); err != nil {
			return err
		}
		return unix.Unmount(a.On, 0)
	case "namespace":
		return namespace()
	case "ring":
		return ring()
	case "raw":
		return closing(unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP))
	case "mptcp":
		return closing(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP))
	case "dial":
		return a.dial()
	default:
		return fmt.Errorf("no such attempt: %q", a.Do)
	}
}

func (a attempt) process(do func(pid int) error) error {
	pid, err := strconv.Atoi(a.On)
	if err != nil {
		return err
	}
	return do(pid)
}

func (a attempt) hog() error {
	n, err := strconv.Atoi(a.On)
	if err != nil {
		return err
	}
	var held [][]byte
	for range n {
		held = append(held, bytes.Repeat([]byte{1}, 1<<20))
	}
	runtime.KeepAlive(held)
	return nil
}

func (a attempt) files() error {
	n, err := strconv.Atoi(a.On)
	if err != nil {
		return err
	}
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // nothing was written
	}
	return nil
}

// dial connects to "network address" and sends a byte.
func (a attempt) dial() error {
	network, address, _ := strings.Cut(a.On, " ")
	d := net.Dialer{Timeout: patience}
	conn, err := d.Dial(network, address)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	_, err = conn.Write([]byte("x"))
	return err
}

func plant(path string) error {
	if err := os.WriteFile(path, []byte("planted"), 0o600); err != nil {
		return err
	}
	return os.Remove(path)
}

// trace looks into a process as a debugger does, and lets go.
func trace(pid int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		return err
	}
	if err := unix.PtraceInterrupt(pid); err != nil {
		return err
	}
	if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
		return err
	}
	return unix.PtraceDetach(pid)
}

// peek reads a byte of another process's memory: of the program, which stands at the
// same place in both.
func peek(pid int) error {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	start, _, _ := strings.Cut(string(maps), "-")
	at, err := strconv.ParseUint(start, 16, 64)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	local := []unix.Iovec{{Base: &b[0], Len: 1}}
	_, err = unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: 1}}, 0)
	return err
}

// raise lowers a limit and then raises it to where it was, which only root may.
func raise() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &l); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Max: l.Max / 2}); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &l)
}

func closing(fd int, err error) error {
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
