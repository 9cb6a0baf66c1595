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
)

// watchdog cancels a call that shows no sign of life: no batch, no checkpoint,
// no progress. It rests while the host itself makes the plugin wait.
type watchdog struct {
	silence time.Duration

	mu    sync.Mutex // guards timer
	timer *time.Timer
}

func newWatchdog(silence time.Duration, cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{silence: silence, timer: time.AfterFunc(silence, func() { cancel(errSilent) })}
}

func (d *watchdog) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer.Stop()
}

func (d *watchdog) wake() { d.extend(d.silence) }

// extend lets the call be silent for the duration from now.
func (d *watchdog) extend(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer.Reset(by)
}
