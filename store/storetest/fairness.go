package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K13, C53
func testFairness(t *testing.T, setup func(*testing.T) *world) {
	t.Run("NoTenantGetsMoreThanItMayHave", func(t *testing.T) {
		w := setup(t)
		loud := w.tenant("loud", 20)
		w.clock.add(time.Second) // the others come behind
		quiet, late := w.tenant("quiet", 3), w.tenant("late", 1)
		got := w.fairly(8, 2, nil)
		require.Equal(t, map[int64]int{loud: 2, quiet: 2, late: 1}, got)
		require.Empty(t, w.fairly(8, 2, map[int64]int{loud: 2, quiet: 2}), "those that have enough are passed over")
		require.Equal(t, map[int64]int{quiet: 1}, w.fairly(8, 2, map[int64]int{loud: 2, quiet: 1}))
		require.Equal(t, map[int64]int{loud: 8}, w.fairly(8, 0, got), "what would be idle is for whoever has work")
	})

	t.Run("BehindManyOfAnother", func(t *testing.T) {
		w := setup(t)
		loud := w.tenant("loud", 300)
		w.clock.add(time.Second)
		quiet := w.tenant("quiet", 2)
		require.Equal(t, map[int64]int{quiet: 1}, w.fairly(1, 4, map[int64]int{loud: 4}))
		require.Equal(t, map[int64]int{quiet: 1}, w.fairly(1, 4, map[int64]int{loud: 5, quiet: 1}))
		require.Empty(t, w.fairly(1, 4, map[int64]int{loud: 4, quiet: 2}))
	})

	t.Run("WhoWaitsLongestGoesFirst", func(t *testing.T) {
		w := setup(t)
		loud := w.tenant("loud", 50)
		var tenants []int64
		for i := range 5 {
			w.clock.add(time.Second)
			tenants = append(tenants, w.tenant(fmt.Sprintf("t%d", i), 1))
		}
		held := map[int64]int{loud: 2}
		for _, next := range tenants {
			require.Equal(t, map[int64]int{next: 1}, w.fairly(1, 2, held))
		}
	})

	t.Run("ALaneThatIsNotDueIsNotWaiting", func(t *testing.T) {
		w := setup(t)
		loud := w.tenant("loud", 10)
		i := w.create("other")
		l := w.laneOf(i.ID)
		require.NoError(t, w.s.ReleaseLane(w.ctx(), l)) // due at once, as nothing was done
		require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{{Op: store.ChangeDisable, UID: i.UID, Spec: w.spec("other")}}))
		require.Empty(t, w.fairly(5, 1, map[int64]int{loud: 1}))
	})

	t.Run("ALeaseThatRanOutBehindMany", func(t *testing.T) {
		w := setup(t)
		quiet := w.tenant("quiet", 1)
		require.Equal(t, map[int64]int{quiet: 1}, w.fairly(1, 1, nil))
		loud := w.tenant("loud", 20)
		require.Empty(t, w.fairly(1, 1, map[int64]int{loud: 1}))
		w.clock.add(lease)
		require.Equal(t, map[int64]int{quiet: 1}, w.fairly(1, 1, map[int64]int{loud: 1}))
	})

	t.Run("AnIntegrationThatMovesToAnotherTenant", func(t *testing.T) {
		w := setup(t)
		loud := w.tenant("loud", 20)
		i := w.create("mover")
		spec := w.spec("mover")
		spec.Tenant = "elsewhere"
		moved := w.change(store.Change{Op: store.ChangeRename, UID: i.UID, Spec: spec})
		require.NotEqual(t, i.TenantID, moved.TenantID)
		require.Equal(t, map[int64]int{moved.TenantID: 1}, w.fairly(3, 1, map[int64]int{loud: 1, i.TenantID: 1}))
	})
}

// tenant makes a tenant with n lanes that are due and returns its id.
func (w *world) tenant(name string, n int) int64 {
	w.Helper()
	changes := make([]store.Change, 0, n)
	for k := range n {
		w.n++
		spec := w.spec(fmt.Sprintf("i%d", k))
		spec.Tenant = name
		changes = append(changes, store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", w.n), Spec: spec, Sync: true})
	}
	require.NoError(w, w.s.ApplyChanges(w.ctx(), changes))
	i, err := w.s.IntegrationByUID(w.ctx(), changes[0].UID)
	require.NoError(w, err)
	return i.TenantID
}

// fairly claims up to n lanes, no more than most of a tenant, and returns how many
// there were of each.
func (w *world) fairly(n, most int, held map[int64]int) map[int64]int {
	w.Helper()
	lanes, err := w.s.ClaimLanes(w.ctx(), store.LaneClaim{Plugins: []string{plug}, Limit: n, Lease: lease, PerTenant: most, Held: held})
	require.NoError(w, err)
	require.LessOrEqual(w, len(lanes), n)
	got := map[int64]int{}
	for _, l := range lanes {
		got[l.TenantID]++
	}
	return got
}

// laneOf claims all that is due and gives back what is not the integration's.
func (w *world) laneOf(integrationID int64) (lane store.Lane) {
	w.Helper()
	for _, l := range w.claimLanes() {
		if l.IntegrationID == integrationID {
			lane = l
			continue
		}
		require.NoError(w, w.s.ReleaseLane(w.ctx(), l))
	}
	require.NotZero(w, lane)
	return lane
}
