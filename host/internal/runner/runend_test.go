package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The listing of streams is asked to wait, and fails now and then, also in the middle:
// the run waits and has no end until all of it is there.
//
// rows: C10, C28, D01, K01
func TestD01APlanThatWaitsIsNoEnd(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		switch asked.Add(1) {
		case 1:
			return sdk.RateLimitedFor(10 * time.Minute)
		case 2:
			return &sdk.Error{Class: sdk.ClassTransient, Code: "later", Message: "try later"}
		case 3:
			if err := out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"}); err != nil {
				return err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")}); err != nil {
				return err
			}
			return sdk.RateLimitedFor(10 * time.Minute)
		}
		require.Equal(t, "1", string(call.Checkpoint))
		return out.Stream(ctx, sdk.Stream{ID: "b", Connector: "things"})
	}}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		require.Equal(t, int32(4), asked.Load(), "no stream is worked on before the plan is whole")
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		for asked.Load() < 4 {
			synctest.Wait()
			if run := w.run(); asked.Load() < 4 {
				require.False(t, run.State.Terminal(), "%s after %d tries", run.State, asked.Load())
				in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
				require.NoError(t, err)
				require.True(t, in.OnboardedAt.IsZero())
			}
			time.Sleep(time.Minute) // the bubble's clock
		}
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunProcessed, run.State)
		require.Len(t, w.records(), 2)
		events, err := w.db.Events(t.Context(), 0, 100)
		require.NoError(t, err)
		ends := 0
		for _, e := range events {
			if e.Kind == "run.processed" || e.Kind == "integration.onboarded" {
				ends++
			}
		}
		require.Equal(t, 2, ends, "each once")
	})
}

// One stream is given up for good while another waits to be tried again: the run goes
// on, and how it ends is decided when the last one is done.
//
// rows: C28, D02
func TestD02TheEndIsDecidedByTheLastStream(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("bad", "late")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		switch {
		case call.Stream.ID == "bad":
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "bad", Message: "no"}
		case call.Attempt < 3:
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassTransient, Code: "later", Message: "try later"}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		for len(s.calls()) < 4 { // of bad and the first tries of late
			synctest.Wait()
			require.False(t, w.run().State.Terminal())
			time.Sleep(time.Second) // the bubble's clock
		}
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunPartial, run.State)
		require.Equal(t, store.StreamCounts{Processed: 1, Error: 1}, run.Streams)
	})
}

// The first streams are ready while the others are still being listed, and a stream's
// children are the last that it leaves: none of them is the last one.
//
// rows: C28, D25, K01, K02
func TestD25ARunDoesNotEndBeforeItsLastStreamIsKnown(t *testing.T) {
	t.Parallel()
	var listing, goOn chan struct{}
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		if err := out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"}); err != nil {
			return err
		}
		if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")}); err != nil {
			return err
		}
		close(listing)
		select {
		case <-goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
		return out.Stream(ctx, sdk.Stream{ID: "b", Connector: "things"})
	}}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if next := map[string]string{"b": "child", "child": "last"}[call.Stream.ID]; next != "" {
			if err := out.Stream(ctx, sdk.Stream{ID: next, Connector: "things"}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		listing, goOn = make(chan struct{}), make(chan struct{})
		w.conc = 4 // there is room beside the listing
		w.up()
		<-listing
		time.Sleep(30 * time.Second) // the bubble's clock
		synctest.Wait()
		require.Equal(t, store.StreamPending, w.streams()["a"].State, "it is there already")
		require.False(t, w.run().State.Terminal())
		require.Empty(t, s.calls())
		close(goOn)
		require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError, store.RunPartial).State)
		require.Len(t, w.records(), 4)
	})
}

// The host is down for three days: the next check is told when the last good one
// began, and has the cursor that it left, so that nothing lies between.
//
// rows: O27, D20
func TestD20ThreeDaysDownLeaveNoGap(t *testing.T) {
	t.Parallel()
	type seen struct {
		mark   time.Time
		cursor string
	}
	var checks chan seen
	s := &script{plan: planOf("a")}
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		checks <- seen{call.Run.Watermarks["things"], string(call.Cursor)}
		time.Sleep(10 * time.Second) // the bubble's clock: what changes meanwhile is new to the next
		return sdk.Outcome{Cursor: []byte(call.Run.StartedAt.Format(time.RFC3339))}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		checks = make(chan seen, 10)
		w.every = 60
		w.up()
		first := w.until(store.RunProcessed)
		w.down()
		time.Sleep(72 * time.Hour) // the bubble's clock
		w.up()
		require.Empty(t, (<-checks).cursor)
		second := <-checks
		require.WithinDuration(t, first.StartedAt, second.mark, time.Millisecond)
		require.Equal(t, first.StartedAt.Format(time.RFC3339), second.cursor)
		require.GreaterOrEqual(t, time.Since(second.mark), 72*time.Hour)
	})
}
