package runner_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K11, F23
//
// A call that starts anew where the one before it did, whatever its checkpoint says, makes
// no progress with what it sends again: it is given up like one that sends nothing. One
// that goes on where it was may fail as often as it likes.
func TestWhatIsSentAgainIsNoProgress(t *testing.T) {
	t.Parallel()
	long(t) // the waits before the retries
	// send emits the things of a range, each with a checkpoint.
	send := func(ctx context.Context, out *sdk.Emitter, from, to int, at func(n int) sdk.Checkpoint) error {
		for n := from; n < to; n++ {
			if err := thing(ctx, out, strconv.Itoa(n)); err != nil {
				return err
			}
			if err := out.Checkpoint(ctx, at(n+1)); err != nil {
				return err
			}
		}
		return nil
	}
	byData := func(n int) sdk.Checkpoint { return sdk.Checkpoint{Data: []byte(strconv.Itoa(n))} }
	byCursor := func(n int) sdk.Checkpoint { return sdk.Checkpoint{Cursor: []byte(strconv.Itoa(n))} }
	never := func(int) sdk.Checkpoint { return sdk.Checkpoint{} }
	for name, c := range map[string]struct {
		process func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) error
		calls   int
		want    store.RunState
	}{
		"ItFails": {func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) error {
			return errors.Join(send(ctx, out, 0, 3, byData), errors.New("boom"))
		}, 6, store.RunError},
		"ItFailsAndHasNoPlaces": {func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) error {
			return errors.Join(send(ctx, out, 0, 3, never), errors.New("boom"))
		}, 6, store.RunError},
		"ItDies": {func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) error {
			return errors.Join(send(ctx, out, 0, 3, byData), errDied)
		}, 2 + 1 + 2, store.RunError}, // the first one got on, two more make it a suspect, two alone
		"ItGoesOn": {func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) error {
			at, _ := strconv.Atoi(string(call.Checkpoint))
			return errors.Join(send(ctx, out, at, at+1, byData), boomBefore(at, 10))
		}, 10, store.RunProcessed},
		"ItGoesOnByItsCursor": {func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) error {
			at, _ := strconv.Atoi(string(call.Cursor))
			return errors.Join(send(ctx, out, at, at+1, byCursor), boomBefore(at, 10))
		}, 10, store.RunProcessed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{plan: planOf("a")}
			s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
				if len(s.calls()) > 100 {
					return sdk.Outcome{}, nil // or it would never end
				}
				return sdk.Outcome{}, c.process(ctx, call, out)
			}
			inWorld(t, s, func(t *testing.T, w *world) {
				w.up()
				run := w.until(store.RunError, store.RunPartial, store.RunProcessed)
				require.Equal(t, c.want, run.State)
				require.Len(t, s.calls(), c.calls)
			})
		})
	}
}

// boomBefore fails until the last of n.
func boomBefore(at, n int) error {
	if at+1 < n {
		return errors.New("boom")
	}
	return nil
}

// rows: K11, K01
//
// A plan of thousands is cut without a checkpoint: that it comes again is no progress.
func TestAPlanThatComesAgainIsNoProgress(t *testing.T) {
	t.Parallel()
	long(t) // the waits before the retries
	plans := 0
	s := &script{process: func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }}
	s.plan = func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		if plans++; plans > 100 {
			return nil // or it would never end
		}
		for n := range 2*store.MaxStreamsPerResult + 1 {
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things"}); err != nil {
				return err
			}
		}
		return errors.Join(out.Flush(ctx), errors.New("boom"))
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		require.Equal(t, store.RunError, w.until(store.RunError, store.RunPartial, store.RunProcessed).State)
		require.Equal(t, 6, plans)
	})
}
