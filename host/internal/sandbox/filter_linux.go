//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterOf returns the filter of system calls of a process. It forbids what reaches
// other processes, the kernel or the network past Landlock, and lets the rest pass: a
// list of what is allowed would break programs with each new version of a language. A
// script may start other programs: its interpreter may have to. What is forbidden is
// answered with "operation not permitted".
func filterOf(n Network, script bool) []byte {
	f := filter{}
	f.load(offsetArch)
	f.add(jumpIfEqual, arch, 1, 0)
	f.ret(unix.SECCOMP_RET_KILL_PROCESS) // the numbers would mean other calls
	f.load(offsetNumber)
	if foreign != 0 {
		f.add(jumpIfAtLeast, foreign, 0, 1)
		f.ret(refuse(unix.ENOSYS))
	}
	for _, number := range slices.Concat(forbidden(), forbiddenHere()) {
		f.add(jumpIfEqual, number, 0, 1)
		f.ret(refuse(unix.EPERM))
	}
	if !script {
		f.threadsAlone()
	}
	families := []uint32{unix.AF_UNIX}
	if n != NetworkProxy {
		families = append(families, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)
	}
	f.when(unix.SYS_SOCKET, 0, families...)
	f.when(unix.SYS_SOCKETPAIR, 0, unix.AF_UNIX)
	for _, number := range []uint32{
		unix.SYS_PRLIMIT64, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETSCHEDULER,
	} {
		f.when(number, 0, 0) // its own
	}
	f.unless(unix.SYS_PRCTL, 0, unix.PR_SET_PDEATHSIG) // it ends with the host
	f.ret(unix.SECCOMP_RET_ALLOW)
	return f.code
}

// forbidden lists the calls that no plugin makes.
func forbidden() []uint32 {
	return []uint32{
		// Other processes.
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
		unix.SYS_PROCESS_MRELEASE, unix.SYS_KCMP, unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
		unix.SYS_SETPGID, unix.SYS_SETSID, // the host ends a plugin with its group
		// Calls that a filter cannot see.
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		// What is mounted, and other views of the system.
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN,
		unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_FANOTIFY_INIT,
		// The kernel itself.
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE,
		unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_SYSLOG, unix.SYS_ADD_KEY, unix.SYS_KEYCTL, unix.SYS_REQUEST_KEY,
		unix.SYS_ACCT, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_VHANGUP, unix.SYS_PERSONALITY,
		unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
		// The machine's clock and name.
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	}
}

// The instructions that are used, and what they look at: struct seccomp_data.
const (
	loadWord      = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	jumpIfEqual   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	jumpIfAtLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	jumpIfSet     = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	answer        = unix.BPF_RET | unix.BPF_K

	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16 // each has eight bytes, the low half first
)

// filter is a program for the kernel, as it wants it.
type filter struct{ code []byte }

func (f *filter) add(code uint16, k uint32, yes, no uint8) {
	f.code = binary.LittleEndian.AppendUint16(f.code, code)
	f.code = append(f.code, yes, no)
	f.code = binary.LittleEndian.AppendUint32(f.code, k)
}

func (f *filter) load(offset uint32) { f.add(loadWord, offset, 0, 0) }
func (f *filter) ret(action uint32)  { f.add(answer, action, 0, 0) }

func refuse(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) } //nolint:gosec // a small number

// when allows a call only with one of the values in its argument arg, of which it looks
// at the low half: the kernel takes an int of all that are asked for.
func (f *filter) when(number uint32, arg int, values ...uint32) {
	n := uint8(len(values))            //nolint:gosec // a handful
	f.add(jumpIfEqual, number, 0, n+3) // to what follows
	f.load(uint32(offsetArgs + 8*arg)) //nolint:gosec // six arguments
	for i, v := range values {
		f.add(jumpIfEqual, v, n-uint8(i), 0) // to the answer that follows the refusal
	}
	f.ret(refuse(unix.EPERM))
	f.ret(unix.SECCOMP_RET_ALLOW)
}

// unless forbids a call with the value in its argument arg.
func (f *filter) unless(number uint32, arg int, value uint32) {
	f.add(jumpIfEqual, number, 0, 4)
	f.load(uint32(offsetArgs + 8*arg)) //nolint:gosec // six arguments
	f.add(jumpIfEqual, value, 0, 1)
	f.ret(refuse(unix.EPERM))
	f.ret(unix.SECCOMP_RET_ALLOW)
}

// threadsAlone forbids processes. A newer call whose flags no filter can see is said
// not to exist, so that the older one is used.
func (f *filter) threadsAlone() {
	f.add(jumpIfEqual, unix.SYS_CLONE3, 0, 1)
	f.ret(refuse(unix.ENOSYS))
	f.add(jumpIfEqual, unix.SYS_CLONE, 0, 4)
	f.load(offsetArgs)
	f.add(jumpIfSet, unix.CLONE_THREAD, 1, 0)
	f.ret(refuse(unix.EPERM))
	f.ret(unix.SECCOMP_RET_ALLOW)
	for _, number := range forks() {
		f.add(jumpIfEqual, number, 0, 1)
		f.ret(refuse(unix.EPERM))
	}
}

// seccomp asks the kernel about filters.
func seccomp(operation uintptr, arg *uint32) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, operation, 0, uintptr(unsafe.Pointer(arg))) //nolint:gosec // the kernel's interface
	return errnoOf(errno)
}
