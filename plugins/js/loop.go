package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dop251/goja"
)

// maxPending is how much a call may wait for at once.
const maxPending = 64

// errNever is a promise that nothing can keep.
var errNever = errors.New("it waits for a promise that nothing keeps")

// loop runs what a call waits for. One goroutine uses the world: that of run.
type loop struct {
	vm     *goja.Runtime
	tasks  chan func() error // what is to be done in the world
	work   sync.WaitGroup    // goroutines outside of the world
	ctx    context.Context   //nolint:containedctx // of the call, as the loop is
	turn   *turn             // told when the call runs, and when it waits
	busy   int               // what waits; run's alone, as the rest
	timers map[int64]*time.Timer
	last   int64
}

func newLoop(ctx context.Context, vm *goja.Runtime, t *turn) *loop {
	return &loop{vm: vm, tasks: make(chan func() error), ctx: ctx, turn: t, timers: map[int64]*time.Timer{}}
}

// wait runs tasks until the promise is kept or broken.
func (l *loop) wait(p *goja.Promise) error {
	for p.State() == goja.PromiseStatePending {
		if l.busy == 0 {
			return errNever
		}
		task, err := l.next()
		if err != nil {
			return err
		}
		l.busy--
		if err := task(); err != nil {
			return err
		}
	}
	return nil
}

// next waits for a task.
func (l *loop) next() (func() error, error) {
	l.turn.off()
	defer l.turn.on()
	select {
	case task := <-l.tasks:
		return task, nil
	case <-l.ctx.Done():
		return nil, context.Cause(l.ctx)
	}
}

// settled makes the value that a promise is kept with, or that it is broken with. It
// runs in the world.
type settled func() (value, reason goja.Value)

// promise does work outside of the world, and keeps a promise with what it returns.
func (l *loop) promise(work func(ctx context.Context) settled) goja.Value {
	l.take()
	p, resolve, reject := l.vm.NewPromise()
	l.work.Go(func() {
		value := work(l.ctx)
		l.post(func() error {
			v, reason := value()
			if reason != nil {
				return reject(reason)
			}
			return resolve(v)
		})
	})
	return l.vm.ToValue(p)
}

// take counts one more thing that is waited for.
func (l *loop) take() {
	if l.busy >= maxPending {
		panic(l.vm.NewGoError(fmt.Errorf("a call waits for %d things at once, %d are allowed", l.busy+1, maxPending))) //nolint:forbidigo // how a native function throws
	}
	l.busy++
}

// post has a task done in the world, unless the call ends before.
func (l *loop) post(task func() error) {
	select {
	case l.tasks <- task:
	case <-l.ctx.Done():
	}
}

// setTimeout calls a function later, if the call is still there then.
func (l *loop) setTimeout(call goja.FunctionCall) goja.Value {
	fn, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		panic(l.vm.NewTypeError("setTimeout needs a function")) //nolint:forbidigo // how a native function throws
	}
	l.take()
	var args []goja.Value
	if len(call.Arguments) > 2 {
		args = call.Arguments[2:]
	}
	l.last++
	id := l.last
	delay := time.Duration(max(0, call.Argument(1).ToInteger())) * time.Millisecond
	l.work.Add(1)
	l.timers[id] = time.AfterFunc(delay, func() {
		defer l.work.Done()
		l.post(func() error {
			if _, there := l.timers[id]; !there {
				l.busy++ // clearTimeout has counted it already
				return nil
			}
			delete(l.timers, id)
			_, err := fn(goja.Undefined(), args...)
			return err
		})
	})
	return l.vm.ToValue(id)
}

// clearTimeout takes a timer back.
func (l *loop) clearTimeout(call goja.FunctionCall) goja.Value {
	id := call.Argument(0).ToInteger()
	if t, ok := l.timers[id]; ok {
		delete(l.timers, id)
		l.busy--
		if t.Stop() {
			l.work.Done()
		}
	}
	return goja.Undefined()
}

// end stops what is left, and returns when nothing of the call runs any more. The
// context has ended before.
func (l *loop) end() {
	for _, t := range l.timers {
		if t.Stop() {
			l.work.Done()
		}
	}
	clear(l.timers)
	l.work.Wait()
}
