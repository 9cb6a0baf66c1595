package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// call is one claim of a stream at work.
type call struct {
	*lane
	run    store.Run
	stream store.Stream
	plugin Plugin
	alone  bool            // in a process of its own
	size   int             // of the page that is wanted; 0: as the plugin likes
	ended  store.StreamEnd // for who traces

	// hand is what the end of the call, which has applied so many segments, is to do
	// besides: to claim streams for as many places as there are, and to give the lane
	// back if nothing else is at work in it; nil: nothing.
	hand  func(segments int) (places int, last bool)
	asked int // places
}

// process calls the plugin for the stream and applies what it returns, to the
// end of the claim. An error means that the lane cannot go on; what the plugin
// did wrong is kept with the stream instead.
func (c *call) process(ctx context.Context) streamDone {
	if c.stream.Type == store.StreamSweep {
		return c.sweep(ctx)
	}
	c.size = c.pages.of(c.stream.ID, cmp.Or(c.in.PageSize, c.manifest.Limits.PageSize))
	out := newSink(c)
	outcome, err := c.receive(ctx, out)
	progress, applyErr := out.drain()
	for applyErr == nil && c.split(out, err) {
		out = out.again()
		outcome, err = c.receive(ctx, out)
		progress, applyErr = out.drain()
	}
	c.report(ctx, err)
	defer out.credit.end()
	// What is checkpointed already counts, also when the host is stopping; only
	// a lane that was lost makes it worthless, and the store refuses that.
	applyCtx := context.WithoutCancel(ctx)
	var applied store.Applied
	if applyErr == nil {
		e := c.end(outcome, err, progress, ctx.Err() != nil)
		if out.veto != nil && c.stream.Type != store.StreamAllow {
			e.State = store.StreamPending // the store leaves it out with the rest of its connector
		}
		c.judge(&e)
		c.ended = e.StreamEnd
		if c.hand != nil && ctx.Err() == nil {
			var last bool
			c.asked, last = c.hand(out.applied + 1)
			e.Next = c.asked
			if last {
				e.Release = &c.lane.lane
			}
		}
		applied, applyErr = out.finish(applyCtx, e)
		if applyErr == nil && e.keep {
			return streamDone{applied: applied, segments: out.applied, system: c.stream.Type.System(), preprocessed: out.preprocessed, asked: c.asked}
		}
	}
	if applyErr != nil && !stale(applyErr) {
		applied, applyErr = c.refused(applyCtx, out, applyErr)
	}
	if stale(applyErr) {
		applyErr = nil // somebody else has the stream; nothing was written
	}
	return streamDone{applied: applied, segments: out.applied, system: c.stream.Type.System(), err: applyErr, asked: c.asked}
}

// receive makes the call when there is room for what it brings.
func (c *call) receive(ctx context.Context, out *sink) (sdk.Outcome, error) {
	err := out.credit.take(ctx, receiveCredit) // waiting for it is none of the call's time
	if err == nil {
		err = context.Cause(ctx) // a call that should end is not begun
	}
	if err != nil {
		return sdk.Outcome{}, err
	}
	return c.timed(ctx, out)
}

// report tells how the call ended, unless that says nothing of the plugin.
func (c *call) report(ctx context.Context, err error) {
	if c.plugin.Report == nil || ctx.Err() != nil {
		return
	}
	if err == nil {
		c.plugin.Report(false)
		return
	}
	for _, ours := range []error{errYield, errTooLong, errSilent} {
		if errors.Is(err, ours) {
			return
		}
	}
	if c.r.plugins.Lost(err) || c.r.plugins.Reopen(err) || c.r.plugins.Away(err) {
		return
	}
	class := sdk.AsError(err).Class
	c.plugin.Report(class == sdk.ClassSystem || class == sdk.ClassConfig)
}

// timed makes the call within its time.
func (c *call) timed(ctx context.Context, out *sink) (sdk.Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(c.r.opts.CallTimeout, func() { cancel(errTooLong) })
	defer limit.Stop()
	out.dog = newWatchdog(c.r.opts.Silence, cancel)
	defer out.dog.stop()
	outcome, err := c.invoke(ctx, out)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // says more than the cancellation that followed from it
	}
	return outcome, err
}

