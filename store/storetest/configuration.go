package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K10, K22, C01, C03
func testConfiguration(t *testing.T, setup func(*testing.T) *world) {
	t.Run("CreatesTenantIntegrationAndLane", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		require.Equal(t, "acme/history", i.FullName())
		require.Equal(t, store.IntegrationActive, i.State)
		require.Equal(t, []string{"commits", "members"}, i.Connectors)
		require.Equal(t, []byte("sealed:history"), i.Settings)
		require.Equal(t, w.clock.Now(), i.NextCheckAt)
		require.Equal(t, w.clock.Now(), i.CreatedAt)
		require.Zero(t, i.OnboardedAt)
		byName, err := w.s.IntegrationByName(w.ctx(), "acme", "history")
		require.NoError(t, err)
		require.Equal(t, i, byName)
		byID, err := w.s.IntegrationByID(w.ctx(), i.ID)
		require.NoError(t, err)
		require.Equal(t, i, byID)
		tenants, err := w.s.Tenants(w.ctx())
		require.NoError(t, err)
		require.Len(t, tenants, 1)
		require.Equal(t, "acme", tenants[0].Name)
		require.Equal(t, 1, tenants[0].Integrations)
		require.Zero(t, w.nextWake())
		require.Equal(t, i.ID, w.claimLane().IntegrationID)
		select {
		case <-w.s.Wakes():
		default:
			require.Fail(t, "no wake-up")
		}
	})

	t.Run("WithoutSyncTheScheduleDecides", func(t *testing.T) {
		w := setup(t)
		spec := w.spec("later")
		w.change(store.Change{Op: store.ChangeCreate, UID: "1", Spec: spec, NextCheckAt: w.clock.Now().Add(20 * time.Minute)})
		require.Equal(t, 20*time.Minute, w.nextWake())
		spec.Name, spec.Cron, spec.Timezone = "tick", "* * * * *", "Europe/Berlin"
		tick := w.change(store.Change{Op: store.ChangeCreate, UID: "2", Spec: spec, NextCheckAt: w.clock.Now().Add(time.Minute)})
		require.Equal(t, []string{"* * * * *", "Europe/Berlin"}, []string{tick.Cron, tick.Timezone})
		require.Equal(t, w.clock.Now(), tick.NextCheckFrom)
		require.Equal(t, time.Minute, w.nextWake())
		spec.Name, spec.Every = "never", -1
		i := w.change(store.Change{Op: store.ChangeCreate, UID: "3", Spec: spec})
		require.Zero(t, i.NextCheckAt)
		w.clock.add(time.Hour)
		require.Len(t, w.claimLanes(), 2)
	})

	t.Run("RefusesAllOrNothing", func(t *testing.T) {
		w := setup(t)
		w.create("history")
		err := w.s.ApplyChanges(w.ctx(), []store.Change{
			{Op: store.ChangeCreate, UID: "a", Spec: w.spec("other")},
			{Op: store.ChangeCreate, UID: "b", Spec: w.spec("history")},
		})
		require.ErrorIs(t, err, store.ErrConflict)
		all, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{})
		require.NoError(t, err)
		require.Len(t, all, 1)
		err = w.s.ApplyChanges(w.ctx(), []store.Change{{Op: store.ChangeUpdate, UID: "unknown", Spec: w.spec("x")}})
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("RaisesTheRevisionWithSettingsOrConnectors", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		spec := w.spec("history")
		spec.Label, spec.Settings = "New", []byte("sealed anew")
		j := w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec})
		require.Equal(t, i.Revision, j.Revision)
		require.Equal(t, "New", j.Label)
		spec.SettingsSum = []byte("other sum")
		j = w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec})
		require.Equal(t, i.Revision+1, j.Revision)
		spec.Connectors = []string{"members"}
		j = w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec})
		require.Equal(t, i.Revision+2, j.Revision)
		require.Equal(t, i.Generation, j.Generation)
	})

	t.Run("ANewRuleSaysWhenTheNextCheckIs", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		j := w.beginOf(i, store.RunRequest{Scheduled: true, NextCheckAt: w.clock.Now().Add(20 * time.Minute)}, store.RunBegin{})
		j.plan()
		j.release()
		require.Equal(t, 20*time.Minute, w.nextWake())
		w.clock.add(2 * time.Minute)
		spec := w.spec("history")
		next := w.clock.Now().Add(3 * time.Minute)
		spec.Label = "No new rule"
		w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec, NextCheckAt: next})
		require.Equal(t, 18*time.Minute, w.nextWake())
		spec.Every = 5
		w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec, NextCheckAt: next})
		require.Equal(t, 3*time.Minute, w.nextWake())
		for n, change := range []func(){
			func() { spec.Cron = "0 * * * *" }, func() { spec.Timezone = "Asia/Kolkata" },
		} {
			change()
			next = next.Add(time.Minute)
			w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec, NextCheckAt: next})
			require.Equal(t, time.Duration(4+n)*time.Minute, w.nextWake())
		}
		spec.Every, spec.Cron = -1, ""
		w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec})
		require.Equal(t, time.Duration(-1), w.nextWake())
	})

	t.Run("RenameKeepsIdentityAndData", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.finish(j.claim(), done(), record("1", "x"))
		other := w.create("other")
		a, b := w.spec("other"), w.spec("moved")
		require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{
			{Op: store.ChangeRename, UID: j.i.UID, Spec: a}, // takes the name that the next gives up
			{Op: store.ChangeRename, UID: other.UID, Spec: b},
		}))
		got, err := w.s.IntegrationByName(w.ctx(), "acme", "other")
		require.NoError(t, err)
		require.Equal(t, j.i.ID, got.ID)
		require.Equal(t, j.i.UID, got.UID)
		require.Len(t, w.records(got), 1)
		require.Equal(t, "other", w.records(got)[0].Integration)
	})

	for _, op := range []store.ChangeOp{store.ChangeDisable, store.ChangeRemove} {
		t.Run("StopsWorkOn-"+string(op), func(t *testing.T) {
			w := setup(t)
			w.revoked = make(chan []int64, 1)
			j := w.plan(store.RunRequest{}, names("a", "b")...)
			s := j.claim()
			spec := w.spec(j.i.Name)
			spec.Enabled = false
			i := w.change(store.Change{Op: op, UID: j.i.UID, Spec: spec})
			require.Equal(t, []int64{j.lane.ID}, w.taken())
			require.Equal(t, store.IntegrationDisabled, i.State)
			require.NotEmpty(t, i.Reason)
			require.Greater(t, i.Generation, j.i.Generation)
			require.Equal(t, store.RunCancelled, j.reload().State)
			require.Equal(t, int64(2), j.reload().Streams.Cancelled)
			require.Equal(t, store.StreamCancelled, w.stream(s.ID).State)
			require.Equal(t, []string{"run.cancelled"}, w.events(j.run.ID))
			seg := j.segment(s)
			seg.Records = []store.Record{record("1", "late")}
			_, err := w.s.Apply(w.ctx(), seg)
			require.ErrorIs(t, err, store.ErrStale)
			require.ErrorIs(t, w.s.ReleaseLane(w.ctx(), j.lane), store.ErrStale)
			require.Empty(t, w.records(i))
			require.Equal(t, time.Duration(-1), w.nextWake())
			w.clock.add(24 * time.Hour)
			require.Empty(t, w.claimLanes())
			_, _, err = w.s.RequestRun(w.ctx(), store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual})
			require.ErrorIs(t, err, store.ErrConflict)
			require.ErrorContains(t, err, i.Reason)
			spec.Enabled = true
			w.change(store.Change{Op: store.ChangeRestore, UID: i.UID, Spec: spec, Sync: true})
			require.Equal(t, j.lane.Fence+2, w.claimLane().Fence, "by the end of the work, and by the claim")
		})
	}

	t.Run("RemovedIsKeptAndRestored", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		w.change(store.Change{Op: store.ChangeRemove, UID: i.UID})
		gone, err := w.s.IntegrationByName(w.ctx(), "acme", "history")
		require.NoError(t, err)
		require.Equal(t, w.clock.Now(), gone.RemovedAt)
		require.Equal(t, w.clock.Now().Add(30*24*time.Hour), gone.KeepUntil)
		// The name is free for another, which is the one that is found by it.
		other := w.create("history")
		require.NotEqual(t, i.ID, other.ID)
		found, err := w.s.IntegrationByName(w.ctx(), "acme", "history")
		require.NoError(t, err)
		require.Equal(t, other.ID, found.ID)
		back := w.change(store.Change{Op: store.ChangeRestore, UID: i.UID, Spec: w.spec("again"), Sync: true})
		require.Equal(t, i.ID, back.ID)
		require.Equal(t, store.IntegrationActive, back.State)
		require.Zero(t, back.RemovedAt)
		require.Len(t, w.claimLanes(), 2)
	})

	t.Run("EnableMakesDue", func(t *testing.T) {
		w := setup(t)
		spec := w.spec("off")
		spec.Enabled = false
		i := w.change(store.Change{Op: store.ChangeCreate, UID: "1", Spec: spec})
		require.Equal(t, store.IntegrationDisabled, i.State)
		require.Equal(t, "disabled by tenants/acme.yaml", i.Reason)
		require.Empty(t, w.claimLanes())
		spec.Enabled = true
		i = w.change(store.Change{Op: store.ChangeUpdate, UID: "1", Spec: spec, Sync: true})
		require.Equal(t, store.IntegrationActive, i.State)
		require.Empty(t, i.Reason)
		require.Len(t, w.claimLanes(), 1)
	})

	t.Run("NothingToImportIsNeverDue", func(t *testing.T) { // rows: O10, O13
		w := setup(t)
		spec := w.spec("idle")
		spec.Connectors = nil
		idle := func(op store.ChangeOp) {
			i := w.change(store.Change{Op: op, UID: "1", Spec: spec, Sync: true, NextCheckAt: w.clock.Now().Add(time.Hour)})
			require.Equal(t, store.IntegrationActive, i.State)
			require.Zero(t, i.NextCheckAt)
			require.Equal(t, time.Duration(-1), w.nextWake())
			_, _, err := w.s.RequestRun(w.ctx(), store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual})
			require.ErrorIs(t, err, store.ErrConflict)
			require.ErrorContains(t, err, "has no connector to import")
		}
		idle(store.ChangeCreate)
		all := w.spec("idle")
		i := w.change(store.Change{Op: store.ChangeUpdate, UID: "1", Spec: all})
		require.Equal(t, w.clock.Now(), i.NextCheckAt, "its first connector is imported at once")
		idle(store.ChangeUpdate)
	})

	t.Run("ParksWithoutThePlugin", func(t *testing.T) {
		w := setup(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		j.release()
		parked, resumed, err := w.s.ParkIntegrations(w.ctx(), []string{"slack"})
		require.NoError(t, err)
		require.Equal(t, []string{j.i.FullName()}, parked)
		require.Empty(t, resumed)
		i, err := w.s.IntegrationByUID(w.ctx(), j.i.UID)
		require.NoError(t, err)
		require.Equal(t, store.IntegrationParked, i.State)
		require.Equal(t, `plugin "git" is not loaded`, i.Reason)
		require.Empty(t, w.claimLanes())
		parked, resumed, err = w.s.ParkIntegrations(w.ctx(), []string{plug})
		require.NoError(t, err)
		require.Empty(t, parked)
		require.Equal(t, []string{j.i.FullName()}, resumed)
		require.Len(t, w.claimLanes(), 1) // its run goes on
		require.ErrorIs(t, w.s.SetIntegrationState(w.ctx(), i.ID, store.IntegrationParked, ""), store.ErrInvalid)
	})

	t.Run("NeedsReconnectStopsTheSchedule", func(t *testing.T) {
		w := setup(t)
		i := w.create("history")
		require.NoError(t, w.s.SetIntegrationState(w.ctx(), i.ID, store.IntegrationNeedsReconnect, "token revoked"))
		require.Equal(t, time.Duration(-1), w.nextWake())
		_, _, err := w.s.RequestRun(w.ctx(), store.RunRequest{IntegrationID: i.ID, Kind: store.RunCheck, Scheduled: true})
		require.ErrorIs(t, err, store.ErrConflict)
		require.ErrorContains(t, err, "token revoked")
		w.request(store.RunRequest{IntegrationID: i.ID, Kind: store.RunManual}) // a person may try
		require.Zero(t, w.nextWake())
		spec := w.spec("history")
		spec.SettingsSum = []byte("new token")
		require.Equal(t, store.IntegrationActive, w.change(store.Change{Op: store.ChangeUpdate, UID: i.UID, Spec: spec}).State)
	})
}
