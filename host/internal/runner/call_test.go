package runner_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K24, F03
func TestAnAbandonedCallThatComesBackHoldsNothing(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var late chan struct{} // made in the bubble
	data := []byte(`{"x":"` + strings.Repeat("x", 250<<10) + `"}`)
	back := 0
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Attempt < 2 { // hears nothing, and goes on as if nothing had been
			<-late
			for n := range 4 {
				_ = out.Record(context.WithoutCancel(ctx), sdk.Record{Kind: "late", ID: strconv.Itoa(n), Data: data})
				_ = out.Checkpoint(context.WithoutCancel(ctx), sdk.Checkpoint{Data: []byte("late")})
			}
			back++
			return sdk.Outcome{Cursor: []byte("late")}, nil
		}
		return sdk.Outcome{}, thing(ctx, out, "r")
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		late = make(chan struct{})
		w.opts.Memory = 900 << 10
		w.up()
		time.Sleep(70 * time.Second) // the bubble's clock: past the silence and the grace
		late <- struct{}{}
		time.Sleep(2 * time.Minute) // the bubble's clock
		late <- struct{}{}
		run := w.until(store.RunProcessed)
		require.Equal(t, 2, back)
		require.Equal(t, int64(1), run.Stats.Read)
		require.Len(t, w.records(), 1)
	})
}

// A batch that has to wait, since what others sent is not applied yet, is the host's own
// delay: the call that sends it is not silent.
//
// rows: K24, C56
func TestWaitingWithABatchIsNoSilence(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		time.Sleep(time.Second) // the bubble's clock; both have begun
		data := []byte(`{"x":"` + strings.Repeat("x", 300<<10) + `"}`)
		if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: call.Stream.ID, Data: data}); err != nil {
			return sdk.Outcome{}, err
		}
		return sdk.Outcome{}, out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte("1")})
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Memory = 700 << 10 // for both calls, and the batch of one
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 {
				time.Sleep(3 * time.Minute) // the bubble's clock; longer than a call may be silent
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		require.ElementsMatch(t, []string{"a  0", "b  0"}, s.calls())
		require.Len(t, w.records(), 2)
	})
}

// rows: K24, K11
func TestWaitingForMemoryIsNotTheSilenceOfACall(t *testing.T) {
	t.Parallel()
	long(t)
	s := &script{plan: planOf("a", "b", "c")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		for n := range 20 {
			time.Sleep(30 * time.Second) // the bubble's clock
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.opts.Memory = 300 << 10 // for one call at a time
		w.opts.CallTimeout = 11 * time.Minute
		w.up()
		w.until(store.RunProcessed)
		require.ElementsMatch(t, []string{"a  0", "b  0", "c  0"}, s.calls())
	})
}

// rows: C30, K18
func TestAttributesThatBeginARefreshDoNotBlockIt(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanCreateAttributes}
	var first error
	s.attributes = func(ctx context.Context) []sdk.Attribute {
		_, _, first = sdk.HostFrom(ctx).BeginRefresh(ctx, "oauth", 0)
		return nil // without a commit
	}
	var granted bool
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (_ sdk.Outcome, err error) {
		_, granted, err = sdk.HostFrom(ctx).BeginRefresh(ctx, "oauth", 0)
		return sdk.Outcome{}, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		start := time.Now()
		w.up()
		w.until(store.RunProcessed)
		require.NoError(t, first)
		require.True(t, granted)
		require.Less(t, time.Since(start), 5*time.Second)
	})
}

