package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/store"
)

// rows: K09, K13
//
// A claim says what is due after it, so that nobody looks again: what comes later is
// claimed in its time, and who waits for a slot is known to wait.
func TestAClaimSaysWhatIsDueNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{Slots: 1, Lease: 9 * time.Hour, Idle: 2 * time.Hour})
		b.db.add(1, store.PrioCheck, 0)
		b.db.add(2, store.PrioCheck, time.Hour)
		begun := time.Now()
		b.run(t)
		first := within(t, b.works)
		synctest.Wait()
		require.Equal(t, 1, b.db.seen(), "to see that something is due")
		require.False(t, first.hold.Crowded())
		time.Sleep(time.Hour + time.Minute) // the bubble's clock
		synctest.Wait()
		require.True(t, first.hold.Crowded(), "it was looked at in its time")
		close(first.done)
		second := within(t, b.works)
		require.Equal(t, int64(2), second.lane.ID)
		require.Equal(t, time.Hour+time.Minute, time.Since(begun))
		b.db.add(3, store.PrioBulk, 0)
		b.db.add(4, store.PrioBulk, 0)
		synctest.Wait()
		looks := b.db.seen()
		close(second.done)
		third := within(t, b.works)
		synctest.Wait()
		require.Equal(t, int64(3), third.lane.ID)
		require.Equal(t, looks+1, b.db.seen())
		require.True(t, third.hold.Crowded(), "the other one of its class waits")
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}

// nothing is a store of which nothing can be claimed, though something is due: it was
// claimed by another meanwhile.
type nothing struct{ *lanes }

func (nothing) ClaimLanes(context.Context, store.LaneClaim) ([]store.Lane, error) { return nil, nil }

// rows: K09
//
// A claim that comes to nothing says nothing: what is due next is asked for.
func TestAClaimOfNothingIsFollowedByALook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := nothing{&lanes{nudges: map[int64]int64{}, fences: map[int64]int64{}}}
		db.add(1, store.PrioCheck, 0)
		s := scheduler.New(db, nil, scheduler.Options{Plugins: func() []string { return []string{"p"} }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, 2, db.seen())
		cancel()
		require.NoError(t, <-ended)
	})
}

// rows: K09, K13
//
// While a class holds all the slots it may have, nobody looks for more of it: the end
// of a lane tells. What another class has room for is claimed in its time.
func TestWhatWaitsForASlotIsNotLookedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, scheduler.Options{Slots: 8, Lease: 9 * time.Hour, Idle: 2 * time.Hour})
		for id := range int64(8) {
			b.db.add(id+1, store.PrioBulk, 0)
		}
		b.db.add(9, store.PrioCheck, time.Hour)
		begun := time.Now()
		b.run(t)
		synctest.Wait()
		require.Len(t, b.works, 6)
		looks := b.db.seen()
		time.Sleep(59 * time.Minute) // the bubble's clock
		synctest.Wait()
		require.Equal(t, looks, b.db.seen())
		first := within(t, b.works)
		require.True(t, first.hold.Crowded())
		close(first.done)
		synctest.Wait()
		require.Len(t, b.works, 6, "a slot is free, and somebody waits for it")
		for range 6 {
			within(t, b.works)
		}
		check := within(t, b.works)
		require.Equal(t, store.PrioCheck, check.lane.Prio)
		require.Equal(t, time.Hour, time.Since(begun))
		require.True(t, check.hold.Crowded(), "the last of the first class waits")
		b.stop()
		require.NoError(t, within(t, b.ended))
	})
}
