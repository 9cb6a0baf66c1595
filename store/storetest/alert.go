package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C44, C45
func testAlerts(t *testing.T, setup func(*testing.T) *world) {
	t.Helper()
	// end runs the integration once, to that end.
	end := func(w *world, i store.Integration, kind store.RunKind, how store.RunState) *job {
		w.Helper()
		w.clock.add(time.Hour)
		j := w.beginOf(i, store.RunRequest{Kind: kind}, store.RunBegin{})
		switch how {
		case store.RunCancelled:
			_, err := w.s.CancelRun(w.ctx(), j.run.ID, "enough")
			require.NoError(w, err)
			return j
		case store.RunProcessed:
			j.plan(names("a")...)
			j.finish(j.claim(), done())
		default:
			j.plan(names("a", "b")...)
			j.finish(j.claim(), failed("no"))
			last := done()
			if how == store.RunError {
				last = failed("no")
			}
			j.finish(j.claim(), last)
		}
		require.Equal(w, how, j.reload().State)
		j.release()
		return j
	}
	check := func(w *world, i store.Integration, how store.RunState) *job {
		w.Helper()
		return end(w, i, store.RunCheck, how)
	}
	// told returns the alerts so far, without their prefix.
	told := func(w *world) string {
		w.Helper()
		all, err := w.s.Events(w.ctx(), 0, 1000)
		require.NoError(w, err)
		var kinds []string
		for _, e := range all {
			if name, ok := strings.CutPrefix(e.Kind, "integration."); ok && e.RunID != 0 {
				kinds = append(kinds, name)
			}
		}
		return strings.Join(kinds, " ")
	}
	reread := func(w *world, i store.Integration) store.Integration {
		w.Helper()
		i, err := w.s.IntegrationByID(w.ctx(), i.ID)
		require.NoError(w, err)
		return i
	}

	t.Run("an onboarding is told of once, with its end", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		j := end(w, i, store.RunOnboarding, store.RunProcessed)
		require.Equal(t, "onboarded", told(w))
		check(w, i, store.RunProcessed)
		require.Equal(t, "onboarded", told(w))
		events, err := w.s.Events(w.ctx(), 0, 100)
		require.NoError(t, err)
		at := slices.IndexFunc(events, func(e store.Event) bool { return e.Kind == "integration.onboarded" })
		require.Equal(t, j.run.ID, events[at].RunID)
		require.JSONEq(t, `{"kind":"onboarding","state":"processed","streams":{"processed":1,"error":0,"cancelled":0},"records":0}`, string(events[at].Data))

		end(w, i, store.RunOnboarding, store.RunProcessed) // asked for again
		require.Equal(t, "onboarded onboarded", told(w))
	})

	t.Run("one that fails makes the integration fail, and is told of once until it is well", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		j := end(w, i, store.RunOnboarding, store.RunError)
		require.Equal(t, "onboarding_failed failing", told(w))
		require.Equal(t, store.IntegrationError, reread(w, i).State)
		require.Equal(t, "the onboarding failed: http_500: no", reread(w, i).Reason)
		end(w, i, store.RunOnboarding, store.RunError)
		_, err := w.s.ContinueRun(w.ctx(), j.run.ID)
		require.NoError(t, err)
		lane := w.claimLane()
		_, err = w.s.BeginRun(w.ctx(), lane.Ref(), j.run.ID, store.RunBegin{})
		require.NoError(t, err)
		j.lane = lane
		j.finish(j.claim(), failed("no"))
		j.finish(j.claim(), failed("no"))
		j.release()
		require.Equal(t, "onboarding_failed failing", told(w), "again, and by hand")

		end(w, i, store.RunOnboarding, store.RunProcessed)
		require.Equal(t, "onboarding_failed failing onboarded recovered", told(w))
		require.Equal(t, store.IntegrationActive, reread(w, i).State)
		require.Empty(t, reread(w, i).Reason)
	})

	t.Run("one that is partial", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		end(w, i, store.RunOnboarding, store.RunPartial)
		require.Equal(t, "onboarding_failed", told(w))
		require.Equal(t, store.IntegrationActive, reread(w, i).State, "it has something")
		end(w, i, store.RunOnboarding, store.RunProcessed)
		require.Equal(t, "onboarding_failed onboarded", told(w))
	})

	t.Run("one that a person cancels", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		end(w, i, store.RunOnboarding, store.RunCancelled)
		require.Empty(t, told(w))
	})

	// The rule was there, in a query with two WHERE clauses that never ran.
	//
	// rows: C45, D09
	t.Run("D09 three checks in a row that fail", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		end(w, i, store.RunOnboarding, store.RunProcessed)
		before := told(w)
		check(w, i, store.RunError)
		check(w, i, store.RunError)
		check(w, i, store.RunProcessed) // not in a row
		check(w, i, store.RunError)
		check(w, i, store.RunCancelled) // says nothing
		end(w, i, store.RunManual, store.RunError)
		check(w, i, store.RunError)
		require.Equal(t, before, told(w))
		require.Equal(t, store.IntegrationActive, reread(w, i).State)

		check(w, i, store.RunError)
		require.Equal(t, before+" failing", told(w))
		require.Equal(t, store.IntegrationError, reread(w, i).State)
		require.Equal(t, "3 checks in a row failed: http_500: no", reread(w, i).Reason)
		check(w, i, store.RunError)
		require.Equal(t, before+" failing", told(w), "once")

		check(w, i, store.RunPartial)
		require.Equal(t, store.IntegrationError, reread(w, i).State, "not well yet")
		check(w, i, store.RunProcessed)
		require.Equal(t, before+" failing recovered", told(w))
		require.Equal(t, store.IntegrationActive, reread(w, i).State)
		check(w, i, store.RunProcessed)
		require.Equal(t, before+" failing recovered", told(w))
	})

	t.Run("what another has failed does not count", func(t *testing.T) {
		w := setup(t)
		one, two := w.create("one"), w.create("two")
		for range 2 {
			for _, i := range []store.Integration{one, two} {
				lanes := w.claimLanes()
				for _, l := range lanes {
					require.NoError(t, w.s.ReleaseLane(w.ctx(), l))
				}
				req := store.RunRequest{IntegrationID: i.ID, Kind: store.RunCheck}
				run := w.request(req)
				for _, l := range w.claimLanes() {
					if l.IntegrationID != i.ID {
						require.NoError(t, w.s.ReleaseLane(w.ctx(), l))
						continue
					}
					_, err := w.s.BeginRun(w.ctx(), l.Ref(), run.ID, store.RunBegin{})
					require.NoError(t, err)
					j := &job{w: w, i: i, lane: l, run: run}
					j.plan(names("a")...)
					j.finish(j.claim(), failed("no"))
					j.release()
				}
			}
		}
		require.Empty(t, told(w))
	})

	t.Run("a failing integration is due by its schedule", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		end(w, i, store.RunOnboarding, store.RunError)
		require.Equal(t, store.IntegrationError, reread(w, i).State)
		run, created, err := w.s.RequestRun(w.ctx(), store.RunRequest{
			IntegrationID: i.ID, Kind: store.RunOnboarding, Scheduled: true, NextCheckAt: w.clock.Now().Add(20 * time.Minute),
		})
		require.NoError(t, err)
		require.True(t, created)
		_, err = w.s.CancelRun(w.ctx(), run.ID, "")
		require.NoError(t, err)
		require.Equal(t, 20*time.Minute, w.nextWake())
	})
}
