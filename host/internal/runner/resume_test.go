package runner_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K02, C32, F02
func TestACrashGoesOnAtTheLastCheckpoint(t *testing.T) {
	t.Parallel()
	died := false
	s := &script{plan: planOf("a")}
	var emitted []string
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for n := at; n < 10; n++ {
			if n == 7 && !died {
				died = true
				if err := out.Flush(ctx); err != nil { // the host has it all
					return sdk.Outcome{}, err
				}
				return sdk.Outcome{}, errDied
			}
			emitted = append(emitted, strconv.Itoa(n))
			if err := thing(ctx, out, "r"+strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
			if n%5 == 4 {
				if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1))}); err != nil {
					return sdk.Outcome{}, err
				}
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunProcessed)
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "5", "6", "7", "8", "9"}, emitted)
		require.Equal(t, int64(10), run.Stats.Read, "what followed the last checkpoint was discarded")
		require.Zero(t, w.streams()["a"].Attempts, "a death is no attempt")
	})
}

// Segments that wait behind a slow apply are written as one: what is resumed from is
// the checkpoint of the last of them, and its cursor is the one that counts.
//
// rows: K02, K03
func TestSegmentsThatWaitTogetherEndAtTheirLastCheckpoint(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var from []string
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		from = append(from, string(call.Checkpoint)+" "+string(call.Cursor))
		if call.Checkpoint != nil {
			return sdk.Outcome{}, nil
		}
		for n := range 4 {
			if err := thing(ctx, out, "r"+strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
			at := []byte(strconv.Itoa(n + 1))
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: at, Cursor: at}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, errDied
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		segments := 0
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 {
				segments++
				time.Sleep(5 * time.Second) // the bubble's clock; the others wait behind it
			}
			return apply(ctx, seg)
		}
		w.up()
		run := w.until(store.RunProcessed)
		require.LessOrEqual(t, segments, 2, "the first perhaps, and those that waited")
		require.Equal(t, []string{" ", "4 4"}, from)
		require.Equal(t, int64(4), run.Stats.Read)
	})
}

// rows: C31, F29
func TestAStopReturnsStreamsToPendingAndTheRunResumes(t *testing.T) {
	t.Parallel()
	var reached chan struct{} // made in the bubble
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for n := at; n < 20; n++ {
			if err := thing(ctx, out, fmt.Sprintf("r%02d", n)); err != nil {
				return sdk.Outcome{}, err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1))}); err != nil {
				return sdk.Outcome{}, err
			}
			if n == 10 {
				reached <- struct{}{}
			}
			time.Sleep(time.Second) // the bubble's clock
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		reached = make(chan struct{}, 1)
		w.up()
		<-reached
		before := time.Now()
		w.down()
		require.Less(t, time.Since(before), 5*time.Second, "it yields at the next checkpoint")
		w.up()
		stream := w.streams()["a"]
		require.Zero(t, stream.Attempts)
		ours := 0 // it may be claimed again by now, which counts until there is an answer
		if stream.State == store.StreamProcessing {
			ours = 1
		}
		require.LessOrEqual(t, stream.Interrupts, ours, "an orderly stop costs nothing")
		run := w.until(store.RunProcessed)
		require.Equal(t, int64(20), run.Stats.Read, "nothing was read twice")
		require.Len(t, w.records(), 20)
	})
}

// rows: K24, F25
func TestASegmentWithoutACheckpointHasACap(t *testing.T) {
	t.Parallel()
	long(t)
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		data := slices.Concat([]byte(`{"x":"`), make([]byte, 1000), []byte(`"}`))
		for i := range data {
			if data[i] == 0 {
				data[i] = 'x'
			}
		}
		for n := range 4000 {
			if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: strconv.Itoa(n), Data: data}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunError)
		require.Equal(t, "checkpoint_required", w.streams()["a"].Failure.Code)
		require.Zero(t, run.Stats.Read)
		require.Empty(t, w.records())
	})
}

// rows: F03, K24
func TestASilentCallIsGivenUp(t *testing.T) {
	t.Parallel()
	calls := 0
	var silent time.Duration
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		calls++
		switch calls {
		case 1:
			began := time.Now()
			<-ctx.Done()
			silent = time.Since(began)
			return sdk.Outcome{}, ctx.Err()
		case 2: // says that it is alive
			for range 5 {
				until := time.Now().Add(2 * time.Minute)
				if err := sdk.HostFrom(ctx).Progress(ctx, "waiting", until); err != nil {
					return sdk.Outcome{}, err
				}
				time.Sleep(100 * time.Second) // the bubble's clock
			}
		}
		return sdk.Outcome{}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		start := time.Now()
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, time.Minute, silent, "long before the end of its time")
		require.Equal(t, 2, calls, "the second was let live")
		require.Greater(t, time.Since(start), 9*time.Minute)
		require.Len(t, w.records(), 1)
	})
}

// rows: K10, C52
func TestCancelEndsTheWorkAtOnce(t *testing.T) {
	t.Parallel()
	var started chan struct{} // made in the bubble
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		close(started)
		<-ctx.Done()
		// A late result of work that was taken away writes nothing.
		return sdk.Outcome{}, thing(context.WithoutCancel(ctx), out, "late")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		started = make(chan struct{})
		w.up()
		<-started
		before := time.Now()
		_, err := w.db.CancelRun(t.Context(), w.run().ID, "by a test")
		require.NoError(t, err)
		time.Sleep(time.Second) // the bubble's clock
		require.Equal(t, store.RunCancelled, w.run().State)
		require.Equal(t, store.StreamCancelled, w.streams()["a"].State)
		require.Empty(t, w.records())
		require.Less(t, time.Since(before), 2*time.Second)
	})
}
