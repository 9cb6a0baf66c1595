package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C03, K01, K10, K12
func testStart(t *testing.T, setup func(*testing.T) *world) {
	check := func(lane store.Lane, next time.Time) store.RunStart {
		return store.RunStart{Lane: lane, Request: store.RunRequest{Kind: store.RunCheck, NextCheckAt: next}, Claim: true}
	}

	t.Run("ARunBeginsWithItsFirstCall", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		lane := w.claimLane()
		next := w.clock.Now().Add(time.Hour)
		got, err := w.s.StartRun(w.ctx(), check(lane, next))
		require.NoError(t, err)
		require.Len(t, got.Streams, 1)
		require.Equal(t, store.StreamPlan, got.Streams[0].Type)
		require.Equal(t, int64(1), got.Streams[0].Claim)
		require.Equal(t, store.StreamProcessing, w.stream(got.Streams[0].ID).State)
		kept, err := w.s.Run(w.ctx(), got.Run.ID)
		require.NoError(t, err)
		require.Equal(t, kept, got.Run)
		require.Equal(t, store.RunProcessing, kept.State)
		require.Equal(t, w.clock.Now(), kept.StartedAt)
		require.Equal(t, []string{"commits", "members"}, kept.Connectors)
		i, err = w.s.IntegrationByID(w.ctx(), i.ID)
		require.NoError(t, err)
		require.Equal(t, w.clock.Now(), i.LastCheckAt)
		require.Equal(t, next, i.NextCheckAt)
		j := &job{w: w, i: i, lane: lane, run: got.Run}
		require.Empty(t, j.claims(10), "the call is under way")
		require.Equal(t, store.RunProcessed, j.finish(got.Streams[0], store.StreamEnd{State: store.StreamProcessed, Answered: true}).Run)
		j.release()
		require.Equal(t, time.Hour, w.nextWake())
	})

	t.Run("WithoutTheLaneNothingIsWritten", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		lane := w.claimLane()
		w.clock.add(lease)
		other := w.claimLane()
		_, err := w.s.StartRun(w.ctx(), check(lane, w.clock.Now().Add(time.Hour)))
		require.ErrorIs(t, err, store.ErrStale)
		runs, err := w.s.Runs(w.ctx(), store.RunFilter{IntegrationID: i.ID})
		require.NoError(t, err)
		require.Empty(t, runs)
		got, err := w.s.StartRun(w.ctx(), check(other, w.clock.Now().Add(time.Hour)))
		require.NoError(t, err)
		require.Len(t, got.Streams, 1)
	})

	t.Run("AHolderThatDiesLeavesItDue", func(t *testing.T) {
		w := setup(t)
		w.create("history")
		got, err := w.s.StartRun(w.ctx(), check(w.claimLane(), w.clock.Now().Add(time.Hour)))
		require.NoError(t, err)
		require.Equal(t, lease, w.nextWake())
		w.clock.add(lease)
		w.claimLane()
		require.Equal(t, store.StreamPending, w.stream(got.Streams[0].ID).State)
		require.Equal(t, 1, w.stream(got.Streams[0].ID).Interrupts)
	})

	t.Run("AThrottledKeyIsNotClaimed", func(t *testing.T) {
		w := setup(t)
		first := w.plan(store.RunRequest{}, names("a")...)
		seg := first.segment(first.claim())
		own := w.stream(seg.StreamID).LimitKey // by default the integration's own
		seg.Throttles = []store.Throttle{{Plugin: plug, Key: own, Until: w.clock.Now().Add(time.Hour)}}
		seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
		require.True(t, first.apply(seg).RunEnded)
		got, err := w.s.StartRun(w.ctx(), check(first.lane, w.clock.Now().Add(time.Hour)))
		require.NoError(t, err)
		require.Equal(t, store.RunProcessing, got.Run.State)
		require.Empty(t, got.Streams)
		w.clock.add(time.Hour)
		require.Len(t, (&job{w: w, i: first.i, lane: first.lane, run: got.Run}).claims(10), 1)
	})

	t.Run("AnOpenRunAnswersIt", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		lane := w.claimLane()
		open := w.request(store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual})
		next := w.clock.Now().Add(time.Hour)
		for range 2 { // it begins once
			got, err := w.s.StartRun(w.ctx(), check(lane, next))
			require.NoError(t, err)
			require.Equal(t, open.ID, got.Run.ID)
			require.Equal(t, store.RunProcessing, got.Run.State)
			require.Empty(t, got.Streams, "its holder may have claimed them")
		}
		i, err := w.s.IntegrationByID(w.ctx(), i.ID)
		require.NoError(t, err)
		require.Zero(t, i.LastCheckAt)
		require.Equal(t, next, i.NextCheckAt)
	})

	t.Run("OneThatMayNotRunIsRefused", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		lane := w.claimLane()
		require.NoError(t, w.s.SetIntegrationState(w.ctx(), i.ID, store.IntegrationNeedsReconnect, "the token is gone"))
		_, err := w.s.StartRun(w.ctx(), check(lane, w.clock.Now().Add(time.Hour)))
		require.Error(t, err)
		runs, err := w.s.Runs(w.ctx(), store.RunFilter{IntegrationID: i.ID})
		require.NoError(t, err)
		require.Empty(t, runs)
	})
}
