package launcher

import "syscall"

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

// tell is what a launch writes into its pipe: the step, and the number of the error in
// four bytes.
func tell(s Step, n syscall.Errno) []byte {
	return []byte{byte(s), byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} //nolint:gosec // its four bytes
}
