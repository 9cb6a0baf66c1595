package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K22, O36
func testRemoval(t *testing.T, setup func(*testing.T) *world) {
	// imported returns an integration with records, a credential, a cached value and
	// a run under way.
	imported := func(w *world) (*job, store.Segment) {
		w.Helper()
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		seg := j.segment(j.claim())
		seg.Records, seg.Cursor, seg.Patch = some("activity", 0, 900), []byte("c"), []byte("sealed")
		j.apply(seg)
		seg.Seq++
		_, err := w.s.CommitCredential(w.ctx(), j.i.ID, "token", 0, []byte("sealed"), time.Time{})
		require.NoError(w, err)
		return j, seg
	}
	left := func(w *world, i store.Integration) (living, traces int) {
		w.Helper()
		for _, r := range w.records(i) {
			if r.Deleted {
				traces++
			} else {
				living++
			}
		}
		return living, traces
	}
	gone := func(w *world, i store.Integration) {
		w.Helper()
		require.NoError(w, w.s.ApplyChanges(w.ctx(), []store.Change{{Op: store.ChangeRemove, UID: i.UID}}))
	}

	t.Run("ByCommand", func(t *testing.T) {
		w := setup(t)
		j, seg := imported(w)
		other := w.create("other")
		require.ErrorIs(t, w.s.DeleteIntegration(w.ctx(), j.i.ID), store.ErrConflict, "its file has it")
		follower := w.reader(store.RecordFilter{IntegrationID: j.i.ID, Limit: 10_000})
		require.Len(t, follower.read(), 900)
		gone(w, j.i)
		require.NoError(t, w.s.DeleteIntegration(w.ctx(), j.i.ID))
		require.ErrorIs(t, w.s.DeleteIntegration(w.ctx(), j.i.ID), store.ErrNotFound)

		// At once: nothing is written any more, and no secret is left.
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		i, err := w.s.IntegrationByID(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Empty(t, i.Settings)
		require.Empty(t, i.SettingsSum)
		require.Empty(t, i.Patch)
		_, err = w.s.Credential(w.ctx(), j.i.ID, "token")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.s.ContinueRun(w.ctx(), j.run.ID)
		require.Error(t, err)

		// Then in portions, and the feed tells of each.
		more, err := w.s.Purge(w.ctx(), store.DefaultRetention())
		require.NoError(t, err)
		require.True(t, more)
		living, _ := left(w, j.i)
		require.Positive(t, living, "not all at once")
		w.purge(store.DefaultRetention())
		living, traces := left(w, j.i)
		require.Zero(t, living)
		require.Equal(t, 900, traces)
		require.Len(t, follower.read(), 900)
		require.Empty(t, follower.seen)
		w.clock.add(2 * time.Hour)
		w.purge(store.DefaultRetention())
		w.clock.add(31 * day)
		w.purge(store.DefaultRetention())
		w.purge(store.DefaultRetention())
		_, err = w.s.IntegrationByID(w.ctx(), j.i.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.s.IntegrationByID(w.ctx(), other.ID)
		require.NoError(t, err)

		// No id is given to another integration, not even that of the newest one when
		// nothing is left of it.
		gone(w, other)
		require.NoError(t, w.s.DeleteIntegration(w.ctx(), other.ID))
		w.purge(store.DefaultRetention())
		w.clock.add(31 * day)
		w.purge(store.DefaultRetention())
		w.purge(store.DefaultRetention())
		all, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{})
		require.NoError(t, err)
		require.Empty(t, all)
		_, err = w.s.IntegrationByID(w.ctx(), other.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Greater(t, w.create("again").ID, other.ID, "ids are never used again")
	})

	// Old traces go before anything looks through them again, however many there are.
	t.Run("OldTracesGoFirst", func(t *testing.T) {
		w := setup(t)
		j, _ := imported(w)
		gone(w, j.i)
		require.NoError(t, w.s.DeleteIntegration(w.ctx(), j.i.ID))
		w.purge(store.DefaultRetention())
		w.clock.add(2 * time.Hour)
		w.purge(store.DefaultRetention())
		w.clock.add(31 * day)

		next := w.beginOf(w.create("next"), store.RunRequest{}, store.RunBegin{})
		next.plan(names("a")...)
		seg := next.segment(next.claim())
		seg.Records = some("activity", 0, 100)
		next.apply(seg)
		gone(w, next.i)
		require.NoError(t, w.s.DeleteIntegration(w.ctx(), next.i.ID))

		more, err := w.s.Purge(w.ctx(), store.DefaultRetention())
		require.NoError(t, err)
		require.True(t, more)
		living, traces := left(w, next.i)
		require.Equal(t, []int{100, 0}, []int{living, traces}, "its turn comes")
		_, traces = left(w, j.i)
		require.Less(t, traces, 900)
		w.purge(store.DefaultRetention())
		_, traces = left(w, j.i)
		require.Zero(t, traces)
		living, _ = left(w, next.i)
		require.Zero(t, living)
	})

	t.Run("OfNoFileWhileItsRunIsUnderWay", func(t *testing.T) {
		w := setup(t)
		spec := w.spec("loose")
		spec.File = ""
		i := w.change(store.Change{Op: store.ChangeCreate, UID: "00000000000000ff", Spec: spec, Sync: true})
		j := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
		j.plan(names("a")...)
		seg := j.segment(j.claim())
		seg.Records = some("activity", 0, 3)
		require.NoError(t, w.s.DeleteIntegration(w.ctx(), i.ID))
		_, err := w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		nudges, err := w.s.RenewLanes(w.ctx(), []store.LaneRef{j.lane.Ref()}, lease)
		require.NoError(t, err)
		require.Empty(t, nudges, "its holder stops")
	})

	t.Run("Tenant", func(t *testing.T) {
		w := setup(t)
		j, seg := imported(w)
		require.ErrorIs(t, w.s.DeleteTenant(w.ctx(), "acme"), store.ErrConflict, "a file has one of it")
		require.ErrorIs(t, w.s.DeleteTenant(w.ctx(), "nobody"), store.ErrNotFound)
		other := w.create("other")
		neighbour := store.Change{Op: store.ChangeCreate, UID: "fedcba9876543210", Spec: other.IntegrationSpec}
		neighbour.Spec.Tenant = "globex"
		require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{neighbour}))
		gone(w, j.i)
		require.ErrorIs(t, w.s.DeleteTenant(w.ctx(), "acme"), store.ErrConflict)
		i, err := w.s.IntegrationByID(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Equal(t, []byte("sealed"), i.Patch, "an error leaves all")
		gone(w, other)
		require.NoError(t, w.s.DeleteTenant(w.ctx(), "acme"))
		require.ErrorIs(t, w.s.DeleteTenant(w.ctx(), "acme"), store.ErrNotFound)

		tenants := func() (names []string) {
			all, err := w.s.Tenants(w.ctx())
			require.NoError(t, err)
			for _, tenant := range all {
				names = append(names, tenant.Name)
			}
			return names
		}
		require.Equal(t, []string{"globex"}, tenants(), "hidden at once")
		_, err = w.s.Apply(w.ctx(), seg)
		require.ErrorIs(t, err, store.ErrStale)
		i, err = w.s.IntegrationByID(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Empty(t, i.Settings)
		require.Empty(t, i.Patch)
		_, err = w.s.Credential(w.ctx(), j.i.ID, "token")
		require.ErrorIs(t, err, store.ErrNotFound)

		w.purge(store.DefaultRetention())
		living, traces := left(w, j.i)
		require.Zero(t, living)
		require.Equal(t, 900, traces, "the feed tells of each")
		again := neighbour
		again.UID, again.Spec.Tenant = "0123456789abcdef", "acme"
		require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{again}))
		require.Equal(t, []string{"acme", "globex"}, tenants(), "it begins anew")
		w.clock.add(2 * time.Hour)
		w.purge(store.DefaultRetention())
		w.clock.add(31 * day)
		w.purge(store.DefaultRetention())
		w.purge(store.DefaultRetention())
		require.Equal(t, []string{"acme", "globex"}, tenants())
		all, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{})
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, again.UID, all[1].UID)

		gone(w, all[1])
		require.NoError(t, w.s.DeleteTenant(w.ctx(), "acme"))
		w.purge(store.DefaultRetention())
		last := i.TenantID
		for _, uid := range []string{"00000000000000aa", "00000000000000ab"} { // the second time the newest one is gone
			require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{{Op: store.ChangeCreate, UID: uid, Spec: again.Spec}}))
			all, err = w.s.Integrations(w.ctx(), store.IntegrationFilter{Tenant: "acme"})
			require.NoError(t, err)
			require.Greater(t, all[0].TenantID, last, "it was gone: ids are never used again")
			last = all[0].TenantID
			gone(w, all[0])
			require.NoError(t, w.s.DeleteTenant(w.ctx(), "acme"))
			w.purge(store.DefaultRetention())
		}
	})

	t.Run("AfterItsTime", func(t *testing.T) {
		w := setup(t)
		j, _ := imported(w)
		gone(w, j.i)
		w.clock.add(29 * day)
		w.purge(store.DefaultRetention())
		living, _ := left(w, j.i)
		require.Equal(t, 900, living, "it may come back")
		w.clock.add(2 * day)
		w.purge(store.DefaultRetention())
		living, _ = left(w, j.i)
		require.Zero(t, living)
		i, err := w.s.IntegrationByID(w.ctx(), j.i.ID)
		require.NoError(t, err)
		require.Equal(t, "deleted", i.Reason)
	})
}
