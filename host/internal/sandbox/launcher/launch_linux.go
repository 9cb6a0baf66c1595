//go:build linux && (amd64 || arm64)

package launcher

import (
	"runtime"
	"syscall"
	"unsafe"
)

// Of the kernel's interface, the same for every processor. Package
// golang.org/x/sys/unix has these too, and would have to be initialized first.
const (
	sysLandlockRestrictSelf = 446

	prSetNoNewPrivs = 38
	prSetSeccomp    = 22
	prCapBsetDrop   = 24
	prCapAmbient    = 47
	prAmbientClear  = 4
	prSetSecurebits = 28

	seccompModeFilter = 2
	noRoot            = 0x2f // SECBIT_NOROOT, _NO_SETUID_FIXUP, _NO_CAP_AMBIENT_RAISE, and their locks
	capabilityV3      = 0x20080522
	mostCaps          = 64

	rlimitData   = 2
	rlimitCore   = 4
	rlimitNproc  = 6
	rlimitNofile = 7
)

// A process that was started to become another does nothing else: the sooner, the
// less there is of this one. A function that main calls would come after the
// initialization of everything.
func init() { //nolint:gochecknoinits // see above
	text, ok := syscall.Getenv(Variable)
	if !ok {
		return
	}
	runtime.LockOSThread() // what is given up, this thread gives up, and the exec is its own
	step, errno := launch(text)
	_, _ = syscall.Write(StatusFD, tell(step, errno))
	syscall.Exit(127)
}

// launch does not return unless something went wrong.
func launch(text string) (Step, syscall.Errno) {
	s, ok := Decode(text)
	if !ok {
		return StepDecode, syscall.EINVAL
	}
	for _, fd := range []uintptr{StatusFD, ProgramFD, RulesetFD} {
		if errno := call(syscall.SYS_FCNTL, fd, syscall.F_SETFD, syscall.FD_CLOEXEC); errno != 0 && (fd != RulesetFD || s.Landlock) {
			return StepDescriptor, errno
		}
	}
	if step, errno := s.giveUp(); errno != 0 {
		return step, errno
	}
	path := s.Path
	if path == "" {
		path = "/proc/self/fd/4" // ProgramFD
	}
	var env []string
	for _, kv := range syscall.Environ() {
		if len(kv) <= len(Variable) || kv[:len(Variable)+1] != Variable+"=" {
			env = append(env, kv)
		}
	}
	err := syscall.Exec(path, []string{s.Name}, env) //nolint:gosec // what the host verified
	errno, _ := err.(syscall.Errno)                  //nolint:errorlint // it is nothing else
	return StepExec, errno
}

// giveUp takes from this thread, and so from what it executes, all that the Spec
// says. The order matters: the filter comes last, it forbids the rest.
func (s Spec) giveUp() (Step, syscall.Errno) {
	if errno := call(syscall.SYS_PRCTL, prSetNoNewPrivs, 1); errno != 0 {
		return StepPrivileges, errno
	}
	if s.Landlock {
		if errno := call(sysLandlockRestrictSelf, RulesetFD, 0); errno != 0 {
			return StepLandlock, errno
		}
	}
	if errno := s.limit(); errno != 0 {
		return StepLimits, errno
	}
	if errno := s.dropCaps(); errno != 0 {
		return StepCaps, errno
	}
	if errno := filter(s.Filter); errno != 0 {
		return StepFilter, errno
	}
	return 0, 0
}

// limit sets the limits, which nobody without privileges raises again.
func (s Spec) limit() syscall.Errno {
	for _, l := range []struct {
		resource uintptr
		most     uint64
		set      bool
	}{{rlimitCore, 0, true}, {rlimitData, s.Data, s.Data > 0}, {rlimitNofile, s.Files, s.Files > 0}, {rlimitNproc, s.Tasks, s.Tasks > 0}} {
		if !l.set {
			continue
		}
		most := syscall.Rlimit{Cur: l.most, Max: l.most}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, l.resource, uintptr(unsafe.Pointer(&most)), 0, 0, 0) //nolint:gosec // the kernel's interface
		if errno != 0 {
			return errno
		}
	}
	return 0
}

// dropCaps takes all capabilities, and from root the way to get them by an exec.
func (s Spec) dropCaps() syscall.Errno {
	if s.Bare {
		if errno := bareRoot(); errno != 0 {
			return errno
		}
	}
	head := struct {
		version uint32
		pid     int32
	}{version: capabilityV3}
	var none [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&none)), 0) //nolint:gosec // the kernel's interface
	return errno
}

// bareRoot makes root a user like others.
func bareRoot() syscall.Errno {
	if errno := call(syscall.SYS_PRCTL, prSetSecurebits, noRoot); errno != 0 {
		return errno
	}
	_ = call(syscall.SYS_PRCTL, prCapAmbient, prAmbientClear, 0, 0, 0) // there are none on an old kernel
	for i := range uintptr(mostCaps) {
		if errno := call(syscall.SYS_PRCTL, prCapBsetDrop, i); errno == syscall.EINVAL {
			break // the kernel knows no more
		} else if errno != 0 {
			return errno
		}
	}
	return 0
}

// filter has the kernel ask code at each system call.
func filter(code []byte) syscall.Errno {
	const size = 8 // of struct sock_filter
	if len(code) < size {
		return 0
	}
	aligned := make([]uint64, len(code)/size)                                 // as the kernel wants it
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&aligned[0])), len(code)), code) //nolint:gosec // len(aligned) is as long
	program := struct {
		length uint16
		_      [6]byte
		code   *uint64
	}{length: uint16(len(aligned)), code: &aligned[0]} //nolint:gosec // the kernel takes 4,096
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetSeccomp, seccompModeFilter, uintptr(unsafe.Pointer(&program))) //nolint:gosec // the kernel's interface
	return errno
}

// call is of a system call without pointers.
func call(number uintptr, args ...uintptr) syscall.Errno {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := syscall.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	return errno
}
