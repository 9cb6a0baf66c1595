package runner_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K01, C08
func TestThePlanWaitsForWhatPreprocessMade(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanPreprocess}
	s.preprocess = func(context.Context, sdk.Run) ([]byte, error) { return []byte("prepared"), nil }
	var seen []string
	s.plan = func(_ context.Context, call sdk.PlanCall, _ *sdk.Emitter) error {
		seen = append(seen, string(call.Run.Preprocessed))
		return nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			done, err := apply(ctx, seg)
			if seg.Preprocessed != nil {
				time.Sleep(5 * time.Second) // the bubble's clock: committed, and the answer is slow
			}
			return done, err
		}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"prepared"}, seen)
	})
}

// rows: K02, C11
func TestSettingsOfStreamsSideBySideAreAllKept(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("slow", "fast")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, out.Setting(ctx, call.Stream.ID, true)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		first := true
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if seg.Patch != nil && first {
				first = false
				time.Sleep(5 * time.Second) // the bubble's clock: the other would overtake it
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.JSONEq(t, `{"slow": true, "fast": true}`, string(in.Patch))
	})
}

// rows: K02
func TestSettingsOfARefusedSegmentAreNotKeptByAnother(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("bad", "good")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "good" {
			time.Sleep(time.Minute / 2) // the bubble's clock
		}
		return sdk.Outcome{}, out.Setting(ctx, call.Stream.ID, true)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		first := true
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if seg.Patch != nil && first {
				first = false
				return store.Applied{}, store.ErrRejected
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunPartial)
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.JSONEq(t, `{"good": true}`, string(in.Patch))
	})
}

// rows: K11, F02
func TestProgressForgivesDeaths(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	deaths := 0
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if deaths++; deaths > 5 {
			return sdk.Outcome{}, thing(ctx, out, "r")
		}
		if deaths == 3 { // the last that is allowed, but it got further
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, errDied
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.MaxDeaths = 3
		w.up()
		require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError).State)
		require.Equal(t, 6, deaths)
	})
}

// rows: K11, F09
func TestAFullDiskIsNoDeathOfThePlugin(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		refused, interrupts := 0, -1
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 && refused < 6 {
				refused++
				return store.Applied{}, store.ErrFull
			}
			if len(seg.Records) > 0 {
				stream, err := w.db.Stream(ctx, seg.StreamID)
				if err != nil {
					return store.Applied{}, err
				}
				interrupts = stream.Interrupts
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, 6, refused)
		require.Equal(t, 1, interrupts, "that of the claim alone")
		require.Len(t, w.records(), 1)
	})
}

// rows: C10, K10
func TestARunThatIsAbortedEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	var cancelled atomic.Bool
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Run.Kind == sdk.RunManual {
			return sdk.Outcome{}, nil
		}
		if call.Stream.ID == "a" {
			time.Sleep(time.Second) // the bubble's clock
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassAuth, Code: "invalid_auth", Message: "no", AbortRun: true}
		}
		if err := sdk.HostFrom(ctx).Progress(ctx, "long", time.Now().Add(9*time.Minute)); err != nil {
			return sdk.Outcome{}, err
		}
		select {
		case <-ctx.Done():
			cancelled.Store(true)
		case <-time.After(9 * time.Minute):
		}
		return sdk.Outcome{}, thing(context.WithoutCancel(ctx), out, "late")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunError)
		asked, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: run.IntegrationID, Class: store.ClassPull, Kind: store.RunManual})
		require.NoError(t, err)
		time.Sleep(10 * time.Second) // the bubble's clock
		next, err := w.db.Run(t.Context(), asked.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, next.State, "the next run does not wait for what is worth nothing")
		require.True(t, cancelled.Load())
		require.Empty(t, w.records())
	})
}

// rows: K01
func TestAPlanOfManyMegabytesNeedsNoCheckpoint(t *testing.T) {
	t.Parallel()
	s := &script{}
	data := []byte(strings.Repeat("x", 60<<10))
	s.plan = func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for n := range 200 {
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things", Data: data}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed, store.RunError)
		require.Equal(t, store.RunProcessed, run.State)
		require.Equal(t, int64(200), run.Streams.Total())
	})
}

// rows: K03
func TestACursorNeedsAPartition(t *testing.T) {
	t.Parallel()
	s := &script{plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		return out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"}) // owns none
	}}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{Cursor: []byte("everybody's")}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunError)
		require.Equal(t, "apply_rejected", w.streams()["a"].Failure.Code)
		require.Empty(t, w.records())
	})
}
