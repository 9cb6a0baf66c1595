package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lanes is a store of lanes that are due at their WakeAt.
type lanes struct {
	mu       sync.Mutex
	due      []store.Lane
	nudges   map[int64]int64 // of claimed lanes; absent: lost
	fences   map[int64]int64 // of the newest claims
	released []store.Lane
	renewals int
	looks    int      // at what is due
	leases   []leased // as they were given and extended
}

// leased is a lease that was given or extended.
type leased struct {
	at    time.Time
	lasts time.Duration
}

func (l *lanes) ClaimLanes(_ context.Context, c store.LaneClaim) ([]store.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var got, rest []store.Lane
	for _, lane := range l.due {
		if lane.Prio == c.Prios[0] && len(got) < c.Limit && !lane.WakeAt.After(time.Now()) {
			l.fences[lane.ID]++
			lane.Fence = l.fences[lane.ID]
			l.nudges[lane.ID] = lane.Nudges
			got = append(got, lane)
			l.leases = append(l.leases, leased{time.Now(), c.Lease})
			continue
		}
		rest = append(rest, lane)
	}
	l.due = rest
	if len(got) > 0 {
		*c.Next = l.nextDue()
	}
	return got, nil
}

func (l *lanes) RenewLanes(_ context.Context, refs []store.LaneRef, lease time.Duration) (map[int64]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewals++
	l.leases = append(l.leases, leased{time.Now(), lease})
	out := map[int64]int64{}
	for _, r := range refs {
		if n, ok := l.nudges[r.ID]; ok && r.Fence == l.fences[r.ID] {
			out[r.ID] = n
		}
	}
	return out, nil
}

func (l *lanes) ReleaseLane(_ context.Context, lane store.Lane) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.nudges[lane.ID]; !ok || lane.Fence != l.fences[lane.ID] {
		return store.ErrStale
	}
	delete(l.nudges, lane.ID)
	l.released = append(l.released, lane)
	return nil
}

func (l *lanes) NextWake(context.Context, []string) (store.Due, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	return l.nextDue(), nil
}

// nextDue is NextWake for who holds mu.
func (l *lanes) nextDue() (due store.Due) {
	for _, lane := range l.due {
		if due.At.IsZero() || lane.WakeAt.Before(due.At) {
			due.At = lane.WakeAt
		}
		if !lane.WakeAt.After(time.Now()) {
			due.Prios = append(due.Prios, lane.Prio)
		} else if due.Later.IsZero() || lane.WakeAt.Before(due.Later) {
			due.Later = lane.WakeAt
		}
	}
	slices.Sort(due.Prios)
	due.Prios = slices.Compact(due.Prios)
	return due
}

func (l *lanes) add(id int64, prio int, in time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = append(l.due, store.Lane{ID: id, Prio: prio, WakeAt: time.Now().Add(in)})
}

func (l *lanes) seen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks
}

func (l *lanes) given() []store.Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.released
}

func (l *lanes) set(id, nudges int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if nudges < 0 {
		delete(l.nudges, id)
		return
	}
	l.nudges[id] = nudges
}

// bundle is a scheduler that runs in the test's bubble.
type bundle struct {
	db    *lanes
	s     *scheduler.Scheduler
	works chan work
	stop  context.CancelFunc
	ended chan error
}

type work struct {
	ctx  context.Context
	lane store.Lane
	hold *scheduler.Hold
	done chan struct{} // closed by the test to end the work
}

func setup(t *testing.T, opts scheduler.Options) *bundle {
	t.Helper()
	b := &bundle{db: &lanes{nudges: map[int64]int64{}, fences: map[int64]int64{}}, works: make(chan work, 100), ended: make(chan error, 1)}
	opts.Plugins = func() []string { return []string{"p"} }
	b.s = scheduler.New(b.db, func(ctx context.Context, l store.Lane, h *scheduler.Hold) error {
		w := work{ctx: ctx, lane: l, hold: h, done: make(chan struct{})}
		b.works <- w
		select {
		case <-w.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, opts)
	return b
}

func (b *bundle) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.s.Run(ctx) }()
}

