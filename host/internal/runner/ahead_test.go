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

// segments emits n records, each with a checkpoint after it, and counts those that
// were taken.
func segments(ctx context.Context, out *sdk.Emitter, id string, n, size int, taken *atomic.Int64) error {
	data := []byte(`{"text":"` + strings.Repeat("x", size) + `"}`)
	for i := range n {
		if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: id + "-" + strconv.Itoa(i), Data: data}); err != nil {
			return err
		}
		if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(i))}); err != nil {
			return err
		}
		taken.Add(1)
	}
	return nil
}

// rows: K24
//
// The memory of a segment is free when the segment is applied, not when the call is
// over: a call that lives long and is applied as it goes keeps none from the others.
func TestMemoryIsFreeAgainAfterTheApply(t *testing.T) {
	t.Parallel()
	const size, many = 200 << 10, 10
	var early, late atomic.Int64
	var applied, over chan struct{} // made in the bubble
	s := &script{plan: planOf("early", "late")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "late" {
			<-applied
			return sdk.Outcome{}, segments(ctx, out, "late", many, size, &late)
		}
		if err := segments(ctx, out, "early", many, size, &early); err != nil {
			return sdk.Outcome{}, err
		}
		close(applied)
		<-over
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		applied, over = make(chan struct{}), make(chan struct{})
		w.opts.Memory = 1 << 20
		w.up()
		time.Sleep(30 * time.Second) // the bubble's clock: less than a silence
		synctest.Wait()
		require.EqualValues(t, many, early.Load())
		require.EqualValues(t, many, late.Load(), "the call that is still there holds what it had applied")
		require.Equal(t, store.RunProcessing, w.run().State)
		close(over)
		require.EqualValues(t, 2*many, w.until(store.RunProcessed).Stats.Added)
	})
}

// rows: K24
//
// However much memory there is, a stream is ahead of its applies by one segment that
// waits, or some small ones that wait as one, and by the one it is about to close.
func TestAStreamIsNotFarAhead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ size, most int }{
		"of large segments": {600 << 10, 2},  // one on its way, one that waits
		"of small segments": {100 << 10, 20}, // a MiB on its way, a MiB that waits
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const many = 40
			var taken atomic.Int64
			var open chan struct{} // made in the bubble
			s := &script{plan: planOf("a")}
			s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
				return sdk.Outcome{}, segments(ctx, out, "a", many, c.size, &taken)
			}
			inWorld(t, s, func(t *testing.T, w *world) {
				open = make(chan struct{})
				w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
					if len(seg.Records) > 0 {
						<-open
					}
					return apply(ctx, seg)
				}
				w.up()
				time.Sleep(5 * time.Minute) // the bubble's clock
				synctest.Wait()
				require.Positive(t, taken.Load())
				require.LessOrEqual(t, taken.Load(), int64(c.most))
				close(open)
				require.EqualValues(t, many, w.until(store.RunProcessed).Stats.Added)
				require.EqualValues(t, many, taken.Load(), "nothing is read twice")
			})
		})
	}
}
