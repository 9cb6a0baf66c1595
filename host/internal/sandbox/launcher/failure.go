package launcher

import (
	"fmt"
	"syscall"
)

// Step is what a launch does.
type Step byte

// The steps, in their order.
const (
	StepDecode     Step = 'd'
	StepDescriptor Step = 'f'
	StepPrivileges Step = 'p'
	StepCaps       Step = 'c'
	StepLimits     Step = 'l'
	StepLandlock   Step = 'k'
	StepFilter     Step = 's'
	StepExec       Step = 'x'
)

// act says what a step does, for an error.
func (s Step) act() string {
	switch s {
	case StepDecode:
		return "read how to launch"
	case StepDescriptor:
		return "close descriptors"
	case StepPrivileges:
		return "give up new privileges"
	case StepCaps:
		return "drop capabilities"
	case StepLimits:
		return "set limits"
	case StepLandlock:
		return "enter the Landlock domain"
	case StepFilter:
		return "set the filter of system calls"
	case StepExec:
		return "execute"
	default:
		return "launch"
	}
}

// Failure is what a launch tells through its pipe: the step, and the number of the
// error in four bytes. Only the error of the execution itself is wrapped.
func Failure(told []byte) error {
	if len(told) == 0 {
		return nil
	}
	var n uint32
	for i, b := range told[1:min(len(told), 5)] {
		n |= uint32(b) << (8 * i)
	}
	if step := Step(told[0]); step != StepExec { // a caller that asks what is wrong with the program is not answered by this
		return fmt.Errorf("%s: %s", step.act(), syscall.Errno(n).Error())
	}
	return fmt.Errorf("%s: %w", StepExec.act(), syscall.Errno(n))
}

// tell is the reverse of Failure.
func tell(s Step, n syscall.Errno) []byte {
	return []byte{byte(s), byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} //nolint:gosec // its four bytes
}
