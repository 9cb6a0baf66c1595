package runner_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// While the store takes nothing, no more is received than there is memory for, and
// no more calls are made; when it takes something again, all of it comes.
//
// rows: C56, K24
func TestASlowStoreStopsTheReading(t *testing.T) {
	t.Parallel()
	const (
		streams, records = 6, 192
		recordBytes      = 16 << 10
		partRecords      = 8 // from one checkpoint to the next
		memory           = 1 << 20
	)
	data := []byte(`{"text":"` + strings.Repeat("x", recordBytes) + `"}`)
	var sent atomic.Int64
	s := &script{plan: manyStreams(streams)}
	s.manifest.Limits = sdk.Limits{Concurrency: 64, PerRun: streams}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		time.Sleep(time.Second) // the bubble's clock: those begin that can
		for n := range records {
			if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: call.Stream.ID + "-" + strconv.Itoa(n), Data: data}); err != nil {
				return sdk.Outcome{}, err
			}
			sent.Add(recordBytes)
			if n%partRecords == partRecords-1 {
				if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
					return sdk.Outcome{}, err
				}
			}
		}
		return sdk.Outcome{}, nil
	}
	var open chan struct{} // made in the bubble
	inWorld(t, s, func(t *testing.T, w *world) {
		open = make(chan struct{})
		w.opts.Memory = memory
		w.conc = streams
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 {
				<-open
			}
			return apply(ctx, seg)
		}
		w.up()
		time.Sleep(5 * time.Minute) // the bubble's clock
		synctest.Wait()
		calls := len(s.calls())
		require.Equal(t, memory/sdk.BatchBytes, calls, "a call that there is no memory for is not made")
		require.Positive(t, sent.Load())
		// One call may take what it needs beyond the memory, which ends with 1 MiB that
		// waits to be applied; each may have filled two parts that it cannot send.
		require.LessOrEqual(t, sent.Load(), int64(2*memory+calls*2*partRecords*recordBytes))
		close(open)
		run := w.until(store.RunProcessed, store.RunPartial, store.RunError)
		require.Equal(t, store.RunProcessed, run.State)
		require.EqualValues(t, streams*records, run.Stats.Added, "nothing is dropped")
		require.Equal(t, int64(streams*records*recordBytes), sent.Load(), "and nothing is read twice")
	})
}
