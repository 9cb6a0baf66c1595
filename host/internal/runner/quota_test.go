package runner_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// paged answers pages of so many records, to the end of the stream.
func paged(pages, records int) func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
	return func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		page, _ := strconv.Atoi(string(call.Page))
		for n := range records {
			if err := thing(ctx, out, call.Stream.ID+"-"+strconv.Itoa(page)+"-"+strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
		}
		if page+1 == pages {
			return sdk.Outcome{}, nil
		}
		return sdk.Outcome{NextPage: []byte(strconv.Itoa(page + 1))}, nil
	}
}

// imported returns how many records the run has read.
func (w *world) imported() int { return int(w.run().Stats.Read) }

// use returns how far the limit of the first integration is used.
func (w *world) use() store.LimitUse {
	w.t.Helper()
	u, ok, err := w.db.LimitUse(context.Background(), 1)
	require.NoError(w.t, err)
	require.True(w.t, ok)
	return u
}

// rows: C23, C24, F19
func TestD05TheLimitHoldsAcrossRunsAndRestarts(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b"), process: paged(6, 25)}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.limit = store.RecordLimit{Records: 100, Per: time.Hour}
		begin := time.Now()
		w.up()
		run := w.until(store.RunDelayed)
		require.Equal(t, 100, w.imported())
		require.Equal(t, "the limit of 100 records in 1h is reached", run.DelayReason)
		require.WithinDuration(t, begin.Add(time.Hour), run.DelayedUntil, time.Minute)
		require.Zero(t, run.Streams.Processing)
		require.Equal(t, store.LimitUse{Limit: 100, Used: 100, Reset: run.DelayedUntil}, w.use())

		w.down()
		w.up()                       // the store remembers
		time.Sleep(50 * time.Minute) // the bubble's clock
		require.Equal(t, 100, w.imported())
		_, err := w.db.ContinueRun(t.Context(), run.ID) // a person cannot pass it either
		require.NoError(t, err)
		time.Sleep(time.Minute) // the bubble's clock
		require.Equal(t, 100, w.imported())
		require.Equal(t, store.RunDelayed, w.run().State)

		time.Sleep(10 * time.Minute) // the bubble's clock: resumes by itself
		synctest.Wait()
		require.Equal(t, 200, w.imported())
		require.Equal(t, store.RunDelayed, w.run().State)
		time.Sleep(time.Hour) // the bubble's clock
		run = w.until(store.RunProcessed)
		require.EqualValues(t, 300, run.Stats.Read)
		require.EqualValues(t, 300, run.Stats.Added, "no page was fetched twice")
		require.WithinDuration(t, begin.Add(2*time.Hour), run.EndedAt, time.Minute)

		// What this run has left of the period is what the next one gets.
		next, created, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: 1, Class: store.ClassPull, Kind: store.RunCheck})
		require.NoError(t, err)
		require.True(t, created)
		require.Equal(t, next.ID, w.until(store.RunDelayed).ID)
		require.Zero(t, w.imported(), "the run before used all of the period")
		require.Zero(t, w.run().Stats.Read)
	})
}

// rows: C25
func TestD04TheOnboardingFactorCounts(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a"), process: paged(40, 5)}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.limit = store.RecordLimit{Records: 60, Per: time.Hour, OnboardingFactor: 2}
		w.up()
		run := w.until(store.RunDelayed)
		require.Equal(t, store.RunOnboarding, run.Kind)
		require.Equal(t, 120, w.imported())
		require.EqualValues(t, 120, w.use().Limit)
		time.Sleep(3 * time.Hour) // the bubble's clock
		w.until(store.RunProcessed)
		_, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: 1, Class: store.ClassPull, Kind: store.RunCheck})
		require.NoError(t, err)
		require.Equal(t, store.RunCheck, w.until(store.RunDelayed).Kind)
		require.Equal(t, 60, w.imported())
		require.EqualValues(t, 60, w.use().Limit)
	})
}

// A stream without end is stopped at a checkpoint, and goes on from there.
//
// rows: C22, C23, K14
func TestD03AStreamAtTheLimitWaitsWithWhatItHas(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, _ := strconv.Atoi(string(call.Checkpoint))
		for ; at < 2000; at++ {
			if err := thing(ctx, out, strconv.Itoa(at)); err != nil {
				return sdk.Outcome{}, err
			}
			if at%10 == 9 {
				if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(at + 1))}); err != nil {
					return sdk.Outcome{}, err
				}
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.limit = store.RecordLimit{Records: 995, Per: time.Hour}
		w.up()
		run := w.until(store.RunDelayed)
		require.EqualValues(t, 1000, run.Stats.Read, "the segment in which the limit was reached is kept, no other")
		st := w.streams()["a"]
		require.Equal(t, store.StreamPending, st.State)
		require.Zero(t, st.Attempts)
		require.Equal(t, "1000", string(st.Checkpoint))
		time.Sleep(time.Until(run.DelayedUntil.Add(time.Hour))) // the bubble's clock
		run = w.until(store.RunProcessed)
		require.EqualValues(t, 2000, run.Stats.Added)
		require.EqualValues(t, 2000, run.Stats.Read)
	})
}

