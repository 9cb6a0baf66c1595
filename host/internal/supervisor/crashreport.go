package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// namedCalls is how many integrations the report of a crash names.
	namedCalls = 10
	// lastMoment is how long before a process was gone a call may have ended that
	// counts as one that it was busy with.
	lastMoment = time.Second
)

// attend has the execution ask, when the process ends, what it was busy with.
func (x *execution) attend(busy func() []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy = busy
}

// remember notes what the process was busy with, as soon as it is gone, and returns
// the first of it.
func (x *execution) remember() []string {
	x.mu.Lock()
	busy := x.busy
	x.mu.Unlock()
	if busy == nil {
		return nil
	}
	doing := busy()
	if more := len(doing) - namedCalls; more > 0 {
		doing = append(doing[:namedCalls:namedCalls], fmt.Sprintf("and %d more", more))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.doing = doing
	return doing
}

// report adds to why a process ended the first line of its panic, and what it was
// busy with.
func (x *execution) report(why error) error {
	x.mu.Lock()
	doing := x.doing
	x.mu.Unlock()
	text := ""
	if line := x.out.panicLine(); line != "" && !errors.Is(why, errUnhealthy) { // that one was asked for its goroutines
		text = ": " + line
	}
	if len(doing) > 0 {
		text += "; busy with: " + strings.Join(doing, ", ")
	}
	if text == "" {
		return why
	}
	return fmt.Errorf("%w%s", why, text)
}
