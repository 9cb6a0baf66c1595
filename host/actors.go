package main

import (
	"context"
	"errors"
	"fmt"
)

// actor is a part of the daemon that runs until its context ends.
type actor struct {
	name string
	run  func(ctx context.Context) error
}

// actors run together. They stop one after the other, in the order in which they
// stand: each has ended before the next is asked to, so that a part can count on
// those behind it until its last word.
type actors []actor

// run starts all of them and returns when all have ended: because ctx did, or
// because one of them did, whose error it then returns.
func (as actors) run(ctx context.Context) error {
	type ended struct {
		at  int
		err error
	}
	base := context.WithoutCancel(ctx)
	first := make(chan ended, len(as))
	stops := make([]context.CancelFunc, len(as))
	done := make([]chan struct{}, len(as))
	errs := make([]error, len(as))
	for i, a := range as {
		actorCtx, cancel := context.WithCancel(base)
		stops[i], done[i] = cancel, make(chan struct{})
		go func() {
			defer close(done[i])
			if err := a.run(actorCtx); err != nil && !errors.Is(err, context.Canceled) {
				errs[i] = fmt.Errorf("%s: %w", a.name, err)
			}
			first <- ended{i, errs[i]}
		}()
	}
	var cause error
	select {
	case <-ctx.Done():
	case e := <-first:
		if cause = e.err; cause == nil {
			cause = fmt.Errorf("%s ended by itself", as[e.at].name)
		}
	}
	for i := range as {
		stops[i]()
		<-done[i]
	}
	if cause != nil {
		return cause
	}
	return errors.Join(errs...)
}
