package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// statuses returns the parts of the run by connector.
func (j *job) statuses() map[string]store.ConnectorStatus {
	j.w.Helper()
	list, err := j.w.s.ConnectorStatuses(j.w.ctx(), store.ConnectorFilter{RunID: j.run.ID})
	require.NoError(j.w, err)
	out := map[string]store.ConnectorStatus{}
	for _, c := range list {
		out[c.Connector] = c
	}
	return out
}

// of returns streams of a connector.
func of(connector string, idents ...string) []store.NewStream {
	out := names(idents...)
	for i := range out {
		out[i].Connector = connector
	}
	return out
}

// rows: K17, K18, C01
func testGone(t *testing.T, setup func(*testing.T) *world) {
	gone := store.Veto{Connector: "members", Reason: "the plugin has it no more", Gone: true}
	watermarks := func(w *world, i store.Integration) map[string]time.Time {
		w.Helper()
		j := w.beginOf(i, store.RunRequest{Kind: store.RunManual, ParamsSum: "look"}, store.RunBegin{})
		j.plan(names("look")...)
		return j.claim().Watermarks
	}

	t.Run("AConnectorThatThePluginHasNoMoreIsLeftOut", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		first := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
		first.plan(append(of("commits", "a"), of("members", "m")...)...)
		for range 2 {
			first.turn(first.claim())
		}
		require.Equal(t, store.RunProcessed, first.reload().State)
		first.release()
		at := w.clock.Now()
		w.clock.add(time.Hour)
		j := w.beginOf(i, store.RunRequest{}, store.RunBegin{Gone: []store.Veto{gone}})
		require.Equal(t, store.ConnectorSkipped, j.statuses()["members"].Code)
		j.plan(of("commits", "a")...)
		j.turn(j.claim())
		require.Equal(t, store.RunProcessed, j.reload().State)
		require.Equal(t, "the plugin has it no more", j.statuses()["members"].Message)
		require.Equal(t, store.ConnectorCompleted, j.statuses()["commits"].Code)
		j.release()
		require.Equal(t, map[string]time.Time{"commits": at.Add(time.Hour), "members": at}, watermarks(w, i), "it has got no further")
	})

	t.Run("ItsStreamsOfARunThatIsOpenAreLeftOut", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		j := w.beginOf(i, store.RunRequest{}, store.RunBegin{})
		j.plan(append(of("members", "m1", "m2", "m3"), of("commits", "a")...)...)
		var rest []store.Stream
		for n := 0; n < 3; {
			s := j.claim()
			if s.Connector == "commits" {
				rest = append(rest, s)
				continue
			}
			if n++; n == 1 { // the first of them tells
				seg := j.segment(s)
				seg.End = &store.StreamEnd{State: store.StreamPending, Answered: true, Veto: &gone}
				j.apply(seg)
				left, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID, Connector: "members"})
				require.NoError(t, err)
				for _, s := range left {
					require.Equal(t, store.StreamCancelled, s.State)
					require.Equal(t, "connector_gone", s.Failure.Code)
				}
				require.Len(t, left, 3)
				break
			}
		}
		if len(rest) == 0 {
			rest = append(rest, j.claim())
		}
		j.turn(rest[0])
		require.Equal(t, store.RunProcessed, j.reload().State)
		require.Equal(t, store.ConnectorSkipped, j.statuses()["members"].Code)
		j.release()
		require.NotContains(t, watermarks(w, i), "members")
	})

	t.Run("ARunOfItAloneEnds", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		j := w.beginOf(i, store.RunRequest{Kind: store.RunManual, Connectors: []string{"members"}, ParamsSum: "x"}, store.RunBegin{Gone: []store.Veto{gone}})
		j.plan()
		require.Equal(t, store.RunProcessed, j.reload().State)
		require.Equal(t, store.ConnectorSkipped, j.statuses()["members"].Code)
	})

	t.Run("WhoNamesAConnectorThatIsGoneIsFound", func(t *testing.T) {
		w := setup(t)
		i, off := w.create("one"), w.create("off")
		spec := w.spec("off")
		spec.Enabled = false
		w.change(store.Change{Op: store.ChangeDisable, UID: off.UID, Spec: spec})
		beyond := func(has ...string) (names []string) {
			list, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{Plugin: plug, Beyond: append([]string{}, has...)})
			require.NoError(t, err)
			for _, in := range list {
				names = append(names, in.Name)
			}
			return names
		}
		require.NotEmpty(t, i.Connectors)
		require.Empty(t, beyond(i.Connectors...))
		require.Equal(t, []string{"one"}, beyond(i.Connectors[1:]...))
		require.Equal(t, []string{"one"}, beyond(), "a version has none of them")
		all, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{Plugin: plug})
		require.NoError(t, err)
		require.Len(t, all, 2)
	})

	t.Run("WhatAVersionDoesNotTakeIsParkedUntilItDoes", func(t *testing.T) {
		w := setup(t)
		i, off := w.create("one"), w.create("off")
		spec := w.spec("off")
		spec.Enabled = false
		w.change(store.Change{Op: store.ChangeDisable, UID: off.UID, Spec: spec})
		names, err := w.s.ParkUnfit(w.ctx(), map[int64]string{i.ID: "setting \"region\" is missing", off.ID: "likewise"})
		require.NoError(t, err)
		require.Equal(t, []string{"acme/one"}, names)
		look := func(id int64) store.Integration {
			got, err := w.s.IntegrationByID(w.ctx(), id)
			require.NoError(t, err)
			return got
		}
		require.Equal(t, store.IntegrationParked, look(i.ID).State)
		require.Equal(t, "setting \"region\" is missing", look(i.ID).Reason)
		require.Equal(t, store.IntegrationDisabled, look(off.ID).State)
		require.Empty(t, w.claimLanes())
		unfit, err := w.s.Integrations(w.ctx(), store.IntegrationFilter{Unfit: true})
		require.NoError(t, err)
		require.Len(t, unfit, 1)

		_, resumed, err := w.s.ParkIntegrations(w.ctx(), []string{plug})
		require.NoError(t, err)
		require.Empty(t, resumed, "that the plugin is there changes nothing")
		require.Equal(t, store.IntegrationParked, look(i.ID).State)

		names, err = w.s.ResumeFit(w.ctx(), []int64{i.ID, off.ID})
		require.NoError(t, err)
		require.Equal(t, []string{"acme/one"}, names)
		require.Equal(t, store.IntegrationActive, look(i.ID).State)
		require.Empty(t, look(i.ID).Unfit)
		require.Len(t, w.claimLanes(), 1)
	})

	t.Run("WhatItWasOfferedIsKept", func(t *testing.T) {
		w := setup(t)
		spec := w.spec("one")
		spec.Offered = []string{"commits", "members", "tags"}
		i := w.change(store.Change{Op: store.ChangeCreate, UID: "1", Spec: spec})
		require.Equal(t, spec.Offered, i.Offered)
		spec.Offered = append(spec.Offered, "issues")
		i = w.change(store.Change{Op: store.ChangeUpdate, UID: "1", Spec: spec})
		require.Equal(t, spec.Offered, i.Offered)
		require.Equal(t, int64(1), i.Revision, "no setting of the plugin's")
	})
}
