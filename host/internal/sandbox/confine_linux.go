//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/jackfield/jackfield/host/internal/sandbox/launcher"
)

// abilities are what this system can hold.
type abilities struct {
	landlock landlock
	filters  bool // of system calls
	bare     bool // this process has capabilities to drop
	groups   *groups
}

func ask(opts Options) abilities {
	can := abilities{landlock: askLandlock(), filters: filtersWork(), bare: capable()}
	if opts.Groups {
		can.groups, _ = openGroups(ownGroup, makeGroup) // without one the limits of the process do
	}
	return can
}

// memoryBy names what holds a limit of memory. The limit of what a process may write to
// is there in any case.
func (a abilities) memoryBy() string {
	if a.groups != nil {
		return "cgroup-v2"
	}
	return "rlimit-data"
}

// verdict is of what keeps a plugin from the host. What the limits are made of does not
// count: there always are some.
func (a abilities) verdict() Verdict {
	var reasons []string
	switch abi := a.landlock.abi; {
	case abi == 0:
		reasons = append(reasons, "the kernel has no Landlock, or it is off: plugins can read and write what the daemon's user can")
	case abi < landlockTruncate:
		reasons = append(reasons, "the kernel's Landlock is old (Linux 6.2 is needed): plugins can empty files of the daemon's user")
		fallthrough
	case abi < landlockScopes:
		reasons = append(reasons, "the kernel's Landlock is old (Linux 6.12 is needed): plugins can signal processes of the daemon's user")
	}
	if !a.filters {
		reasons = append(reasons, "the kernel cannot filter system calls: plugins can connect to anything and look into processes of the daemon's user")
	}
	switch {
	case len(reasons) == 0:
		return Verdict{Level: Full}
	case a.landlock.abi == 0 && !a.filters:
		return Verdict{Level: None, Reasons: reasons}
	default:
		return Verdict{Level: Partial, Reasons: reasons}
	}
}

// sharers is how many processes of one user there are room for at once: what serves, what
// takes over from it, what runs one call alone.
const sharers = 4

// Cell is a process in its sandbox. It is closed when the process has ended, or was
// not started.
type Cell struct {
	status *os.File   // what the launch tells
	theirs []*os.File // the process's copies of these are what counts
	group  *group     // nil: none
	memory uint64
}

// Confine changes cmd, which starts the program under its name, so that it does so in
// a sandbox. The program is executed through its descriptor, unless it is a script. The
// caller starts cmd, then calls Await. ErrTooWeak is of a system that cannot hold what
// is demanded.
func (s *Sandbox) Confine(cmd *exec.Cmd, program *os.File, p Policy) (_ *Cell, err error) {
	if err := s.Allowed(); err != nil {
		return nil, err
	}
	kind, err := kindOf(program)
	if err != nil {
		return nil, err
	}
	c := &Cell{memory: p.Memory}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	var theirs *os.File
	if c.status, theirs, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	c.theirs = append(c.theirs, theirs)
	spec := launcher.Spec{Name: p.Name, Bare: s.can.bare, Files: atMost(unix.RLIMIT_NOFILE, s.opts.Files)}
	if p.User != 0 {
		if err := become(cmd, p.Dir, p.User); err != nil {
			return nil, err
		}
		spec.Bare = false                                                      // they go with the user
		spec.Tasks = atMost(unix.RLIMIT_NPROC, uint64(s.opts.Threads)*sharers) //nolint:gosec // a limit is no negative number
	}
	if p.Memory > 0 {
		spec.Data = atMost(unix.RLIMIT_DATA, p.Memory)
	}
	if kind.script() {
		spec.Path = program.Name() // its interpreter opens it again
	}
	if s.can.filters {
		spec.Filter = filterOf(p.Network, kind.script())
	}
	cmd.ExtraFiles = []*os.File{theirs, program}
	if s.can.landlock.abi > 0 {
		ruleset, err := s.can.landlock.ruleset(program, kind, p)
		if err != nil {
			return nil, err
		}
		c.theirs = append(c.theirs, ruleset)
		cmd.ExtraFiles, spec.Landlock = append(cmd.ExtraFiles, ruleset), true
	}
	if s.can.groups != nil {
		if c.group, err = s.can.groups.make(p.Memory, s.opts.Threads); err != nil {
			return nil, err
		}
		c.group.enter(cmd)
	}
	cmd.Path = "/proc/self/exe" // this program, whatever has become of its name
	cmd.Env = append(cmd.Env, launcher.Variable+"="+spec.Encode())
	if p.Memory > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMEMLIMIT=%d", p.Memory/10*9)) // a Go program collects harder before it ends
	}
	return c, nil
}

// Await returns when the program is being executed, or why it is not: then the process
// is about to end. It is called once, after the start.
func (c *Cell) Await() error {
	c.release()
	told, err := io.ReadAll(c.status)
	if err != nil {
		return fmt.Errorf("await launch: %w", err)
	}
	return launchError(told)
}

// Explain says why the kernel ended the process, whose last lines are given; empty if
// it was not for a limit.
func (c *Cell) Explain(lines []string) string {
	if c.memory == 0 {
		return ""
	}
	out := c.group != nil && c.group.ranOut()
	for _, line := range lines {
		out = out || saysNoMemory(line)
	}
	if !out {
		return ""
	}
	return fmt.Sprintf("it needed more than the %d MiB of memory that it may use (hint: plugins: {memory: ...} in host.yaml)", c.memory>>20)
}

// saysNoMemory knows the last words of a program that got no more memory.
func saysNoMemory(line string) bool {
	for _, words := range []string{"out of memory", "cannot allocate memory", "Cannot allocate memory", "MemoryError"} {
		if strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// Kill ends all that is in the process's control group, if it has one.
func (c *Cell) Kill() {
	if c.group != nil {
		c.group.kill()
	}
}

// Close lets go of what the process no longer needs.
func (c *Cell) Close() {
	c.release()
	if c.status != nil {
		_ = c.status.Close() // a pipe: nothing is lost
	}
	if c.group != nil {
		c.group.remove()
	}
}

func (c *Cell) release() {
	for _, f := range c.theirs {
		_ = f.Close() // the process has its own
	}
	c.theirs = nil
}

// Harden keeps other processes of the same user out of this one: it cannot be traced
// or dumped, and writes no core.
func Harden() error {
	none := unix.Rlimit{}
	err := unix.Setrlimit(unix.RLIMIT_CORE, &none)
	return errors.Join(err, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// atMost returns a limit that this process may set: nobody raises one.
func atMost(resource int, wanted uint64) uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil {
		return wanted
	}
	return min(wanted, l.Max)
}

// capable reports whether this process has capabilities.
func capable() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Permitted|data[1].Permitted != 0
}

// filtersWork reports whether the kernel takes a filter of system calls.
func filtersWork() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	return seccomp(unix.SECCOMP_GET_ACTION_AVAIL, &action) == nil
}

func errnoOf(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
