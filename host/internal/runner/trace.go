package runner

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Tracer makes spans of what a Runner does. Its methods wait for nobody.
type Tracer interface {
	// Claim begins the span of the claim of a stream, which the context carries to what
	// is done for it. end is told what became of the stream, how many segments were
	// applied, and what failed.
	Claim(ctx context.Context, run store.Run, s store.Stream) (_ context.Context, end func(state store.StreamState, segments int, failure *store.Failure))
	// Segment tells of a segment that was applied, or why it was not.
	Segment(ctx context.Context, began time.Time, records int, err error)
	// Check begins the span of a connection test, as Claim does of a claim.
	Check(ctx context.Context, in store.Integration) (_ context.Context, end func(err error))
	// Ended tells of a run that has ended.
	Ended(ctx context.Context, run store.Run, state store.RunState)
}

// traced is process in a span, if somebody traces.
func (rw *runWork) traced(ctx context.Context, c *call) streamDone {
	t := rw.r.opts.Trace
	if t == nil {
		return rw.process(ctx, c)
	}
	ctx, end := t.Claim(ctx, rw.run, c.stream)
	d := rw.process(ctx, c)
	end(c.ended.State, d.segments, c.ended.Failure)
	return d
}
