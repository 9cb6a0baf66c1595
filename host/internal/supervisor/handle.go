package supervisor

import (
	"errors"
	"sync"

	"github.com/jackfield/jackfield/sdk"
)

// Errors of Acquire and Sync.
var (
	// ErrNotLoaded means that no process of the plugin can take work now.
	ErrNotLoaded = errors.New("the plugin is not loaded")
	// ErrNotRunning means that Run has ended.
	ErrNotRunning = errors.New("the supervisor does not run")
)

// Handle lends an instance until Release.
type Handle struct {
	Instance sdk.Instance
	Manifest sdk.Manifest
	Version  string // of the plugin

	set      *instances
	entry    *instance
	process  *process
	draining <-chan struct{}
	end      func() // of a process that was started for it; may be nil
	once     sync.Once
}

// Release gives the instance back. Calling it again does nothing.
func (h *Handle) Release() {
	h.once.Do(func() {
		h.set.release(h.entry)
		if h.end != nil {
			h.end()
		}
	})
}

// Ending says how the process ended and what it wrote last. It waits a moment for
// that, since the calls of a process are lost before its end is noticed; nil means
// that it runs.
func (h *Handle) Ending() error {
	if !h.process.x.await(killTimeout) {
		return nil
	}
	return h.process.crash()
}

// Drop keeps the instance from being lent out again: the next Acquire opens a
// new one. It is for a call that ended with plugin.ErrReopen, which is no
// failure. The handle has to be released all the same.
func (h *Handle) Drop() { h.set.drop(h.entry) }

// Draining is closed when the process is to end: the holder stops at the next
// point where the work can go on elsewhere. A call that is lost afterwards was
// ended by the host and is no failure of the plugin.
func (h *Handle) Draining() <-chan struct{} { return h.draining }
