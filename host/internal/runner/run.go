package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// lookAgain is how often a run with room for more streams asks for due ones.
const lookAgain = time.Second

// runWork is a run at work. Fields without a lock are used by workRun's goroutine
// alone.
type runWork struct {
	*lane
	run     store.Run
	turn    *turn // the lane's hold
	drained bool  // the last claim left nothing that is due
	done    chan streamDone

	load workload
}

// suspectAfter is how many claims in a row may end without an answer before a
// stream runs alone in a process of its own. Whoever ends the process each time
// then ends that of nobody else, and those that died with it get on (K11, F23).
const suspectAfter = 2

// streamDone is how a stream's goroutine ended.
type streamDone struct {
	applied      store.Applied
	segments     int
	system       bool
	preprocessed []byte
	asked        int // places for what was claimed with its end
	err          error
}

// workRun works the run's due streams, several at once, until none is due or the
// run ended.
func (w *lane) workRun(ctx context.Context, run store.Run) error {
	callsCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turn := newTurn(w.hold)
	defer turn.close()
	w.hold = turn
	rw := &runWork{lane: w, run: run, turn: turn, done: make(chan streamDone)}
	places := w.r.seats(w.manifest, w.in.TenantID, run.Kind)
	rw.load.begun(0, w.first)
	rw.start(callsCtx, w.first, w.places)
	w.first = nil
	var firstErr error
	ended := false
	for {
		idle := true
		if firstErr == nil && !ended && ctx.Err() == nil && !rw.over() && !rw.spent(0) {
			started, err := rw.startStreams(callsCtx)
			firstErr = err
			idle = started == 0
		}
		if firstErr != nil {
			rw.load.close()
		}
		if rw.load.idle() {
			if idle {
				return rw.result(ctx, errors.Join(firstErr, rw.limit(ctx)))
			}
			continue
		}
		var d streamDone
		select {
		case d = <-rw.done:
		case <-time.After(lookAgain):
			// A retry may have become due beside a long call: of this run, or of one
			// that goes before it and need not wait for the call's end.
			way, due, err := rw.r.db.LookRun(ctx, rw.run)
			if err == nil && way {
				rw.turn.end()
			}
			rw.drained = rw.drained && !due && err == nil
			continue
		}
		rw.load.ended(d)
		rw.drained = d.applied.Drained
		if d.applied.Released {
			rw.hold.GaveBack(d.applied.LaneDue)
		}
		if d.applied.RunEnded {
			ended = true
			cancel(errEnded) // what others of an aborted run still do is worth nothing
			rw.tellEnd(ctx, d.applied.Run)
		}
		if d.preprocessed != nil {
			rw.run.Preprocessed = d.preprocessed
		}
		if d.err != nil && firstErr == nil {
			firstErr = d.err
		}
		rw.start(callsCtx, d.applied.Next, places)
	}
}

// tellEnd logs how the run ended: a person must know when that is not well.
func (rw *runWork) tellEnd(ctx context.Context, state store.RunState) {
	if rw.r.opts.Trace != nil {
		rw.r.opts.Trace.Ended(ctx, rw.run, state)
	}
	level := hclog.Warn
	if state == store.RunProcessed {
		level = hclog.Debug
	}
	rw.log.Log(level, "run ended", "run", rw.run.ID, "kind", rw.run.Kind, "state", state)
}

// result drops errors that only say that the lane was taken away.
func (rw *runWork) result(ctx context.Context, err error) error {
	if ours := !stale(err) && ctx.Err() == nil; ours {
		return err
	}
	return nil
}

// spent reports whether the quantum's segments are used up while others wait, if
// there are so many more than are counted.
func (rw *runWork) spent(more int) bool {
	return rw.hold.Crowded() && rw.load.applied()+more >= rw.r.opts.Segments
}

