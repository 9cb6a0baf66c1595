package main

import (
	"fmt"

	"github.com/jackfield/jackfield/store"
)

const (
	// minDescriptors is what the daemon needs to serve at all: the store, the
	// watchers, some plugins, and a few connections.
	minDescriptors = 128
	// descriptorsPerProcess is what a plugin's process takes here: its pipes, its
	// connection, its handle.
	descriptorsPerProcess = 8
	// The API's connections have a quarter of what there is, and a thousand at most.
	apiShare       = 4
	maxConnections = 1024
	// Those of HTTP have a sixteenth of that.
	httpShare = 16
)

// raiseDescriptors is how the limit is raised.
const raiseDescriptors = "raise the limit: ulimit -n 4096, or LimitNOFILE=4096 in the service's unit"

// descriptors are the open files that the system grants the daemon. A fifth of
// them stays free for what was begun: a store or a log that cannot open a file
// fails where nobody expects it.
type descriptors struct {
	limit int                 // none if zero
	open  func() (int, error) // how many there are now
}

// newDescriptors refuses a limit with which nothing could be served.
func newDescriptors(limit int, open func() (int, error)) (*descriptors, error) {
	if limit > 0 && limit < minDescriptors {
		return nil, store.Hint(fmt.Errorf("the system grants this process %d open files; the daemon needs %d", limit, minDescriptors), raiseDescriptors)
	}
	return &descriptors{limit: limit, open: open}, nil
}

// connections returns how many the API may have.
func (d *descriptors) connections() int {
	if d.limit == 0 {
		return maxConnections
	}
	return min(d.limit/apiShare, maxConnections)
}

// httpConnections returns how many the HTTP listener may have.
func (d *descriptors) httpConnections() int { return max(1, d.connections()/httpShare) }

// room returns a store.ErrLimit while there is none for another process.
func (d *descriptors) room() error {
	if d.limit == 0 {
		return nil
	}
	open, err := d.open()
	if err != nil {
		return fmt.Errorf("count open files: %w", err)
	}
	if most := d.limit / 5 * 4; open+descriptorsPerProcess > most {
		return store.Hint(fmt.Errorf("the daemon has %d of the %d open files that the system grants it, and keeps a fifth free: %w", open, d.limit, store.ErrLimit),
			raiseDescriptors)
	}
	return nil
}
