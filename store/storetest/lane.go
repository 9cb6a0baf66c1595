package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K09, K10, K13
func testLanes(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ClaimedByOne", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		l := w.claimLane()
		require.NotEmpty(t, l.Owner)
		require.Equal(t, plug, l.Plugin)
		require.Equal(t, store.ClassPull, l.Class)
		require.Equal(t, i.Generation, l.Generation)
		require.Equal(t, w.clock.Now().Add(lease), l.LeaseUntil)
		require.Empty(t, w.claimLanes())
		require.Equal(t, lease, w.nextWake()) // at the latest
	})

	t.Run("OnlyOfLoadedPlugins", func(t *testing.T) {
		w := setup(t)
		w.create("history")
		lanes, err := w.s.ClaimLanes(w.ctx(), store.LaneClaim{Plugins: []string{"slack"}, Limit: 1, Lease: lease})
		require.NoError(t, err)
		require.Empty(t, lanes)
		due, err := w.s.NextWake(w.ctx(), []string{"slack"})
		require.NoError(t, err)
		require.Zero(t, due)
		_, err = w.s.ClaimLanes(w.ctx(), store.LaneClaim{Plugins: []string{plug}, Limit: 1})
		require.ErrorIs(t, err, store.ErrInvalid)
	})

	t.Run("ALeaseThatRanOutIsTaken", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		w.clock.add(lease)
		other := w.claimLane()
		require.Equal(t, j.lane.ID, other.ID)
		require.Equal(t, j.lane.Fence+1, other.Fence)
		require.NotEqual(t, j.lane.Owner, other.Owner)
		// The stream waits again, and remembers that there was no answer.
		require.Equal(t, store.StreamPending, w.stream(s.ID).State)
		require.Equal(t, 1, w.stream(s.ID).Interrupts)
		require.Equal(t, store.StreamCounts{Pending: 1}, j.reload().Streams)
		kept, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref(), other.Ref()}, lease)
		require.NoError(t, err)
		require.Equal(t, map[int64]int64{other.ID: other.Nudges}, kept)
		require.ErrorIs(t, w.s.ReleaseLane(w.ctx(), j.lane), store.ErrStale)
		_, err = w.s.ClaimStreams(w.ctx(), j.lane.Ref(), j.run.ID, 1)
		require.ErrorIs(t, err, store.ErrStale)
	})

	t.Run("RenewsMany", func(t *testing.T) {
		w := setup(t)
		for i := range 70 {
			w.create(fmt.Sprintf("i%d", i))
		}
		lanes := w.claimLanes()
		require.Len(t, lanes, 70)
		w.clock.add(lease / 2)
		refs := make([]store.LaneRef, 0, len(lanes))
		for _, l := range lanes {
			refs = append(refs, l.Ref())
		}
		refs[3].Fence++
		kept, err := w.s.RenewLanes(w.ctx(), refs, lease)
		require.NoError(t, err)
		require.Len(t, kept, 69)
		require.NotContains(t, kept, refs[3].ID)
		w.clock.add(lease / 2)
		require.Len(t, w.claimLanes(), 1)
		kept, err = w.s.RenewLanes(w.ctx(), nil, lease)
		require.NoError(t, err)
		require.Empty(t, kept)
	})

	t.Run("LowerClassFirstThenTheLongestWait", func(t *testing.T) {
		w := setup(t)
		var want []int64
		bulk := w.create("bulk") // not onboarded: bulk
		w.clock.add(time.Second)
		later := w.create("later")
		person := w.create("person")
		w.request(store.RunRequest{IntegrationID: person.ID, Kind: store.RunManual})
		check := w.create("check")
		w.request(store.RunRequest{IntegrationID: check.ID, Kind: store.RunCheck})
		want = append(want, person.ID, check.ID, bulk.ID, later.ID)
		claim := func(n int, prios ...int) (ids []int64) {
			lanes, err := w.s.ClaimLanes(w.ctx(), store.LaneClaim{Plugins: []string{"slack", plug}, Prios: prios, Limit: n, Lease: lease})
			require.NoError(t, err)
			for _, l := range lanes {
				ids = append(ids, l.IntegrationID)
			}
			return ids
		}
		require.Equal(t, want[2:3], claim(1, store.PrioBulk)) // no class waits behind another
		require.Equal(t, want[:1], claim(1))
		require.Equal(t, []int64{check.ID, later.ID}, claim(5))
	})

	t.Run("NudgeIsTheEarlier", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		l := w.claimLane()
		require.NoError(t, w.s.ReleaseLane(w.ctx(), l))
		require.Zero(t, w.nextWake()) // its first check is still to come
		l = w.claimLane()
		_, _, err := w.s.RequestRun(w.ctx(), store.RunRequest{
			IntegrationID: i.ID, Kind: store.RunCheck, Scheduled: true, NextCheckAt: w.clock.Now().Add(20 * time.Minute),
		})
		require.NoError(t, err)
		j := &job{w: w, i: i, lane: l}
		run, ok, err := w.s.NextRun(w.ctx(), l)
		require.NoError(t, err)
		require.True(t, ok)
		j.run, err = w.s.BeginRun(w.ctx(), l.Ref(), run.ID, store.RunBegin{})
		require.NoError(t, err)
		j.plan()
		j.release()
		require.Equal(t, 20*time.Minute, w.nextWake())
		nudge := func(d time.Duration) {
			require.NoError(t, w.s.Nudge(w.ctx(), i.ID, store.ClassPull, w.clock.Now().Add(d)))
		}
		nudge(5 * time.Minute)
		require.Equal(t, 5*time.Minute, w.nextWake())
		nudge(10 * time.Minute)
		require.Equal(t, 5*time.Minute, w.nextWake())
		require.ErrorIs(t, w.s.Nudge(w.ctx(), 999, store.ClassPull, w.clock.Now()), store.ErrNotFound)
		w.change(store.Change{Op: store.ChangeDisable, UID: i.UID, Spec: w.spec(i.Name)})
		nudge(0)
		require.Empty(t, w.claimLanes())
	})

	t.Run("NudgedWhileHeldIsDueAtRelease", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{Scheduled: true, NextCheckAt: w.clock.Now().Add(time.Hour)})
		kept, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref()}, lease)
		require.NoError(t, err)
		require.Equal(t, j.lane.Nudges, kept[j.lane.ID])
		require.NoError(t, w.s.Nudge(w.ctx(), j.i.ID, store.ClassPull, w.clock.Now()))
		kept, err = w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref()}, lease)
		require.NoError(t, err)
		require.Greater(t, kept[j.lane.ID], j.lane.Nudges)
		j.release()
		require.Zero(t, w.nextWake())
		l := w.claimLane()
		require.NoError(t, w.s.ReleaseLane(w.ctx(), l)) // what it was for is seen
		require.Equal(t, time.Hour, w.nextWake())
	})

	t.Run("ReleaseFindsTheNextStream", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		for n, s := range j.claims(2) {
			j.finish(s, store.StreamEnd{State: store.StreamDelayed, Answered: true, DueAt: w.clock.Now().Add(time.Duration(5+n) * time.Minute)})
		}
		at, ok, err := w.s.NextStreamDue(w.ctx(), j.run.ID)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, w.clock.Now().Add(5*time.Minute), at)
		j.release()
		require.Equal(t, 5*time.Minute, w.nextWake())
	})

	t.Run("ReleaseInTheMiddleIsDueNow", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		s := j.claim()
		j.release()
		require.Zero(t, w.nextWake())
		require.Equal(t, store.StreamPending, w.stream(s.ID).State)
		j.lane = w.claimLane()
		require.Equal(t, s.Claim+1, j.claim().Claim)
	})

	t.Run("TimesOfALaterClockHaveCome", func(t *testing.T) { // rows: K09, F16
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.finish(j.claim(), store.StreamEnd{State: store.StreamDelayed, Answered: true, DueAt: w.clock.Now().Add(time.Hour)})
		j.release()
		require.Empty(t, w.claimLanes())
		w.clock.add(-store.ClockSlack) // a small correction
		require.Empty(t, w.claimLanes())
		w.clock.add(-10 * 365 * 24 * time.Hour) // the clock was wrong before
		require.Zero(t, w.nextWake())
		j.lane = w.claimLane()
		require.Equal(t, "a", j.claim().Ident)
		w.clock.add(-365 * 24 * time.Hour)
		require.Len(t, w.claimLanes(), 1) // and so was the lease
	})

	t.Run("AThrottleOfALaterClockIsOver", func(t *testing.T) { // rows: K09, F16
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		limited := func(s store.Stream, by time.Duration) {
			seg := j.segment(s)
			until := w.clock.Now().Add(by)
			seg.Throttles = []store.Throttle{{Plugin: plug, Key: "k", Until: until}}
			seg.End = &store.StreamEnd{State: store.StreamDelayed, Answered: true, DueAt: until}
			j.apply(seg)
		}
		limited(j.claim(), 10*time.Hour)
		w.clock.add(-time.Hour)
		limited(j.claim(), time.Minute)
		require.Len(t, j.claims(2), 1, "the one that waits by the clock of before")
		w.clock.add(time.Minute)
		require.Len(t, j.claims(2), 1, "the other in its time: the newer throttle is what counts")
	})

	t.Run("ALaneThatIsComputedAnewRests", func(t *testing.T) { // rows: K09, F16
		w := setup(t)
		j := w.begin(store.RunRequest{Scheduled: true, NextCheckAt: w.clock.Now().Add(24 * time.Hour)}, store.RunBegin{})
		j.plan()
		j.release()
		w.clock.add(time.Hour)
		w.change(store.Change{Op: store.ChangeUpdate, UID: j.i.UID, Spec: w.spec(j.i.Name)}) // its lane is computed an hour later than its check
		w.clock.add(-30 * time.Minute)
		j.lane = w.claimLane()
		i, err := w.s.IntegrationByID(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.False(t, i.CheckDue(w.clock.Now()))
		j.release()
		require.Empty(t, w.claimLanes(), "nothing is due by any clock")
	})
}

