package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C06, C10, C28, C34, O25
func testRunEnds(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ByItsStreams", func(t *testing.T) {
		for name, c := range map[string]struct {
			ends []store.StreamEnd
			want store.RunState
		}{
			"none":          {nil, store.RunProcessed},
			"all processed": {[]store.StreamEnd{done(), done()}, store.RunProcessed},
			"one failed":    {[]store.StreamEnd{failed("no"), done()}, store.RunPartial},
			"the last":      {[]store.StreamEnd{done(), failed("no")}, store.RunPartial},
			"all failed":    {[]store.StreamEnd{failed("no"), failed("no")}, store.RunError},
		} {
			t.Run(name, func(t *testing.T) {
				w := setup(t)
				idents := []string{"a", "b"}[:len(c.ends)]
				j := w.begin(store.RunRequest{}, store.RunBegin{})
				a := j.plan(names(idents...)...)
				for _, end := range c.ends {
					require.False(t, a.RunEnded)
					a = j.finish(j.claim(), end)
				}
				require.True(t, a.RunEnded)
				require.Equal(t, c.want, a.Run)
				r := j.reload()
				require.Equal(t, c.want, r.State)
				require.Equal(t, w.clock.Now(), r.EndedAt)
				require.Equal(t, []string{"run." + string(c.want)}, w.events(r.ID))
				if c.want == store.RunProcessed {
					require.Nil(t, r.Failure)
					return
				}
				require.Equal(t, "no", r.Failure.Message)
				require.Equal(t, "http_500", r.Failure.Code)
				failed, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: r.ID, State: store.StreamError})
				require.NoError(t, err)
				require.Equal(t, store.Failure{
					Point: "process_stream", Class: "remote", Code: "http_500", Message: "no", Cause: "stack", Attempt: 6, Plugin: "1.0.0",
				}, *failed[0].Failure)
			})
		}
	})

	t.Run("FailingToPlanIsAnErrorAndCanBeContinued", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{})
		seg := j.segment(j.claim())
		seg.Streams, seg.Checkpoint = names("a"), []byte("after a")
		j.apply(seg)
		seg.Seq++
		seg.Streams = nil
		end := failed("no list")
		seg.End = &end
		a := j.apply(seg)
		require.True(t, a.RunEnded)
		require.Equal(t, store.RunError, a.Run)
		require.Equal(t, store.StreamCounts{Cancelled: 1}, j.reload().Streams)
		j.release()

		r, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunPending, r.State)
		require.Equal(t, store.StreamCounts{Pending: 1}, r.Streams)
		j.lane = w.claimLane()
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), r.ID, store.RunBegin{})
		require.NoError(t, err)
		s := j.claim()
		require.Equal(t, store.StreamPlan, s.Type)
		require.Equal(t, []byte("after a"), s.Checkpoint)
		require.Zero(t, s.Attempts)
		j.finish(s, done())
		require.True(t, j.finish(j.claim(), done()).RunEnded)
		require.Equal(t, store.RunProcessed, j.reload().State)
		require.Nil(t, j.reload().Failure)
		require.Equal(t, []string{"run.error", "run.processed"}, w.events(r.ID))
	})

	t.Run("FailingToPreprocessIsAnError", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{Preprocess: true})
		a := j.finish(j.claim(), failed("no"))
		require.Equal(t, store.RunError, a.Run)
		streams, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID, System: true})
		require.NoError(t, err)
		require.Len(t, streams, 2)
		require.Equal(t, store.StreamCancelled, streams[1].State)
	})

	t.Run("FailingToPostprocessIsPartial", func(t *testing.T) {
		w := setup(t)
		j := w.begin(store.RunRequest{}, store.RunBegin{Postprocess: true})
		j.plan(names("a")...)
		j.finish(j.claim(), done())
		a := j.finish(j.claim(), failed("no"))
		require.Equal(t, store.RunPartial, a.Run)
		require.Equal(t, "no", j.reload().Failure.Message)
		j.release()
		_, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		j.lane = w.claimLane()
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), j.run.ID, store.RunBegin{Postprocess: true})
		require.NoError(t, err)
		s := j.claim()
		require.Equal(t, store.StreamPostprocess, s.Type)
		require.Equal(t, store.RunProcessed, j.finish(s, done()).Run)
	})

	t.Run("AbortLeavesTheRestToContinue", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b", "c")...)
		streams := j.claims(2)
		end := failed("token revoked")
		end.AbortRun = true
		a := j.finish(streams[0], end)
		require.Equal(t, store.RunError, a.Run)
		require.Equal(t, store.StreamCounts{Error: 1, Cancelled: 2}, j.reload().Streams)
		_, err := w.s.Apply(w.ctx(), j.segment(streams[1]))
		require.ErrorIs(t, err, store.ErrStale)
		r, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.StreamCounts{Pending: 3}, r.Streams)
		require.Nil(t, r.Failure)
	})

	t.Run("CancelFencesWhatIsUnderWay", func(t *testing.T) { // rows: K10
		w := setup(t)
		w.revoked = make(chan []int64, 1)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		r, err := w.s.CancelRun(w.ctx(), j.run.ID, "by ann")
		require.NoError(t, err)
		require.Equal(t, store.RunCancelled, r.State)
		require.Equal(t, "by ann", r.Failure.Message)
		require.Equal(t, []int64{j.lane.ID}, w.taken())
		_, err = w.s.Apply(w.ctx(), j.segment(s))
		require.ErrorIs(t, err, store.ErrStale)
		kept, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref()}, lease)
		require.NoError(t, err)
		require.Empty(t, kept)
		_, err = w.s.CancelRun(w.ctx(), j.run.ID, "again")
		require.ErrorIs(t, err, store.ErrConflict)
		_, err = w.s.ContinueRun(w.ctx(), j.run.ID)
		require.ErrorIs(t, err, store.ErrConflict)
		require.Equal(t, []string{"run.cancelled"}, w.events(r.ID))
		l := w.claimLane() // free and due
		require.Greater(t, l.Generation, j.lane.Generation)
		require.Equal(t, j.lane.Fence+2, l.Fence, "by the cancelling, and by the claim")
	})

	t.Run("ContinueHurriesWhatWaits", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		end := store.StreamEnd{State: store.StreamDelayed, Answered: true, Attempt: true, DueAt: w.clock.Now().Add(time.Hour), SleepUntil: w.clock.Now().Add(time.Hour)}
		j.finish(j.claim(), end)
		j.release()
		require.Equal(t, time.Hour, w.nextWake())
		r, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunDelayed, r.State)
		require.Zero(t, w.nextWake())
		j.lane = w.claimLane()
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), r.ID, store.RunBegin{})
		require.NoError(t, err)
		require.Len(t, j.claims(5), 2)
	})

	t.Run("ContinueTakesAStuckLaneAway", func(t *testing.T) {
		w := setup(t)
		w.revoked = make(chan []int64, 1)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		_, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Empty(t, w.revoked) // it is alive
		for range 16 {
			w.clock.add(time.Minute / 2)
			_, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref()}, 20*time.Minute)
			require.NoError(t, err)
			w.clock.add(time.Minute / 2)
		}
		_, err = w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, []int64{j.lane.ID}, w.taken())
		require.Equal(t, store.StreamPending, w.stream(s.ID).State)
		require.Len(t, w.claimLanes(), 1)
	})

	t.Run("ContinueYieldsToAnother", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.finish(j.claim(), failed("no"))
		other := w.request(store.RunRequest{IntegrationID: j.i.ID})
		_, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.ErrorIs(t, err, store.ErrConflict)
		_, err = w.s.RetryStream(w.ctx(), 2)
		require.ErrorIs(t, err, store.ErrConflict)
		_, err = w.s.CancelRun(w.ctx(), other.ID, "")
		require.NoError(t, err)
		_, err = w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
	})

	t.Run("CountsAddUp", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		gone := store.Record{Kind: "activity", ExternalID: "2", Deleted: true}
		first := j.finish(j.claim(), done(), record("1", "x"), record("2", "x"), record("2", "y"), record("3", "x"))
		require.Equal(t, store.RunStats{Read: 4, Added: 3, Stale: 1}, first.Stats)
		s := j.claim()
		second := j.finish(s, done(), record("1", "x"), gone, record("3", "z"), record("4", "x"))
		require.Equal(t, store.RunStats{Read: 4, Added: 1, Updated: 1, Deleted: 1, Unchanged: 1}, second.Stats)
		want := store.RunStats{Read: 8, Added: 4, Updated: 1, Deleted: 1, Unchanged: 1, Stale: 1}
		require.Equal(t, want, j.reload().Stats)
		require.Equal(t, second.Stats, w.stream(s.ID).Stats)
	})
}
