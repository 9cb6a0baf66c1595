package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K09, K10, K12
func testGiveBack(t *testing.T, setup func(*testing.T) *world) {
	// check begins a check, which is followed by another in an hour.
	check := func(w *world) *job {
		i := w.create("history")
		lane := w.claimLane()
		got, err := w.s.StartRun(w.ctx(), store.RunStart{
			Lane: lane, Request: store.RunRequest{Kind: store.RunCheck, NextCheckAt: w.clock.Now().Add(time.Hour)},
		})
		require.NoError(w, err)
		j := &job{w: w, i: i, lane: lane, run: got.Run}
		j.plan(names("a", "b")...)
		return j
	}
	// last is the end of a stream that gives the lane back with the run.
	last := func(j *job) store.StreamEnd {
		end := done()
		end.Release = &j.lane
		return end
	}

	t.Run("TheEndOfTheRunGivesTheLaneBack", func(t *testing.T) {
		w := setup(t)
		j := check(w)
		a := j.finish(j.claim(), last(j))
		require.False(t, a.Released, "the run goes on")
		kept, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref()}, lease)
		require.NoError(t, err)
		require.Len(t, kept, 1)
		a = j.finish(j.claim(), last(j))
		require.True(t, a.RunEnded)
		require.True(t, a.Released)
		require.Equal(t, time.Hour, w.nextWake(), "its schedule")
		require.ErrorIs(t, w.s.ReleaseLane(w.ctx(), j.lane), store.ErrStale)
		w.clock.add(time.Hour)
		next := w.claimLane()
		require.Equal(t, j.lane.Fence+1, next.Fence)
	})

	t.Run("ARunThatIsAbortedGivesItBack", func(t *testing.T) {
		w := setup(t)
		j := check(w)
		end := failed("no")
		end.AbortRun, end.Release = true, &j.lane
		require.True(t, j.finish(j.claim(), end).Released)
		require.Equal(t, time.Hour, w.nextWake())
	})

	t.Run("OneThatWasNudgedIsDue", func(t *testing.T) {
		w := setup(t)
		j := check(w)
		j.finish(j.claim(), done())
		require.NoError(t, w.s.Nudge(w.ctx(), j.i.ID, store.ClassPull, w.clock.Now().Add(time.Minute)))
		require.True(t, j.finish(j.claim(), last(j)).Released)
		require.Zero(t, w.nextWake())
	})

	t.Run("AnotherRunThatWaitsIsDue", func(t *testing.T) {
		w := setup(t)
		j := check(w)
		j.finish(j.claim(), done())
		s := j.claim()
		other := w.request(store.RunRequest{IntegrationID: j.i.ID, Kind: store.RunManual, Params: map[string]string{"a": "b"}, ParamsSum: "b"})
		require.True(t, j.finish(s, last(j)).Released)
		lane := w.claimLane()
		require.Equal(t, store.PrioInteractive, lane.Prio)
		next, ok, err := w.s.NextRun(w.ctx(), lane)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, other.ID, next.ID)
	})

	t.Run("NobodyGivesAnothersBack", func(t *testing.T) {
		w := setup(t)
		j := check(w)
		j.finish(j.claim(), done())
		w.create("other")
		other := w.claimLane()
		end := done()
		end.Release = &other
		a := j.finish(j.claim(), end)
		require.True(t, a.RunEnded)
		require.False(t, a.Released)
		kept, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref(), other.Ref()}, lease)
		require.NoError(t, err)
		require.Len(t, kept, 2)
		j.release()
	})

	t.Run("WhatItDrewOfItsLimitIsGivenBack", func(t *testing.T) { // rows: K14
		w := setup(t)
		j := w.limited(store.RecordLimit{Records: 100, Per: time.Hour})
		j.draw()
		j.finish(j.claim(), done())
		a := j.finish(j.claim(), last(j), record("1", "x"), record("2", "x"))
		require.True(t, a.RunEnded)
		if !a.Released { // a driver may leave it to the holder
			j.release()
		}
		require.Equal(t, int64(2), j.use().Used)
	})
}
