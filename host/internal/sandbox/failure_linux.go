//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"syscall"

	"github.com/jackfield/jackfield/host/internal/sandbox/launcher"
)

// act says what a step of a launch does, for an error.
func act(s launcher.Step) string {
	switch s {
	case launcher.StepDecode:
		return "read how to launch"
	case launcher.StepDescriptor:
		return "close descriptors"
	case launcher.StepPrivileges:
		return "give up new privileges"
	case launcher.StepCaps:
		return "drop capabilities"
	case launcher.StepLimits:
		return "set limits"
	case launcher.StepLandlock:
		return "enter the Landlock domain"
	case launcher.StepFilter:
		return "set the filter of system calls"
	case launcher.StepExec:
		return "execute"
	default:
		return "launch"
	}
}

// launchError is what a launch told through its pipe. Only the error of the execution
// itself is wrapped: who asks what is wrong with the program is not answered by others.
func launchError(told []byte) error {
	if len(told) == 0 {
		return nil
	}
	var n uint32
	for i, b := range told[1:min(len(told), 5)] {
		n |= uint32(b) << (8 * i)
	}
	if step := launcher.Step(told[0]); step != launcher.StepExec {
		return fmt.Errorf("%s: %s", act(step), syscall.Errno(n).Error())
	}
	return fmt.Errorf("%s: %w", act(launcher.StepExec), syscall.Errno(n))
}
