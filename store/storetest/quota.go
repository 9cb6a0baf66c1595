package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// limited creates an integration with a limit and plans a run of it.
func (w *world) limited(l store.RecordLimit) *job {
	w.Helper()
	w.n++
	spec := w.spec(fmt.Sprintf("limited%d", w.n))
	spec.Limit = l
	i := w.change(store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", w.n), Spec: spec, Sync: true})
	require.Equal(w, l, i.Limit)
	j := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
	j.plan(names("a", "b")...)
	return j
}

// draw draws quota for the job.
func (j *job) draw() store.Quota {
	j.w.Helper()
	q, err := j.w.s.DrawQuota(j.w.ctx(), j.lane.Ref(), j.run.ID)
	require.NoError(j.w, err)
	return q
}

// use returns how far the limit is used.
func (j *job) use() store.LimitUse {
	j.w.Helper()
	u, ok, err := j.w.s.LimitUse(j.w.ctx(), j.i.ID)
	require.NoError(j.w, err)
	require.True(j.w, ok)
	return u
}

// imports applies n new records to a stream and leaves its claim open.
func (j *job) imports(s *store.Stream, n int) {
	j.w.Helper()
	seg := j.segment(*s)
	for range n {
		j.w.n++
		seg.Records = append(seg.Records, record(fmt.Sprint(j.w.n), "x"))
	}
	s.Seq = j.apply(seg).Seq
}

// rows: K14, C23, C24, C25
func testQuotas(t *testing.T, setup func(*testing.T) *world) {
	limit := store.RecordLimit{Records: 100, Per: time.Hour, OnboardingFactor: 2}

	t.Run("NoLimitIsFree", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		require.Equal(t, store.Quota{Free: true}, j.draw())
		_, ok, err := w.s.LimitUse(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.False(t, ok)
	})

	t.Run("ALaneDrawsAPartAndGivesTheRestBack", func(t *testing.T) {
		w := setup(t)
		j := w.limited(limit)
		q := j.draw()
		require.Equal(t, store.Quota{Left: 25, Rest: 75, Reset: w.clock.Now().Add(time.Hour)}, q)
		require.Equal(t, q, j.draw(), "it has some left")
		s := j.claim()
		j.imports(&s, 10)
		require.EqualValues(t, 15, j.draw().Left)
		j.release()
		require.EqualValues(t, 10, j.use().Used)
	})

	t.Run("WhatComesBeyondIsCounted", func(t *testing.T) {
		w := setup(t)
		j := w.limited(limit)
		j.draw()
		s := j.claim()
		j.imports(&s, 90)
		q := j.draw()
		require.EqualValues(t, 3, q.Left)
		require.EqualValues(t, 7, q.Rest)
		j.imports(&s, 50)
		require.LessOrEqual(t, j.draw().Left, int64(0))
		j.release()
		require.EqualValues(t, 140, j.use().Used)
	})

	t.Run("AtTheLimitTheRunWaitsForThePeriod", func(t *testing.T) {
		w := setup(t)
		j := w.limited(limit)
		reset := w.clock.Now().Add(time.Hour)
		j.draw()
		r, err := w.s.LimitRun(w.ctx(), j.lane.Ref(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunProcessing, r.State, "it may go on")
		s := j.claim()
		j.imports(&s, 100)
		j.finish(s, done())
		r, err = w.s.LimitRun(w.ctx(), j.lane.Ref(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunDelayed, r.State)
		require.Equal(t, reset, r.DelayedUntil)
		require.Equal(t, "the limit of 100 records in 1h is reached", j.reload().DelayReason)
		require.Empty(t, j.claims(1))
		j.release()
		require.Equal(t, time.Hour, w.nextWake())
		w.clock.add(time.Hour)
		j.lane = w.claimLane()
		require.Equal(t, store.Quota{Left: 25, Rest: 75, Reset: w.clock.Now().Add(time.Hour)}, j.draw())
		require.Equal(t, "b", j.claim().Ident)
		require.Empty(t, j.reload().DelayReason)
	})

	t.Run("AnOnboardingHasItsFactor", func(t *testing.T) {
		w := setup(t)
		w.n++
		spec := w.spec("onboarding")
		spec.Limit = limit
		i := w.change(store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", w.n), Spec: spec, Sync: true})
		j := w.beginOf(i, store.RunRequest{Kind: store.RunOnboarding}, store.RunBegin{})
		j.plan(names("a")...)
		q := j.draw()
		require.EqualValues(t, 200, q.Left+q.Rest)
		require.EqualValues(t, 200, j.use().Limit)
	})

	t.Run("ALostLaneLosesNothing", func(t *testing.T) {
		w := setup(t)
		j := w.limited(limit)
		j.draw()
		s := j.claim()
		j.imports(&s, 10)
		w.clock.add(lease + time.Second) // its holder is dead
		j.lane = w.claimLane()
		q := j.draw()
		require.EqualValues(t, 15, q.Left, "what it had drawn is there")
		require.EqualValues(t, 75, q.Rest)
		_, err := w.s.CancelRun(w.ctx(), j.run.ID, "by a person")
		require.NoError(t, err)
		require.EqualValues(t, 10, j.use().Used, "taken away, it is given back")
	})

	t.Run("AKeySharesIt", func(t *testing.T) {
		w := setup(t)
		shared := limit
		shared.Key = "account"
		one, two := w.limited(shared), w.limited(shared)
		require.EqualValues(t, 25, one.draw().Left)
		q := two.draw()
		require.EqualValues(t, 19, q.Left)
		require.EqualValues(t, 100-25-19, q.Rest)
		one.release()
		require.EqualValues(t, 19, one.use().Used)
		require.EqualValues(t, 19, two.use().Used)
	})

	t.Run("WhatIsGivenBackWakesThoseWhoWaitForIt", func(t *testing.T) {
		w := setup(t)
		shared := limit
		shared.Key = "account"
		one := w.limited(shared)
		require.EqualValues(t, 25, one.draw().Left)
		var waiting []*job
		for range 6 {
			j := w.limited(shared)
			s := j.claim()
			for left := j.draw().Left; left > 0 && len(waiting) == 0; left = j.draw().Left {
				j.imports(&s, int(left))
			}
			r, err := w.s.LimitRun(w.ctx(), j.lane.Ref(), j.run.ID)
			require.NoError(t, err)
			require.Equal(t, store.RunDelayed, r.State)
			j.release()
			waiting = append(waiting, j)
			w.clock.add(time.Second)
		}
		other := w.limited(limit) // waits for a limit of its own
		s := other.claim()
		for left := other.draw().Left; left > 0; left = other.draw().Left {
			other.imports(&s, int(left))
		}
		_, err := w.s.LimitRun(w.ctx(), other.lane.Ref(), other.run.ID)
		require.NoError(t, err)
		other.release()
		require.Empty(t, w.claimLanes())

		s = one.claim()
		one.imports(&s, 5)
		one.finish(s, done())
		one.finish(one.claim(), done())
		one.release()
		awake := slices.DeleteFunc(w.claimLanes(), func(l store.Lane) bool { return l.ID == one.lane.ID })
		require.Len(t, awake, 4, "20 are left, which are not for all of them")
		for k, l := range awake {
			require.Equal(t, waiting[k].lane.ID, l.ID, "the one that waits longest first")
			require.Equal(t, store.RunDelayed, waiting[k].reload().State)
			_, err := w.s.BeginRun(w.ctx(), l.Ref(), waiting[k].run.ID, store.RunBegin{})
			require.NoError(t, err)
			waiting[k].lane = l
		}
		require.EqualValues(t, 5, waiting[0].draw().Left)
		require.EqualValues(t, 4, waiting[1].draw().Left)
		waiting[0].release()
		require.Len(t, w.claimLanes(), 2+1, "the last two, and the one that has something to do yet")
	})

	t.Run("OfOneRunIsCountedByTheRun", func(t *testing.T) {
		w := setup(t)
		j := w.limited(store.RecordLimit{Records: 10, OnboardingFactor: 1})
		require.Equal(t, store.Quota{Left: 10}, j.draw())
		s := j.claim()
		j.imports(&s, 12)
		require.EqualValues(t, -2, j.draw().Left)
		j.finish(s, done())
		r, err := w.s.LimitRun(w.ctx(), j.lane.Ref(), j.run.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunPartial, r.State)
		require.Equal(t, "limit_reached", r.Failure.Code)
		require.EqualValues(t, 1, r.Streams.Cancelled)
		r, err = w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.EqualValues(t, 1, r.Streams.Pending)
		require.Equal(t, []string{"run.partial"}, w.events(j.run.ID))
	})

	t.Run("OnlyTheHolderDraws", func(t *testing.T) {
		w := setup(t)
		j := w.limited(limit)
		j.release()
		_, err := w.s.DrawQuota(w.ctx(), j.lane.Ref(), j.run.ID)
		require.ErrorIs(t, err, store.ErrStale)
		_, err = w.s.LimitRun(w.ctx(), j.lane.Ref(), j.run.ID)
		require.ErrorIs(t, err, store.ErrStale)
	})
}