// startStreams claims as many due streams as there is room for and starts them.
func (rw *runWork) startStreams(ctx context.Context) (int, error) {
	if rw.drained || rw.load.exclusive() {
		// What the end of a call makes of the run is known here only when it is done.
		return 0, nil
	}
	most, err := rw.inLimit(ctx, rw.run.ID)
	if err != nil {
		return 0, err
	}
	places := rw.r.seats(rw.manifest, rw.in.TenantID, rw.run.Kind)
	got := rw.load.reserve(min(rw.beside(), most), func(room int) (n int) {
		for n < room && places.try() {
			n++
		}
		return n
	})
	if got == 0 {
		if most <= 0 || !rw.load.idle() {
			return 0, nil // one of ours will end
		}
		if ok, err := rw.await(ctx, places); err != nil || !ok {
			return 0, err
		}
		got = rw.load.reserve(1, func(int) int { return 1 })
	}
	streams, err := rw.r.db.ClaimStreams(ctx, rw.lane.lane.Ref(), rw.run.ID, got)
	places.give(got - len(streams))
	rw.load.begun(got, streams)
	if err != nil {
		return 0, fmt.Errorf("claim streams: %w", err)
	}
	rw.drained = len(streams) < got
	rw.start(ctx, streams, places)
	return len(streams), nil
}

// beside returns how many streams of a run may work beside each other.
func (rw *runWork) beside() int { return cmp.Or(rw.in.Concurrency, rw.manifest.Limits.PerRun, 4) }

// start works streams that are claimed, each of which has one of the places. With its
// end it hands places on to those that are claimed by then.
func (rw *runWork) start(ctx context.Context, streams []store.Stream, places seats) {
	for _, s := range streams {
		c := &call{lane: rw.lane, run: rw.run, stream: s}
		c.hand = func(segments int) (int, bool) { return rw.hand(c, segments, places) }
		go func() {
			left := 1
			defer func() { places.give(left) }()
			d := rw.traced(ctx, c)
			left = max(1, d.asked) - len(d.applied.Next)
			rw.done <- d
		}()
	}
}

// hand returns how many places there are for what may be claimed with the end of a
// call that has applied so many segments: its own, unless somebody waits who is to
// have it, and what is free beside that. What startStreams would not claim now is not
// claimed so either. last says that nothing else is at work in the lane.
func (rw *runWork) hand(c *call, segments int, places seats) (n int, last bool) {
	if rw.limited() {
		return 0, false // what it may import is drawn and given back apart
	}
	ends := rw.over() || rw.spent(segments)
	return rw.load.hand(rw.beside(), c.stream.Type.System(), func(room int) (got int) {
		if ends || room <= 0 || !places.keep() {
			return 0
		}
		for got = 1; got < room && places.try(); {
			got++
		}
		return got
	})
}

// await takes one of the places when there is one. It gives up when the lane should
// start nothing more: it would hold a place that another could use.
func (rw *runWork) await(ctx context.Context, places seats) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	taken := make(chan error, 1)
	go func() { taken <- places.take(ctx) }()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for !rw.over() {
		select {
		case err := <-taken:
			return err == nil, err
		case <-rw.hold.Yield():
		case <-look.C:
		}
	}
	cancel()
	if err := <-taken; err == nil { // at the same moment
		places.give(1)
	}
	return false, nil
}

// process is c.process, once there is a place for a process of its own if the
// stream is a suspect.
func (rw *runWork) process(ctx context.Context, c *call) streamDone {
	c.alone = c.stream.Interrupts > suspectAfter // this claim counts already
	if !c.alone {
		return c.process(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting := make(chan struct{})
	go func() {
		select {
		case <-rw.hold.Yield():
			cancel(errYield) // who waits for a place gives up at once, and it costs nothing
		case <-waiting:
		}
	}()
	err := rw.r.private.Acquire(ctx, 1)
	close(waiting)
	if err == nil {
		defer rw.r.private.Release(1)
		rw.log.Info("stream runs alone in a process of its own", "run", rw.run.ID, "stream", c.stream.Ident, "interrupts", c.stream.Interrupts-1)
	}
	return c.process(ctx)
}

// sdkRun returns what the plugin is told of the run.
func sdkRun(run store.Run, s store.Stream) sdk.Run {
	return sdk.Run{
		ID:           strconv.FormatInt(run.ID, 10),
		Kind:         sdk.RunKind(run.Kind),
		Onboarding:   run.Kind == store.RunOnboarding,
		Connectors:   run.Connectors,
		Params:       run.Params,
		StartedAt:    run.StartedAt,
		Preprocessed: run.Preprocessed,
		Watermarks:   s.Watermarks,
	}
}

func sdkStream(s store.Stream) sdk.Stream {
	return sdk.Stream{ID: s.Ident, Connector: s.Connector, Data: s.Data, Partition: s.Partition, LimitKey: s.LimitKey}
}
