package runner_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K02, K13, K24
//
// A run of many streams claims each with the end of one before it, has never more at
// work than it may, and gives its lane back with its end. Others find a place, while
// it has work for all of them.
func TestAStreamIsClaimedWithTheEndOfAnother(t *testing.T) {
	t.Parallel()
	const streams, beside = 40, 3
	var (
		busy, most atomic.Int64
		mu         sync.Mutex
		next, back int // claimed and given back with the end of a stream
	)
	s := &script{plan: manyStreams(streams)}
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		most.Store(max(most.Load(), busy.Add(1)))
		defer busy.Add(-1)
		n, err := strconv.Atoi(call.Stream.ID)
		time.Sleep(time.Duration(1+n%7) * 100 * time.Millisecond) // the bubble's clock
		if call.Page == nil && n%5 == 0 {
			return sdk.Outcome{NextPage: []byte("2")}, err
		}
		return sdk.Outcome{}, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = beside
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			a, err := apply(ctx, seg)
			mu.Lock()
			defer mu.Unlock()
			next += len(a.Next)
			if a.Released {
				back++
			}
			return a, err
		}
		w.up()
		run := w.until(store.RunProcessed, store.RunPartial, store.RunError)
		require.Equal(t, store.RunProcessed, run.State)
		require.Equal(t, store.StreamCounts{Processed: streams}, run.Streams)
		require.EqualValues(t, beside, most.Load())
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, streams+streams/5, next, "each page of each")
		require.Equal(t, 1, back)
		require.Zero(t, w.asked.Load(), "none is claimed apart")
	})
}