// within returns what comes on c. What never comes fails its test after a day of the
// bubble's clock, which else would go on for ever.
func within[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(24 * time.Hour):
		require.FailNow(t, "it never comes")
	}
	return v
}

// rows: K09, C03
func TestClaimsWhenDueAndReleases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioCheck, time.Hour)
		start := time.Now()
		b.run(t)
		w := within(t, b.works)
		require.InDelta(t, time.Hour, time.Since(start), float64(100*time.Millisecond), "no earlier and no later than it is due")
		close(w.done)
		synctest.Wait()
		require.Len(t, b.db.released, 1)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// A page that takes minutes keeps its lane, since the host renews the lease beside it;
// and when the host is killed, the lane is free after half a minute.
//
// rows: K24, C32
func TestASlowPageKeepsItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioCheck, 0)
		b.run(t)
		w := within(t, b.works)
		time.Sleep(9 * time.Minute) // the bubble's clock
		synctest.Wait()
		require.NoError(t, w.ctx.Err())
		b.db.mu.Lock()
		leases := b.db.leases
		b.db.mu.Unlock()
		require.Less(t, time.Since(leases[len(leases)-1].at), 15*time.Second)
		for n, l := range leases {
			require.Equal(t, 30*time.Second, l.lasts)
			if n > 0 {
				require.LessOrEqual(t, l.at.Sub(leases[n-1].at), l.lasts/3, "two renewals may fail")
			}
		}
		close(w.done)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K10
func TestCancelsWhatRenewalLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioCheck, 0)
		b.run(t)
		w := within(t, b.works)
		b.db.set(1, -1)
		within(t, w.ctx.Done())
		require.ErrorIs(t, context.Cause(w.ctx), scheduler.ErrLost)
		b.stop()
		require.NoError(t, within(t, b.ended))
		require.Empty(t, b.db.released)
	})
}

// rows: K10
func TestRevokeCancelsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioCheck, 0)
		b.db.add(2, store.PrioCheck, 0)
		b.run(t)
		first, second := within(t, b.works), within(t, b.works)
		before := time.Now()
		b.db.set(first.lane.ID, -1)
		b.s.Revoke([]int64{first.lane.ID})
		within(t, first.ctx.Done())
		require.Zero(t, time.Since(before))
		require.NoError(t, second.ctx.Err())
		close(second.done)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K10
func TestALaneThatIsClaimedAgainIsLostToItsOldWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioCheck, 0)
		b.run(t)
		old := within(t, b.works)
		b.db.add(1, store.PrioCheck, 0) // its lease ran out while nothing could be renewed
		b.s.Wake()
		again := within(t, b.works)
		within(t, old.ctx.Done())
		require.ErrorIs(t, context.Cause(old.ctx), scheduler.ErrLost)
		synctest.Wait()
		require.NoError(t, again.ctx.Err())
		close(again.done)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K10
func TestALateRevocationSparesWhatWasClaimedSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioCheck, 0)
		b.run(t)
		old := within(t, b.works)
		b.db.set(1, -1)
		b.db.add(1, store.PrioCheck, 0)
		b.s.Wake() // comes before the word of what was taken away
		again := within(t, b.works)
		within(t, old.ctx.Done())
		b.s.Revoke([]int64{1})
		synctest.Wait()
		require.NoError(t, again.ctx.Err())
		close(again.done)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K09, F16
func TestAJumpOfTheClockLosesNoLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var jumped atomic.Int64
		b := setup(t, scheduler.Options{Now: func() time.Time { return time.Now().Add(time.Duration(jumped.Load())) }})
		b.db.add(1, store.PrioCheck, 0)
		b.run(t)
		w := within(t, b.works)
		b.db.add(2, store.PrioCheck, 5*time.Second)
		b.s.Wake()
		synctest.Wait()
		before := b.db.renewals
		jumped.Store(int64(time.Hour)) // as after a suspend
		second := within(t, b.works)
		require.Equal(t, before+1, b.db.renewals, "leases are renewed before anybody claims by the new clock")
		close(w.done)
		close(second.done)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K09