// rows: C30, K19
func TestAnAbandonedCallLosesItsRefresh(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var late chan struct{} // made in the bubble, as is told
	var told chan error
	var granted bool
	s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (_ sdk.Outcome, err error) {
		_, granted, err = sdk.HostFrom(ctx).BeginRefresh(ctx, "oauth", 0)
		if call.Attempt == 0 {
			<-late
			_, err = sdk.HostFrom(ctx).CommitCredential(context.WithoutCancel(ctx), "oauth", 0, sdk.NewSecret("late"), time.Time{})
			told <- err
			return sdk.Outcome{}, err
		}
		return sdk.Outcome{}, err
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		late, told = make(chan struct{}), make(chan error)
		start := time.Now()
		w.up()
		w.until(store.RunProcessed)
		require.True(t, granted)
		require.Less(t, time.Since(start), 2*time.Minute)
		close(late)
		require.ErrorContains(t, <-told, "call_ended")
	})
}

// rows: K18
func TestAPluginThatKnowsNoHandleDoesNotSpin(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		if len(s.calls()) > 1000 {
			return sdk.Outcome{}, nil // in a bubble no time would pass
		}
		return sdk.Outcome{}, errReopen
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(time.Minute) // the bubble's clock
		require.Less(t, len(s.calls()), 200)
		require.Greater(t, len(s.calls()), 10, "it is tried again soon")
		require.Zero(t, w.streams()["a"].Attempts)
		synctest.Wait()
		require.Equal(t, len(s.calls()), s.drops, "each time it is opened anew")
	})
}

// rows: K24
func TestProgressDoesNotWakeAWatchdogThatRests(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		host := sdk.HostFrom(ctx)
		told := make(chan error, 1)
		go func() { // as an HTTP client does that runs beside
			time.Sleep(time.Second) // the bubble's clock
			told <- host.Progress(ctx, "loading", time.Now().Add(time.Second))
		}()
		for n := range 3 { // the third waits for the store
			if err := out.Send(ctx, sdk.Batch{Records: []sdk.Record{{Kind: "thing", ID: strconv.Itoa(n), Data: []byte(`{"x":"` + strings.Repeat("x", 900<<10) + `"}`)}}}); err != nil {
				return sdk.Outcome{}, err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, <-told
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		slow := true
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if len(seg.Records) > 0 && slow {
				slow = false
				time.Sleep(3 * time.Minute) // the bubble's clock
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a  0"}, s.calls(), "the host made it wait")
	})
}

// rows: K24, F03
func TestWhatWasPromisedOutlivesABatch(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if err := sdk.HostFrom(ctx).Progress(ctx, "exporting", time.Now().Add(5*time.Minute)); err != nil {
			return sdk.Outcome{}, err
		}
		if err := thing(ctx, out, "r"); err != nil {
			return sdk.Outcome{}, err
		}
		if err := out.Flush(ctx); err != nil {
			return sdk.Outcome{}, err
		}
		time.Sleep(4 * time.Minute) // the bubble's clock
		return sdk.Outcome{}, ctx.Err()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a  0"}, s.calls())
	})
}

// rows: C31, F29
func TestACallWhosePluginOpensTooLateIsNotMade(t *testing.T) {
	t.Parallel()
	var opening chan struct{} // made in the bubble
	planned := false
	s := &script{plan: func(context.Context, sdk.PlanCall, *sdk.Emitter) error {
		planned = true
		return nil
	}}
	s.reach = func() error {
		opening <- struct{}{}
		time.Sleep(time.Minute) // the bubble's clock; longer than the grace of a stop
		return nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		opening = make(chan struct{}, 1)
		w.up()
		<-opening
		w.down()
		require.False(t, planned)
	})
}

// rows: C31, F29
func TestNothingBeginsAfterTheStop(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var busy chan struct{} // made in the bubble
	s.process = func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		busy <- struct{}{}
		for n := range 100 {
			time.Sleep(time.Second) // the bubble's clock
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	s.manifest.Limits.Concurrency = 1
	inWorld(t, s, func(t *testing.T, w *world) {
		busy = make(chan struct{}, 10)
		w.up()
		<-busy
		w.create("two")             // waits for the plugin's only place
		time.Sleep(5 * time.Second) // the bubble's clock
		w.down()
		require.NotContains(t, s.openedBy(), "two")
	})
}
