//go:build linux && amd64

// Killat runs a program and kills it when it is about to make its Nth system call
// that changes a file, counted over all its threads:
//
//	killat N PROGRAM [ARG...]
//
// It prints how many such calls there were, and the name of the one that was not
// made any more. With N of zero it only counts. It exits with 3 if it may not trace.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// exitNotAllowed says that the system does not let this process trace another.
const exitNotAllowed = 3

// renameat2 is not in package syscall.
const sysRenameat2 = 316

func main() {
	target, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	runtime.LockOSThread()                          // the tracer is a thread
	cmd := exec.Command(os.Args[2], os.Args[3:]...) //nolint:gosec,noctx // what a test says; it is killed
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "trace:", err)
		os.Exit(exitNotAllowed)
	}
	t := &tracer{pid: cmd.Process.Pid, target: target, inside: map[int]bool{}}
	if err := t.run(); err != nil {
		_ = cmd.Process.Kill()
		fmt.Fprintln(os.Stderr, "trace:", err)
		os.Exit(exitNotAllowed)
	}
	fmt.Println(t.count, t.at)
}

type tracer struct {
	pid    int
	target int
	count  int
	at     string       // the call that was not made
	inside map[int]bool // threads in a system call
}

func (t *tracer) run() error {
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(t.pid, &ws, 0, nil); err != nil {
		return err
	}
	const exitKill = 0x100000 // PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(t.pid, syscall.PTRACE_O_TRACECLONE|syscall.PTRACE_O_TRACESYSGOOD|exitKill); err != nil {
		return err
	}
	if err := syscall.PtraceSyscall(t.pid, 0); err != nil {
		return err
	}
	for {
		tid, err := syscall.Wait4(-1, &ws, syscall.WALL, nil)
		if err != nil {
			return err
		}
		if ws.Exited() || ws.Signaled() {
			delete(t.inside, tid)
			if tid == t.pid {
				return nil
			}
			continue
		}
		if !ws.Stopped() {
			continue
		}
		pass := 0
		switch sig := ws.StopSignal(); sig {
		case syscall.SIGTRAP | 0x80:
			t.call(tid)
		case syscall.SIGTRAP, syscall.SIGSTOP: // a new thread, or the program's start
		default:
			pass = int(sig)
		}
		_ = syscall.PtraceSyscall(tid, pass) // it may have been killed meanwhile
	}
}

// call counts the call that a thread enters, and ends the program at the right one.
func (t *tracer) call(tid int) {
	t.inside[tid] = !t.inside[tid]
	if !t.inside[tid] {
		return
	}
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	name := changes(regs.Orig_rax)
	if name == "" || t.at != "" {
		return
	}
	t.count++
	if t.count == t.target {
		t.at = name
		_ = syscall.Kill(t.pid, syscall.SIGKILL) // seen by the loop
	}
}

// changes names the calls that change a file or what is known to be on the disk.
func changes(call uint64) string {
	switch call {
	case syscall.SYS_PWRITE64:
		return "pwrite64"
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		return "fsync"
	case syscall.SYS_FTRUNCATE:
		return "ftruncate"
	case syscall.SYS_RENAME, syscall.SYS_RENAMEAT, sysRenameat2:
		return "rename"
	case syscall.SYS_UNLINK, syscall.SYS_UNLINKAT:
		return "unlink"
	default:
		return ""
	}
}
