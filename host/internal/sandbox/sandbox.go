package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// ErrTooWeak is of a system that cannot hold what Options.Require demands.
var ErrTooWeak = errors.New("the sandbox is weaker than plugins.sandbox.require demands")

// Options of a Sandbox. The zero value demands nothing.
type Options struct {
	// Require is the least Level at which a process is started; None if empty.
	Require Level
	// Files is how many open ones a process may have; 1,024 if zero.
	Files uint64
	// Threads is how many threads and processes the control group of a process may
	// have, where there is one; 512 if zero.
	Threads int
	// Groups looks for control groups that are the host's to divide. It moves the host
	// into a group of its own below its present one, so one process does it once.
	Groups bool
	// Users are whom processes may become; without them each is this process's user.
	Users *Users
}

// Sandbox starts processes that reach what their Policy says. Its methods may be
// called from several goroutines.
type Sandbox struct {
	opts Options
	can  abilities
	weak string // why it cannot start processes of other users
}

// New asks the system what it can hold.
func New(opts Options) *Sandbox {
	opts.Require = cmp.Or(opts.Require, None)
	opts.Files = cmp.Or(opts.Files, 1024)
	opts.Threads = cmp.Or(opts.Threads, 512)
	s := &Sandbox{opts: opts, can: ask(opts)}
	if opts.Users != nil {
		s.weak = mayChange(opts.Users.Range())
	}
	return s
}

// Verdict returns how much of a Policy this system holds.
func (s *Sandbox) Verdict() Verdict { return s.can.verdict() }

// Separate says why processes are not of users of their own; empty if they can be.
func (s *Sandbox) Separate() string {
	if s.opts.Users == nil {
		return "plugins: {users: off} in host.yaml"
	}
	return s.weak
}

// MemoryBy says what holds Policy.Memory here; empty if nothing does.
func (s *Sandbox) MemoryBy() string { return s.can.memoryBy() }

// Allowed returns why no process is started here: ErrTooWeak, with what is missing.
func (s *Sandbox) Allowed() error {
	v := s.Verdict()
	if v.Level.atLeast(s.opts.Require) {
		return nil
	}
	return fmt.Errorf("%w: %s is needed, this system has %s: %s (hint: plugins: {sandbox: {require: %s}} in host.yaml trusts plugins that much more)",
		ErrTooWeak, s.opts.Require, v.Level, strings.Join(v.Reasons, "; "), v.Level)
}
