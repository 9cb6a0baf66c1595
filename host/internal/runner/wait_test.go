package runner_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: C22, D03, F19
func TestD03SleepDelaysTheRestExactly(t *testing.T) {
	t.Parallel()
	long(t)
	var at []time.Time
	s := &script{plan: planOf("a", "b")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at = append(at, time.Now())
		return sdk.Outcome{Sleep: 10 * time.Minute}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		delayed := w.until(store.RunDelayed)
		require.Len(t, w.records(), 1, "what came with the sleep is stored")
		require.Equal(t, int64(1), delayed.Streams.Processed)
		w.down() // a restart does not shorten it
		w.up()
		w.until(store.RunProcessed)
		require.Len(t, at, 2, "nothing is fetched twice")
		require.InDelta(t, 10*time.Minute, at[1].Sub(at[0]), float64(time.Second))
	})
}

// rows: C26, C51, K14
func TestARateLimitDelaysItsKeyAlone(t *testing.T) {
	t.Parallel()
	limited := false
	var resumed time.Time
	start := time.Time{}
	s := &script{}
	s.plan = func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		start = time.Now()
		for _, id := range []string{"a1", "a2", "b1"} {
			if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: "things", LimitKey: id[:1]}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "a1" && !limited {
			limited = true
			return sdk.Outcome{}, sdk.RateLimitedFor(5 * time.Minute)
		}
		if call.Stream.LimitKey == "a" && resumed.IsZero() {
			resumed = time.Now()
		}
		require.Zero(t, call.Attempt, "a rate limit costs no attempt")
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, []string{"a1  0", "b1  0"}, s.calls()[:2], "the other key goes on")
		require.ElementsMatch(t, []string{"a1  0", "a2  0"}, s.calls()[2:], "its own waits, with its sibling")
		require.InDelta(t, 5*time.Minute, resumed.Sub(start), float64(time.Second))
	})
}

// rows: C03, D08, O14, K03, O27
func TestD08TicksSurviveARestart(t *testing.T) {
	t.Parallel()
	type plan struct{ at, mark time.Time }
	var plans chan plan // made in the bubble
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		plans <- plan{time.Now(), call.Run.Watermarks["things"]}
		return out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"})
	}}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		plans = make(chan plan, 10)
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		due := w.nextCheck()
		time.Sleep(9 * time.Minute) // the bubble's clock
		w.down()
		w.up()
		first, second, third := <-plans, <-plans, <-plans
		require.WithinDuration(t, due, second.at, time.Second, "the next check's time was kept")
		require.InDelta(t, 20*time.Minute, second.at.Sub(first.at), float64(10*time.Minute))
		require.InDelta(t, 20*time.Minute, third.at.Sub(second.at), float64(time.Second))
		require.True(t, first.mark.IsZero())
		require.WithinDuration(t, first.at, second.mark, time.Second, "a plan is told when the last good run began")
		require.WithinDuration(t, second.at, third.mark, time.Second)
	})
}

// rows: O50
//
// A connector that never comes back holds up its own integration alone: another one
// of the same plugin, with all the other's streams hanging, is synced as if nothing
// were.
func TestAHangingConnectorDelaysNoOtherIntegration(t *testing.T) {
	t.Parallel()
	var plans, hanging atomic.Int32
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		ids := []string{"quick"}
		if plans.Add(1) == 1 {
			ids = []string{"a", "b", "c", "d", "e", "f"}
		}
		return planOf(ids...)(ctx, call, out)
	}}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID != "quick" {
			hanging.Add(1)
			<-ctx.Done()
			return sdk.Outcome{}, ctx.Err()
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		require.Eventually(t, func() bool { return hanging.Load() == 4 }, time.Hour, time.Second, "all that its run may have at once")
		began := time.Now()
		w.create("other")
		run := w.until(store.RunProcessed)
		require.Equal(t, "other", run.Integration)
		require.Less(t, run.EndedAt.Sub(began), time.Second, "in the bubble's clock: it waited for nothing")
		require.EqualValues(t, 4, hanging.Load(), "they still hang")
	})
}

// rows: C54, O50
func TestStreamsRunInParallelUpToTheCap(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	s := &script{plan: planOf("a", "b", "c", "d", "e", "f", "g", "h")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		n := now.Add(1)
		for {
			have := most.Load()
			if n <= have || most.CompareAndSwap(have, n) {
				break
			}
		}
		time.Sleep(time.Minute / 2) // the bubble's clock
		now.Add(-1)
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 3
		w.up()
		w.until(store.RunProcessed)
		require.Equal(t, int32(3), most.Load())
	})
}

// rows: K12, C55, O17, O19
func TestAParameterisedRunGoesFirstAndTheOtherGoesOn(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	var reached chan struct{} // made in the bubble
	var order []string
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Run.Params["channel"] != "" {
			order = append(order, "manual "+call.Run.Params["channel"])
			return sdk.Outcome{}, nil
		}
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for n := at; n < 10; n++ {
			order = append(order, strconv.Itoa(n))
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n + 1))}); err != nil {
				return sdk.Outcome{}, err
			}
			if n == 3 {
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
		long := w.run()
		_, created, err := w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: long.IntegrationID, Class: store.ClassPull, Kind: store.RunManual,
			Params: map[string]string{"channel": "c1"}, ParamsSum: "c1",
		})
		require.NoError(t, err)
		require.True(t, created)
		require.Equal(t, store.RunManual, w.until(store.RunProcessed).Kind)
		again, created, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: long.IntegrationID, Class: store.ClassPull, Kind: store.RunManual})
		require.NoError(t, err)
		require.False(t, created, "without parameters it answers the open one")
		require.Equal(t, long.ID, again.ID)
		for {
			run, err := w.db.Run(t.Context(), long.ID)
			require.NoError(t, err)
			if run.State == store.RunProcessed {
				break
			}
			time.Sleep(time.Second) // the bubble's clock
		}
		synctest.Wait()
		require.Equal(t, []string{"0", "1", "2", "3", "4", "manual c1", "5", "6", "7", "8", "9"}, order)
	})
}

// rows: K13
func TestOnboardingDoesNotStarveChecks(t *testing.T) {
	t.Parallel()
	long(t)
	s := &script{}
	var checked chan time.Time // made in the bubble
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if !call.Run.Onboarding {
			checked <- time.Now()
			return nil
		}
		for n := range 50 {
			if err := out.Stream(ctx, sdk.Stream{ID: strconv.Itoa(n), Connector: "things"}); err != nil {
				return err
			}
		}
		return nil
	}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		select {
		case <-time.After(30 * time.Second):
			return sdk.Outcome{}, nil
		case <-ctx.Done():
			return sdk.Outcome{}, ctx.Err()
		}
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		checked = make(chan time.Time, 100)
		s.manifest.Limits = sdk.Limits{Concurrency: 64, PerRun: 1}
		w.every = 5
		w.up()
		w.until(store.RunProcessed)
		due := w.nextCheck()
		w.every = -1
		for n := range 40 { // more onboardings than there are slots
			w.create(string(rune('a'+n%26)) + strconv.Itoa(n) + "bulk"[:n%4])
		}
		<-checked
		require.WithinDuration(t, due, <-checked, time.Minute, "within a tick of its time")
	})
}
