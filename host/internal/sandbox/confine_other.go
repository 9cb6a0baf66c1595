//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"os"
	"os/exec"
	"runtime"
)

// abilities of a system without a sandbox.
type abilities struct{}

func ask(Options) abilities { return abilities{} }

func (abilities) verdict() Verdict {
	return Verdict{Level: None, Reasons: []string{"there is no sandbox on " + runtime.GOOS + "/" + runtime.GOARCH + ": plugins can do what the daemon's user can"}}
}

func (abilities) memoryBy() string { return "" }

// Cell is a process without a sandbox.
type Cell struct{}

// Confine leaves cmd as it is.
func (s *Sandbox) Confine(*exec.Cmd, *os.File, Policy) (*Cell, error) {
	return &Cell{}, s.Allowed()
}

// Await returns nil: nothing is awaited.
func (*Cell) Await() error { return nil }

// Explain knows nothing.
func (*Cell) Explain([]string) string { return "" }

// Kill does nothing.
func (*Cell) Kill() {}

// Close does nothing.
func (*Cell) Close() {}

// Harden does nothing on this system.
func Harden() error { return nil }
