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

// runWork is a run at work. The fields are used by workRun's goroutine alone.
type runWork struct {
	*lane
	run      store.Run
	turn     *turn // the lane's hold
	inFlight int
	segments int
	alone    bool // one of the run's own calls is in flight: nothing is due beside it
	drained  bool // the last claim left nothing that is due
	done     chan streamDone
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
	rw.start(callsCtx, w.first, w.places)
	w.first = nil
	var firstErr error
	ended := false
	for {
		idle := true
		if firstErr == nil && !ended && ctx.Err() == nil && !rw.over() && !rw.spent() {
			started, err := rw.startStreams(callsCtx)
			firstErr = err
			idle = started == 0
		}
		if rw.inFlight == 0 {
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
		rw.inFlight--
		rw.drained = false
		rw.segments += d.segments
		if d.system {
			rw.alone = false
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

// spent reports whether the quantum's segments are used up while others wait.
func (rw *runWork) spent() bool {
	return rw.hold.Crowded() && rw.segments >= rw.r.opts.Segments
}

// startStreams claims as many due streams as there is room for and starts them.
func (rw *runWork) startStreams(ctx context.Context) (int, error) {
	if rw.alone || rw.drained {
		// What the end of a call makes of the run is known here only when it is done.
		return 0, nil
	}
	most, err := rw.inLimit(ctx, rw.run.ID)
	if err != nil {
		return 0, err
	}
	room := min(cmp.Or(rw.in.Concurrency, rw.manifest.Limits.PerRun, 4), most) - rw.inFlight
	if room <= 0 {
		return 0, nil
	}
	places := rw.r.seats(rw.manifest, rw.in.TenantID, rw.run.Kind)
	got := 0
	for got < room && places.try() {
		got++
	}
	if got == 0 {
		if rw.inFlight > 0 {
			return 0, nil // one of ours will end
		}
		if ok, err := rw.await(ctx, places); err != nil || !ok {
			return 0, err
		}
		got = 1
	}
	streams, err := rw.r.db.ClaimStreams(ctx, rw.lane.lane.Ref(), rw.run.ID, got)
	places.give(got - len(streams))
	if err != nil {
		return 0, fmt.Errorf("claim streams: %w", err)
	}
	rw.drained = len(streams) < got
	rw.start(ctx, streams, places)
	return len(streams), nil
}

// start works streams that are claimed, each of which has one of the places.
func (rw *runWork) start(ctx context.Context, streams []store.Stream, places seats) {
	for _, s := range streams {
		rw.inFlight++
		rw.alone = rw.alone || s.Type.System()
		c := &call{lane: rw.lane, run: rw.run, stream: s}
		go func() {
			defer places.give(1)
			rw.done <- rw.traced(ctx, c)
		}()
	}
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