// rows: K09, K13
//
// testClaimSaysNext has each claim of lanes say what NextWake says after it.
func testClaimSaysNext(t *testing.T, setup func(*testing.T) *world) {
	checkLater := func(w *world) { // half of a lease later
		w.create("a")
		j := &job{w: w, lane: w.claimLane()}
		w.request(store.RunRequest{IntegrationID: j.lane.IntegrationID, Kind: store.RunOnboarding, Scheduled: true, NextCheckAt: w.clock.Now().Add(lease / 2)})
		run, ok, err := w.s.NextRun(w.ctx(), j.lane)
		require.NoError(w, err)
		require.True(w, ok)
		j.run, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), run.ID, store.RunBegin{})
		require.NoError(w, err)
		j.plan()
		j.release()
	}
	for name, c := range map[string]struct {
		claims, perTenant int
		before            func(w *world)
		in                time.Duration
		prios             []int
		later             time.Duration // of another class, which what is claimed is until its lease ends
	}{
		"what else is due":      {1, 0, func(w *world) { w.create("a"); w.create("b") }, 0, []int{store.PrioBulk}, lease},
		"that of a full tenant": {2, 1, func(w *world) { w.create("a"); w.create("b") }, 0, []int{store.PrioBulk}, lease},
		"the end of the lease":  {2, 0, func(w *world) { w.create("a"); w.create("b") }, lease, nil, lease},
		"another class": {1, 0, func(w *world) {
			w.create("a")
			person := w.create("person")
			w.request(store.RunRequest{IntegrationID: person.ID, Kind: store.RunManual})
		}, 0, []int{store.PrioBulk}, lease},
		"what comes before it ends":   {1, 0, func(w *world) { checkLater(w); w.create("b") }, lease / 2, nil, lease / 2},
		"what comes of another class": {1, 0, func(w *world) { checkLater(w); w.create("b"); w.create("c") }, 0, []int{store.PrioBulk}, lease / 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			c.before(w)
			var next store.Due
			lanes, err := w.s.ClaimLanes(w.ctx(), store.LaneClaim{
				Plugins: []string{"slack", plug}, Limit: c.claims, Lease: lease, PerTenant: c.perTenant, Next: &next,
			})
			require.NoError(t, err)
			require.NotEmpty(t, lanes)
			require.Equal(t, c.in, max(0, next.At.Sub(w.clock.Now())))
			require.Equal(t, c.prios, next.Prios)
			require.Equal(t, c.later, next.Later.Sub(w.clock.Now()))
			due, err := w.s.NextWake(w.ctx(), []string{"slack", plug})
			require.NoError(t, err)
			require.Equal(t, due, next)
			due, err = w.s.NextWake(w.ctx(), []string{"slack"})
			require.NoError(t, err)
			require.Zero(t, due.At)
		})
	}
}
