package sdktest

import (
	"context"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// maxKillResumes bounds from how many states a new process goes on.
const maxKillResumes = 20

// kill checks that all is in what the host keeps: the process is killed during a
// call, and another one goes on from every state that there was.
func (e *exercise) kill(ctx context.Context, r *run) {
	ctx = sdk.WithHost(ctx, r.host)
	begun, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if len(r.pages) > 0 { // it is lost, or just through
			_, _ = processed(ctx, r.instance, r.pages[0].call, &sink{first: sync.OnceFunc(func() { close(begun) })})
		}
	}()
	select {
	case <-begun:
	case <-done:
	}
	p, err := e.opts.Restart(ctx)
	if err != nil {
		e.broken("started again: %w", err)
		return
	}
	timer := time.NewTimer(cancelWithin)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		e.broken("the call goes on though its process is killed")
	}
	i, err := open(ctx, p, r.opts.Settings, r.opts.Connectors)
	if err != nil {
		e.broken("started again: open: %w", err)
		return
	}
	defer shut(i)
	left := maxKillResumes
	// What breaks within one process is told already. To repeat a page may bring back
	// what a process knew, so that is last.
	for _, page := range r.pages {
		if !e.breaks("resume") {
			e.resumePage(ctx, i, page, &left)
		}
	}
	for _, page := range r.pages[:min(len(r.pages), maxKillResumes)] {
		if !e.breaks("repeat") {
			e.repeatPage(ctx, i, page, "asked of a new process")
		}
	}
}

// repeat checks that a page that is asked for once more is the same.
func (e *exercise) repeat(ctx context.Context, r *run) {
	ctx = sdk.WithHost(ctx, r.host)
	for n, page := range r.pages {
		if n == maxResumes {
			return
		}
		e.repeatPage(ctx, r.instance, page, "asked for once more")
	}
}

func (e *exercise) repeatPage(ctx context.Context, i sdk.Instance, p page, how string) {
	where := "stream " + p.call.Stream.ID + ": page " + how
	s := &sink{}
	outcome, err := processed(ctx, i, p.call, s)
	if err != nil {
		e.broken("%s: %w", where, err)
		return
	}
	if (outcome.NextPage == nil) != (p.outcome.NextPage == nil) {
		e.broken("%s: the next page differs", where)
	}
	e.same(where, resultOf(p.segments), resultOf(s.segments()))
	e.sameStreams(where, p.segments, s.segments(), nil)
}

// goOn checks that a run goes on from the cursors of the one before.
func (e *exercise) goOn(ctx context.Context, first *run) {
	opts := first.opts
	opts.Cursors, opts.Host = first.result.Cursors, first.host
	if _, err := Run(ctx, e.plugin, opts); err != nil {
		e.broken("a run from the cursors of the first: %w", err)
	}
}

// future checks that there is nothing after the end of time.
func (e *exercise) future(ctx context.Context) {
	opts := e.opts
	opts.Cursors = opts.Future
	r, err := Run(ctx, e.plugin, opts)
	if err != nil {
		e.broken("a run from far future cursors: %w", err)
		return
	}
	if n := len(r.Records) + len(r.Activities); n > 0 {
		e.broken("a run from far future cursors emits %d records and activities (hint: ask the remote system for what came after call.Cursor)", n)
	}
}