// invoke makes the call in a goroutine, so that a plugin in process that does
// not return when it is cancelled holds up nobody.
func (c *call) invoke(ctx context.Context, out *sink) (sdk.Outcome, error) {
	p, err := c.acquire(ctx, c.alone)
	if err != nil {
		return sdk.Outcome{}, err
	}
	if ctx.Err() != nil { // it was given up while the plugin was opened
		p.Release(false)
		return sdk.Outcome{}, ctx.Err()
	}
	c.plugin = p
	type answer struct {
		outcome sdk.Outcome
		err     error
	}
	answered := make(chan answer, 1)
	services := c.services(c.run.ID, c.stream.ID, out.dog)
	claimed := c.stream // a call that was given up may still read it while it moves on
	go func() {
		outcome, err := c.dispatch(sdk.WithHost(ctx, services), claimed, out)
		services.end()
		p.Release(err != nil && c.r.plugins.Reopen(err))
		answered <- answer{outcome, err}
	}()
	select {
	case a := <-answered:
		return a.outcome, a.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(c.r.opts.CancelGrace)
	defer grace.Stop()
	select {
	case a := <-answered:
		return a.outcome, a.err
	case <-grace.C: // the claim number abandons the stream (K24)
		services.end()
		out.abandon()
		return sdk.Outcome{}, context.Cause(ctx)
	}
}

// dispatch makes the call that the stream stands for.
func (c *call) dispatch(ctx context.Context, in store.Stream, out *sink) (sdk.Outcome, error) {
	run := sdkRun(c.run, in)
	run.Service = c.serviceState()
	run.Connectors = c.had(run.Connectors)
	switch in.Type {
	case store.StreamPreprocess:
		return c.preprocess(ctx, run, out)
	case store.StreamPlan:
		if len(run.Connectors) == 0 && len(c.run.Connectors) > 0 {
			return sdk.Outcome{}, nil // all that it was asked for are gone
		}
		em := sdk.NewEmitter(out)
		err := c.plugin.Instance.GetStreams(ctx, sdk.PlanCall{Run: run, Checkpoint: in.Checkpoint}, em)
		return sdk.Outcome{}, flush(ctx, em, err)
	case store.StreamAllow:
		return c.allowed(ctx, run, in, out)
	case store.StreamPostprocess:
		return c.postprocess(ctx, run, out)
	case store.StreamRoot, store.StreamChild:
		return c.processStream(ctx, run, in, out)
	default:
		return sdk.Outcome{}, fmt.Errorf("stream of type %q", in.Type)
	}
}

func (c *call) processStream(ctx context.Context, run sdk.Run, in store.Stream, out *sink) (sdk.Outcome, error) {
	if c.parted(in, out) {
		return sdk.Outcome{}, nil
	}
	s := sdkStream(in)
	em := sdk.NewEmitter(out)
	outcome, err := c.plugin.Instance.ProcessStream(ctx, sdk.StreamCall{
		Run: run, Stream: s, Page: in.Page, Checkpoint: in.Checkpoint,
		Cursor: in.Cursor, Attempt: in.Attempts, PageSize: c.size,
	}, em)
	if err := flush(ctx, em, err); err != nil {
		return outcome, err
	}
	if outcome.NextPage == nil || run.Onboarding || !c.manifest.Has(sdk.CanFinish) {
		return outcome, nil
	}
	finisher, ok := c.plugin.Instance.(sdk.Finisher)
	if !ok {
		return outcome, errMissing(sdk.CanFinish)
	}
	finished, err := finisher.IsProcessingFinished(ctx, sdk.FinishedCall{
		Run: run, Stream: s, NextPage: outcome.NextPage,
		LastRecord: outcome.LastRecord, LastRecordTimestamp: outcome.LastRecordTimestamp,
	})
	if finished {
		outcome.NextPage = nil // this stream alone ends (C20)
	}
	return outcome, err
}

func (c *call) preprocess(ctx context.Context, run sdk.Run, out *sink) (sdk.Outcome, error) {
	p, ok := c.plugin.Instance.(sdk.Preprocessor)
	if !ok {
		return sdk.Outcome{}, errMissing(sdk.CanPreprocess)
	}
	data, err := p.Preprocess(ctx, run)
	if err == nil && len(data) > sdk.MaxRecord {
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassSystem, Code: "preprocess_too_large", Message: fmt.Sprintf("preprocess returned %d bytes, %d are allowed", len(data), sdk.MaxRecord)}
	}
	out.preprocessed = append([]byte{}, data...) // not nil: it was called
	return sdk.Outcome{}, err
}

func (c *call) postprocess(ctx context.Context, run sdk.Run, out *sink) (sdk.Outcome, error) {
	p, ok := c.plugin.Instance.(sdk.Postprocessor)
	if !ok {
		return sdk.Outcome{}, errMissing(sdk.CanPostprocess)
	}
	settings, err := p.Postprocess(ctx, run)
	if err != nil || len(settings) == 0 {
		return sdk.Outcome{}, err
	}
	return sdk.Outcome{}, out.Send(ctx, sdk.Batch{Settings: settings})
}

// flush sends what an instance in process left in the emitter, if it succeeded.
func flush(ctx context.Context, em *sdk.Emitter, err error) error {
	if err != nil {
		return err
	}
	return em.Flush(ctx)
}

// refused ends a stream whose result the store does not take: the same result
// would be refused again, so it is final (K15).
func (c *call) refused(ctx context.Context, out *sink, err error) (store.Applied, error) {
	var code string
	switch {
	case errors.Is(err, store.ErrPageLoop):
		code = "page_loop"
	case errors.Is(err, store.ErrLimit):
		code = "limit_exceeded"
	case errors.Is(err, store.ErrRejected), errors.Is(err, store.ErrInvalid):
		code = "apply_rejected"
	default:
		return store.Applied{}, err // not the stream's fault: the lane gives up and is claimed again
	}
	c.log.Warn("result refused", "run", c.run.ID, "stream", c.stream.Ident, "code", code, "error", err)
	c.ended = store.StreamEnd{
		State: store.StreamError, Answered: true, Attempt: true,
		Failure: c.failure(&sdk.Error{Class: sdk.ClassSystem, Code: code, Message: err.Error()}),
	}
	return out.fail(ctx, c.ended)
}
