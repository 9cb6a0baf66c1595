package supervisor

import (
	"os"
	"os/exec"
	"syscall"
)

// Access is what the processes of a plugin may reach beside what is their own. When
// it changes, the plugin gets a new process, which starts beside the one that serves.
type Access struct {
	Reads string // files and folders, one a line
}

// Launch is a program that is about to be started.
type Launch struct {
	Binary  Binary
	Dir     string   // of the process: its sockets and temporary files
	Program *os.File // what is executed: it is the one that was verified
}

// Confinement is the sandbox of one process.
type Confinement interface {
	// Await returns when the program is being executed, or why it is not. It is called
	// once, after the start.
	Await() error
	// Explain says why the process, whose last lines are given, was ended for what it
	// took; empty if it was not for that.
	Explain(lines []string) string
	// Kill ends what the process has started and its group does not hold.
	Kill()
	// Close lets go of the sandbox when the process has ended, or was not started.
	Close()
}

// open is the Confinement of a process without a sandbox.
type open struct{}

func (open) Await() error            { return nil }
func (open) Explain([]string) string { return "" }
func (open) Kill()                   {}
func (open) Close()                  {}

// confine readies cmd, by Options.Confine if there is one.
func (x *execution) confine(cmd *exec.Cmd) (Confinement, error) {
	if x.cage == nil {
		return open{}, nil
	}
	c, err := x.cage(cmd, Launch{Binary: x.binary, Dir: x.dir, Program: x.exe.file})
	if c == nil {
		c = open{}
	}
	return c, err
}

// launched waits until the program of cmd runs. One that does not is gone when it
// returns.
func (x *execution) launched(cmd *exec.Cmd, c Confinement) error {
	err := c.Await()
	if err == nil {
		return nil
	}
	x.mu.Lock()
	x.cmd = nil
	x.mu.Unlock()
	signalGroup(cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait() // why it ended is known
	return err
}

// Access returns what the process of the plugin that takes work of the tenant may
// reach, or the next one will; false for a plugin that is not wanted.
func (s *Supervisor) Access(name, tenant string) (Access, bool) {
	a := s.actor(name)
	switch {
	case a == nil:
		return Access{}, false
	case a.branches == nil:
		return a.wanted().Access, true
	}
	if b := a.branches.find(tenant); b != nil {
		if p := b.process(); p != nil {
			return p.binary.Access, true
		}
	}
	return s.opts.Reach(name, tenant), true
}

// same reports whether b is the same program as other, whatever it may reach and for
// whom.
func (b Binary) same(other Binary) bool {
	b.Access, b.Tenant = other.Access, other.Tenant
	return b == other
}