func TestNudgeAsksToYield(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{})
		b.db.add(1, store.PrioBulk, 0)
		b.run(t)
		w := within(t, b.works)
		b.db.set(1, 7)
		b.s.Wake()
		within(t, w.hold.Yield())
		require.NoError(t, w.ctx.Err(), "a nudge is no reason to cancel")
		close(w.done)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: C31, F29
func TestStopsInTwoSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{Grace: 10 * time.Second})
		b.db.add(1, store.PrioCheck, 0)
		b.db.add(2, store.PrioCheck, 0)
		b.run(t)
		polite, stubborn := within(t, b.works), within(t, b.works)
		b.stop()
		within(t, polite.hold.Yield())
		close(polite.done)
		before := time.Now()
		within(t, stubborn.ctx.Done())
		require.Equal(t, 10*time.Second, time.Since(before))
		require.ErrorIs(t, context.Cause(stubborn.ctx), scheduler.ErrStopping)
		require.NoError(t, within(t, b.ended))
		require.Len(t, b.db.released, 2)
	})
}

// rows: O52
func TestAPauseEndsWhatIsHeldAndBeginsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var paused atomic.Bool
		b := setup(t, scheduler.Options{Paused: paused.Load})
		b.db.add(1, store.PrioCheck, 0)
		b.db.add(2, store.PrioCheck, time.Minute)
		b.run(t)
		w := within(t, b.works)
		paused.Store(true)
		b.s.Wake()
		within(t, w.hold.Yield())
		require.NoError(t, w.ctx.Err(), "it ends at its next segment")
		close(w.done)
		time.Sleep(time.Hour) // the bubble's clock
		require.Empty(t, b.works)
		paused.Store(false)
		b.s.Wake()
		require.Equal(t, int64(2), within(t, b.works).lane.ID)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K13
func TestBulkLeavesRoomForChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{Slots: 8})
		for i := range int64(20) {
			b.db.add(i+1, store.PrioBulk, 0)
		}
		b.run(t)
		synctest.Wait()
		require.Len(t, b.works, 6, "a quarter of the slots is kept")
		w := within(t, b.works)
		require.True(t, w.hold.Crowded(), "others wait")
		b.db.add(100, store.PrioCheck, 0)
		b.s.Wake()
		synctest.Wait()
		require.Len(t, b.works, 6)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// rows: K13
func TestChecksLeaveRoomForBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{Slots: 8})
		for i := range int64(20) {
			b.db.add(i+1, store.PrioCheck, 0)
			b.db.add(i+101, store.PrioInteractive, 0)
		}
		b.db.add(1000, store.PrioBulk, 0)
		b.run(t)
		synctest.Wait()
		require.Len(t, b.works, 8)
		bulk := 0
		for range 8 {
			if w := within(t, b.works); w.lane.Prio == store.PrioBulk {
				bulk++
			}
		}
		require.Equal(t, 1, bulk)
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// failing refuses its first claims.
type failing struct {
	*lanes
	left int
}

func (f *failing) ClaimLanes(ctx context.Context, c store.LaneClaim) ([]store.Lane, error) {
	if f.left > 0 {
		f.left--
		return nil, errors.New("disk on fire")
	}
	return f.lanes.ClaimLanes(ctx, c)
}

func TestGoesOnAfterAStoreError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &failing{lanes: &lanes{nudges: map[int64]int64{}, fences: map[int64]int64{}}, left: 5}
		db.add(1, store.PrioCheck, 0)
		worked := make(chan struct{}, 1)
		s := scheduler.New(db, func(context.Context, store.Lane, *scheduler.Hold) error {
			worked <- struct{}{}
			return nil
		}, scheduler.Options{Plugins: func() []string { return []string{"p"} }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		<-worked
		cancel()
		require.NoError(t, <-ended)
	})
}
