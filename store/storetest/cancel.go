package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: I03, I06, K10
func testCancel(t *testing.T, setup func(*testing.T) *world) {
	t.Run("ManyStreamsAreCancelledAtOnceToWhoeverReadsThem", func(t *testing.T) {
		w := setup(t)
		const many = 990
		var streams []store.NewStream
		for k := range many {
			streams = append(streams, store.NewStream{Ident: fmt.Sprintf("s%04d", k), Connector: "commits", Partition: fmt.Sprintf("s%04d", k)})
		}
		j := w.plan(store.RunRequest{Force: true}, append(streams, store.NewStream{Ident: "one", Connector: "members"})...)
		for range 2 {
			seg := j.segment(j.claim())
			end := done()
			seg.Cursor, seg.End = []byte("cursor"), &end
			j.apply(seg)
		}
		busy := j.claim()
		r, err := w.s.CancelRun(w.ctx(), j.run.ID, "by a person")
		require.NoError(t, err)
		want := store.StreamCounts{Processed: 2, Cancelled: many + 1 - 2}
		for pass, more := 0, true; more; pass++ {
			require.Less(t, pass, 20)
			r, err = w.s.Run(w.ctx(), j.run.ID)
			require.NoError(t, err)
			require.Equal(t, store.RunCancelled, r.State)
			require.Equal(t, want, r.Streams)
			require.Equal(t, map[store.StreamState]int{store.StreamProcessed: 2, store.StreamCancelled: many + 1 - 2}, w.states(r.ID))
			for _, state := range []store.StreamState{store.StreamPending, store.StreamDelayed, store.StreamProcessing} {
				none, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: r.ID, State: state})
				require.NoError(t, err)
				require.Empty(t, none, state)
			}
			all, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: r.ID, State: store.StreamCancelled, Limit: 5000})
			require.NoError(t, err)
			require.Len(t, all, many+1-2)
			last := all[len(all)-1]
			require.Equal(t, store.StreamCancelled, w.stream(last.ID).State)
			_, err = w.s.SkipStream(w.ctx(), last.ID, "why not")
			require.ErrorIs(t, err, store.ErrConflict)
			_, err = w.s.ProcessStream(w.ctx(), last.ID, true)
			require.ErrorIs(t, err, store.ErrConflict)
			_, err = w.s.ContinueRun(w.ctx(), r.ID)
			require.ErrorIs(t, err, store.ErrConflict)
			more, err = w.s.Purge(w.ctx(), store.Retention{})
			require.NoError(t, err)
		}
		require.Equal(t, store.StreamCancelled, w.stream(busy.ID).State)
		parts := w.parts(r.ID)
		require.Equal(t, store.ConnectorCancelled, parts["commits"].Code)
		require.EqualValues(t, many-2, parts["commits"].Cancelled)

		// What was set aside is forgotten: the next run begins where the last good one ended.
		next := w.beginOf(j.i, store.RunRequest{}, store.RunBegin{})
		next.plan(streams[:3]...)
		for range 3 {
			require.Empty(t, next.claim().Cursor)
		}
	})

	t.Run("AConnectorThatWasDoneIsCompleted", func(t *testing.T) {
		w := setup(t)
		streams := []store.NewStream{{Ident: "one", Connector: "members"}}
		for k := range 990 {
			streams = append(streams, store.NewStream{Ident: fmt.Sprintf("s%04d", k), Connector: "commits"})
		}
		j := w.plan(store.RunRequest{}, streams...)
		first := j.claim()
		require.Equal(t, "members", first.Connector)
		j.finish(first, done())
		_, err := w.s.CancelRun(w.ctx(), j.run.ID, "by a person")
		require.NoError(t, err)
		for more := true; more; {
			more, err = w.s.Purge(w.ctx(), store.Retention{})
			require.NoError(t, err)
		}
		parts := w.parts(j.run.ID)
		require.Equal(t, store.ConnectorCompleted, parts["members"].Code)
		require.Empty(t, parts["members"].Message)
		require.Equal(t, store.ConnectorCancelled, parts["commits"].Code)
		require.EqualValues(t, 990, parts["commits"].Cancelled)
	})
}

// states counts the streams of a run by state.
func (w *world) states(runID int64) map[store.StreamState]int {
	w.Helper()
	all, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: runID, Limit: 10_000})
	require.NoError(w, err)
	out := map[store.StreamState]int{}
	for _, s := range all {
		out[s.State]++
	}
	return out
}

// parts returns the connectors' parts of a run by connector.
func (w *world) parts(runID int64) map[string]store.ConnectorStatus {
	w.Helper()
	all, err := w.s.ConnectorStatuses(w.ctx(), store.ConnectorFilter{RunID: runID})
	require.NoError(w, err)
	out := map[string]store.ConnectorStatus{}
	for _, p := range all {
		out[p.Connector] = p
	}
	return out
}
