package sandbox

import "golang.org/x/sys/unix"

const (
	arch    = unix.AUDIT_ARCH_X86_64
	foreign = 0x4000_0000 // x32: the same processor, other numbers
)

// forbiddenHere lists calls that only this processor has.
func forbiddenHere() []uint32 {
	return []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_CREATE_MODULE}
}

// forks lists the older calls that make a process.
func forks() []uint32 { return []uint32{unix.SYS_FORK, unix.SYS_VFORK} }
