package runner

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Causes of a call's context.
var (
	errYield   = errors.New("the lane is wanted for something else")
	errSilent  = errors.New("no sign of life")
	errTooLong = errors.New("the call took too long")
	errEnded   = errors.New("the run has ended")
)

// watchdog cancels a call that shows no sign of life: no batch, no checkpoint,
// no progress. It rests while the host itself makes the plugin wait.
type watchdog struct {
	silence time.Duration
	timer   *time.Timer

	mu      sync.Mutex // guards what follows, and the timer
	until   time.Time  // what was promised; it may have passed
	resting bool
	over    bool
}

func newWatchdog(silence time.Duration, cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{silence: silence, timer: time.AfterFunc(silence, func() { cancel(errSilent) })}
}

func (d *watchdog) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resting = true
	d.timer.Stop()
}

func (d *watchdog) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resting = false
	d.arm()
}

// extend lets the call be silent for the duration from now, whatever it emits
// before.
func (d *watchdog) extend(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = time.Now().Add(by)
	d.arm()
}

// stop ends the watch: the call is over.
func (d *watchdog) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	d.timer.Stop()
}

// arm sets the timer, unless it rests. The caller holds mu.
func (d *watchdog) arm() {
	if !d.resting && !d.over {
		d.timer.Reset(max(d.silence, time.Until(d.until)))
	}
}