// rows: C23, K14
func TestALimitIsSharedByItsKey(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b", "c"), process: paged(100, 10)}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.limit = store.RecordLimit{Records: 1000, Per: 24 * time.Hour, Key: "account"}
		w.up()
		w.create("two")
		time.Sleep(time.Hour) // the bubble's clock
		synctest.Wait()
		all := 0
		runs, err := w.db.Runs(t.Context(), store.RunFilter{})
		require.NoError(t, err)
		require.Len(t, runs, 2)
		for _, r := range runs {
			require.Equal(t, store.RunDelayed, r.State)
			require.Positive(t, r.Stats.Read, "each gets a part")
			all += int(r.Stats.Read)
		}
		require.GreaterOrEqual(t, all, 1000-2*10)
		require.LessOrEqual(t, all, 1000+2*10, "beyond the limit comes one segment a lane at most")
		require.EqualValues(t, all, w.use().Used)
	})
}

// rows: C23, K14
//
// What a run had drawn of a shared limit and did not need is for the others at once,
// not when the limit begins anew.
func TestQuotaThatIsGivenBackWakesWhoWaitsForIt(t *testing.T) {
	t.Parallel()
	var gate chan struct{}
	pages := paged(200, 10)
	s := &script{
		plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
			if call.Run.ID == "1" {
				return out.Stream(ctx, sdk.Stream{ID: "slow", Connector: "things"})
			}
			return out.Stream(ctx, sdk.Stream{ID: "greedy", Connector: "things"})
		},
		process: func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			if call.Stream.ID != "slow" {
				return pages(ctx, call, out)
			}
			select {
			case <-gate:
			case <-ctx.Done():
			}
			return sdk.Outcome{}, thing(ctx, out, "slow")
		},
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		gate = make(chan struct{})
		w.limit = store.RecordLimit{Records: 1000, Per: 24 * time.Hour, Key: "account"}
		w.up()
		time.Sleep(time.Second) // the bubble's clock
		w.create("two")
		time.Sleep(30 * time.Second) // the bubble's clock
		greedy, err := w.db.Run(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, store.RunDelayed, greedy.State)
		require.InDelta(t, 750, greedy.Stats.Read, 20, "a quarter is in the hands of the other")
		close(gate)
		time.Sleep(time.Minute) // the bubble's clock
		slow, err := w.db.Run(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, slow.State)
		greedy, err = w.db.Run(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, store.RunDelayed, greedy.State)
		require.InDelta(t, 999, greedy.Stats.Read, 20)
		require.Equal(t, greedy.Stats.Read+slow.Stats.Read, w.use().Used)
	})
}

// rows: C23
func TestWithoutAPeriodTheLimitIsOfOneRun(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b"), process: paged(10, 10)}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.limit = store.RecordLimit{Records: 70}
		w.up()
		run := w.until(store.RunPartial)
		require.EqualValues(t, 70, run.Stats.Read)
		require.Equal(t, "limit_reached", run.Failure.Code)
		require.Equal(t, "the limit of 70 records a run is reached; 2 streams are left (hint: jackfield run continue 1)", run.Failure.Message)
		_, err := w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, 140, w.until(store.RunPartial).Stats.Read, "it has the limit once more")
		_, err = w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		require.EqualValues(t, 200, w.until(store.RunProcessed).Stats.Added)
	})
}

// rows: C23, O13
func TestAHigherLimitCountsAtOnce(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a"), process: paged(20, 10)}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.limit = store.RecordLimit{Records: 50, Per: 24 * time.Hour}
		begin := time.Now()
		w.up()
		w.until(store.RunDelayed)
		in, err := w.db.IntegrationByID(t.Context(), 1)
		require.NoError(t, err)
		spec := in.IntegrationSpec
		spec.Limit.Records = 100
		require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeUpdate, UID: in.UID, Spec: spec}}))
		time.Sleep(time.Minute) // the bubble's clock
		require.Equal(t, 100, w.imported())
		spec.Limit = store.RecordLimit{}
		require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeUpdate, UID: in.UID, Spec: spec}}))
		require.EqualValues(t, 200, w.until(store.RunProcessed).Stats.Read)
		require.Less(t, time.Since(begin), time.Hour)
	})
}
