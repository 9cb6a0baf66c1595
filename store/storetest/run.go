package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K01, K12, C04, O15
func testRuns(t *testing.T, setup func(*testing.T) *world) {
	t.Run("OneOfTwentyConcurrentRequests", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			ids     = make(map[int64]int)
			created int
			errs    []error
		)
		for range 20 {
			wg.Go(func() {
				r, fresh, err := w.s.RequestRun(w.ctx(), store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual})
				mu.Lock()
				defer mu.Unlock()
				ids[r.ID]++
				if fresh {
					created++
				}
				if err != nil {
					errs = append(errs, err)
				}
			})
		}
		wg.Wait()
		require.Empty(t, errs)
		require.Len(t, ids, 1)
		require.Equal(t, 1, created)
		runs, err := w.s.Runs(w.ctx(), store.RunFilter{IntegrationID: i.ID})
		require.NoError(t, err)
		require.Len(t, runs, 1)
		require.Equal(t, store.RunPending, runs[0].State)
		require.Equal(t, []string{"commits", "members"}, runs[0].Connectors)
		require.Equal(t, plug, runs[0].Plugin)
	})

	t.Run("AScheduleIsAnsweredByAnyOpenRun", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		open := w.request(store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual, ParamsSum: "p", Params: map[string]string{"since": "1"}})
		next := w.clock.Now().Add(time.Hour)
		r, created, err := w.s.RequestRun(w.ctx(), store.RunRequest{IntegrationID: i.ID, Kind: store.RunCheck, Scheduled: true, NextCheckAt: next})
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, open.ID, r.ID)
		got, err := w.s.IntegrationByUID(w.ctx(), i.UID)
		require.NoError(t, err)
		require.Equal(t, next, got.NextCheckAt)
		require.Zero(t, got.LastCheckAt) // it began no run
	})

	t.Run("TheScheduleIsKept", func(t *testing.T) { // rows: C03
		w := setup(t)
		next := w.clock.Now().Add(time.Hour)
		j := w.begin(store.RunRequest{Scheduled: true, NextCheckAt: next}, store.RunBegin{})
		got, err := w.s.IntegrationByUID(w.ctx(), j.i.UID)
		require.NoError(t, err)
		require.Equal(t, w.clock.Now(), got.LastCheckAt)
		require.Equal(t, next, got.NextCheckAt)
	})

	t.Run("ARunWithParametersGoesFirstAndTheOtherGoesOn", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		s := j.claim()
		req := store.RunRequest{
			IntegrationID: j.i.ID, Kind: store.RunManual, ParamsSum: "p", Params: map[string]string{"since": "1"}, Connectors: []string{"members"},
		}
		special := w.request(req)
		require.Empty(t, j.claims(5), "nothing is begun of the other from then on")
		again, created, err := w.s.RequestRun(w.ctx(), req)
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, special.ID, again.ID)
		require.Equal(t, map[string]string{"since": "1"}, again.Params)
		require.Equal(t, []string{"members"}, again.Connectors)

		next, ok, err := w.s.NextRun(w.ctx(), j.lane)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, special.ID, next.ID)
		begun, err := w.s.BeginRun(w.ctx(), j.lane.Ref(), special.ID, store.RunBegin{})
		require.NoError(t, err)
		require.Equal(t, store.RunProcessing, begun.State)
		require.Equal(t, store.RunDelayed, j.reload().State)
		// What was under way may still end; nothing new is claimed.
		j.finish(s, done())
		require.Empty(t, j.claims(5))
		second := &job{w: w, i: j.i, lane: j.lane, run: begun}
		require.True(t, second.plan().RunEnded)
		next, ok, err = w.s.NextRun(w.ctx(), j.lane)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, j.run.ID, next.ID)
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), next.ID, store.RunBegin{})
		require.NoError(t, err)
		require.True(t, j.finish(j.claim(), done()).RunEnded)
		_, ok, err = w.s.NextRun(w.ctx(), j.lane)
		require.NoError(t, err)
		require.False(t, ok)
	})

	t.Run("ARunWhoseSleepIsOverWaitsForTheOther", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		j.finish(j.claim(), store.StreamEnd{State: store.StreamProcessed, Answered: true, SleepUntil: w.clock.Now().Add(time.Minute)})
		special := w.request(store.RunRequest{IntegrationID: j.i.ID, Kind: store.RunManual, ParamsSum: "p", Params: map[string]string{"since": "1"}})
		begun, err := w.s.BeginRun(w.ctx(), j.lane.Ref(), special.ID, store.RunBegin{})
		require.NoError(t, err)
		second := &job{w: w, i: j.i, lane: j.lane, run: begun}
		call := second.claim()
		w.clock.add(time.Minute)
		require.Empty(t, j.claims(5), "one run of a lane is active, also while its only call is under way")
		require.Equal(t, store.RunDelayed, j.reload().State)
		require.True(t, second.finish(call, done()).RunEnded)
		require.True(t, j.finish(j.claim(), done()).RunEnded)
	})

	t.Run("ReplaceCancelsTheOpenOnes", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		r := w.request(store.RunRequest{IntegrationID: j.i.ID, Kind: store.RunManual, Replace: true})
		require.NotEqual(t, j.run.ID, r.ID)
		require.Equal(t, store.RunCancelled, j.reload().State)
		_, err := w.s.Apply(w.ctx(), j.segment(s))
		require.ErrorIs(t, err, store.ErrStale)
		require.Equal(t, store.PrioInteractive, w.claimLane().Prio)
	})

	t.Run("CallsOfTheRunGoInOrder", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{Preprocess: true, Postprocess: true})
		require.Equal(t, w.clock.Now(), j.run.StartedAt)
		pre := j.claims(5)
		require.Len(t, pre, 1)
		require.Equal(t, store.StreamPreprocess, pre[0].Type)
		require.Empty(t, pre[0].Connector)
		seg := j.segment(pre[0])
		seg.Preprocessed = []byte("loaded")
		end := done()
		seg.End = &end
		j.apply(seg)
		require.Equal(t, []byte("loaded"), j.reload().Preprocessed)
		answered, err := w.s.StartRun(w.ctx(), store.RunStart{Lane: j.lane, Request: store.RunRequest{Kind: store.RunCheck}})
		require.NoError(t, err)
		require.Equal(t, []byte("loaded"), answered.Run.Preprocessed, "a tick that the open run answers goes on with it") // rows: C08

		plan := j.claims(5)
		require.Len(t, plan, 1)
		require.Equal(t, store.StreamPlan, plan[0].Type)
		seg = j.segment(plan[0])
		seg.Streams = names("a")
		seg.Checkpoint = []byte("half")
		require.Equal(t, 1, j.apply(seg).Streams)
		require.Zero(t, j.reload().PlannedAt)
		require.Empty(t, j.claims(5)) // not before the run is planned
		seg.Seq++
		seg.Streams = names("a", "b") // the first one once more
		seg.End = &end
		require.Equal(t, 1, j.apply(seg).Streams)
		require.Equal(t, w.clock.Now(), j.reload().PlannedAt)
		require.Equal(t, int64(2), j.reload().Streams.Total())

		for _, s := range j.claims(5) {
			require.Equal(t, store.StreamRoot, s.Type)
			require.False(t, j.finish(s, done()).RunEnded)
		}
		post := j.claim()
		require.Equal(t, store.StreamPostprocess, post.Type)
		seg = j.segment(post)
		seg.Patch = []byte("sealed patch")
		seg.End = &end
		a := j.apply(seg)
		require.True(t, a.RunEnded)
		require.Equal(t, store.RunProcessed, a.Run)
		i, err := w.s.IntegrationByUID(w.ctx(), j.i.UID)
		require.NoError(t, err)
		require.Equal(t, []byte("sealed patch"), i.Patch)
		system, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID, System: true})
		require.NoError(t, err)
		require.Len(t, system, 5)
		own, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID})
		require.NoError(t, err)
		require.Len(t, own, 2)
	})

	t.Run("ARunIsNotPlannedBeforeTheEndOfItsPlan", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{})
		for _, end := range []store.StreamEnd{
			{State: store.StreamDelayed, Answered: true}, // a rate limit
			{State: store.StreamDelayed, Answered: true, Attempt: true, Failure: &store.Failure{Message: "timeout"}},
			{State: store.StreamPending}, // the plugin died
		} {
			seg := j.segment(j.claim())
			seg.Streams, seg.End = names("a"), &end
			a := j.apply(seg)
			require.Equal(t, store.RunProcessing, a.Run)
			require.Zero(t, j.reload().PlannedAt)
			again := j.claims(5)
			require.Len(t, again, 1, "nothing is worked on before the plan is whole")
			require.Equal(t, store.StreamPlan, again[0].Type)
			j.finish(again[0], store.StreamEnd{State: store.StreamPending, Answered: true})
		}
		require.False(t, j.plan(names("a", "b")...).RunEnded)
	})

	t.Run("PlanningGoesOnFromItsCheckpoint", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{})
		seg := j.segment(j.claim())
		seg.Streams, seg.Checkpoint = names("a"), []byte("after a")
		j.apply(seg)
		w.clock.add(lease)
		j.lane = w.claimLane()
		s := j.claim()
		require.Equal(t, []byte("after a"), s.Checkpoint)
		require.Equal(t, int64(1), s.Seq)
	})

	t.Run("SleepDelaysTheRest", func(t *testing.T) { // rows: C22, F19
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		end := done()
		end.SleepUntil = w.clock.Now().Add(90 * time.Second)
		a := j.finish(j.claim(), end, record("1", "x"))
		require.Equal(t, store.RunDelayed, a.Run)
		require.Len(t, w.records(j.i), 1)
		require.Equal(t, end.SleepUntil, j.reload().DelayedUntil)
		require.Empty(t, j.claims(5))
		_, ok, err := w.s.NextRun(w.ctx(), j.lane)
		require.NoError(t, err)
		require.False(t, ok)
		at, ok, err := w.s.NextStreamDue(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, end.SleepUntil, at)
		j.release()
		require.Equal(t, 90*time.Second, w.nextWake())
		w.clock.add(90 * time.Second)
		j.lane = w.claimLane()
		s := j.claim() // and not the first one again
		require.Equal(t, "b", s.Ident)
		require.Equal(t, store.RunProcessing, j.reload().State)
		require.Zero(t, j.reload().DelayedUntil)
		require.True(t, j.finish(s, done()).RunEnded)
	})
}
