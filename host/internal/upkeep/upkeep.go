// Package upkeep does the daemon's periodic chores: what has to happen now and
// then, in small portions, beside the work.
package upkeep

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Task is a chore. Do does one bounded portion and is called again Every later;
// sooner if it returns more: there is more to do. It must end with its context. An
// error is logged, and the task is tried again in its time.
type Task struct {
	Name  string
	Every time.Duration
	Do    func(ctx context.Context) (more bool, err error)
}

// pause lies between two portions of a task that has more to do, so that chores
// leave room for the work.
const pause = 50 * time.Millisecond

// Upkeep runs tasks, each beside the others.
type Upkeep struct {
	log   hclog.Logger
	tasks []Task
}

// New returns an Upkeep that is not running yet.
func New(log hclog.Logger, tasks ...Task) *Upkeep {
	return &Upkeep{log: log, tasks: tasks}
}

// Run does the tasks until ctx ends, and returns when the last of them has. The
// first portion of each is done at once.
func (u *Upkeep) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, t := range u.tasks {
		running.Go(func() { u.repeat(ctx, t) })
	}
	running.Wait()
	return nil
}

func (u *Upkeep) repeat(ctx context.Context, t Task) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		more, err := t.Do(ctx)
		if err != nil && ctx.Err() == nil {
			u.log.Error("upkeep", "task", t.Name, "error", fmt.Errorf("%s: %w", t.Name, err))
		}
		wait := t.Every
		if more && err == nil {
			wait = pause
		}
		timer.Reset(wait)
	}
}
