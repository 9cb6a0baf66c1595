package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: O24
func testConnectors(t *testing.T, open func(*testing.T) *world) {
	t.Helper()
	t.Run("they are listed by what they are, page by page", func(t *testing.T) {
		w := open(t)
		j := w.plan(store.RunRequest{}, append(names("a", "b"), store.NewStream{Ident: "m", Connector: "members"})...)
		now := func(f store.ConnectorFilter) []store.ConnectorStatus {
			t.Helper()
			out, err := w.s.ConnectorStatuses(w.ctx(), f)
			require.NoError(t, err)
			return out
		}
		require.Empty(t, now(store.ConnectorFilter{}), "the run goes on")
		require.Len(t, now(store.ConnectorFilter{RunID: j.run.ID}), 2)
		for _, s := range j.claims(3) {
			if s.Ident == "b" {
				j.finish(s, failed("no"))
				continue
			}
			j.finish(s, done(), record(s.Ident, "x"), record(s.Ident+"2", "x"))
		}
		j.release()
		all := now(store.ConnectorFilter{Tenant: "acme"})
		require.Len(t, all, 2)
		require.Equal(t, "members", all[0].Connector, "the newest first")
		require.Equal(t, store.ConnectorCompleted, all[0].Code)
		require.Equal(t, int64(2), all[0].Stats.Added)
		require.Equal(t, store.ConnectorPartial, all[1].Code)
		require.Equal(t, "http_500: no", all[1].Message)
		require.Equal(t, j.i.FullName(), all[1].Tenant+"/"+all[1].Integration)

		w.clock.add(time.Hour)
		k := w.beginOf(j.i, store.RunRequest{}, store.RunBegin{})
		k.plan()
		all = now(store.ConnectorFilter{IntegrationID: j.i.ID})
		require.Len(t, all, 4)
		first := now(store.ConnectorFilter{Limit: 3})
		require.Equal(t, all[:3], first)
		require.Equal(t, all[3:], now(store.ConnectorFilter{Before: first[2].ID}))
		require.Len(t, now(store.ConnectorFilter{Code: store.ConnectorPartial}), 1)
		require.Len(t, now(store.ConnectorFilter{Connector: "commits"}), 2)
		require.Equal(t, all[:2], now(store.ConnectorFilter{Since: w.clock.Now()}))
		require.Equal(t, all[2:], now(store.ConnectorFilter{Until: w.clock.Now()}))
		require.Empty(t, now(store.ConnectorFilter{Tenant: "other"}))
		require.Empty(t, now(store.ConnectorFilter{IntegrationID: j.i.ID + 1}))
		require.Empty(t, now(store.ConnectorFilter{IntegrationID: j.i.ID + 1, RunID: j.run.ID}))
	})
	t.Run("a stream is tried again and counts once", func(t *testing.T) {
		w := open(t)
		j := w.plan(store.RunRequest{}, names("a", "b")...)
		bad := j.claim()
		j.finish(bad, failed("no"))
		j.finish(j.claim(), done())
		_, err := w.s.RetryStream(w.ctx(), bad.ID)
		require.NoError(t, err)
		list, err := w.s.ConnectorStatuses(w.ctx(), store.ConnectorFilter{})
		require.NoError(t, err)
		require.Empty(t, list, "it goes on")
		_, err = w.s.BeginRun(w.ctx(), j.lane.Ref(), j.run.ID, store.RunBegin{})
		require.NoError(t, err)
		j.finish(j.claim(), done())
		list, err = w.s.ConnectorStatuses(w.ctx(), store.ConnectorFilter{Connector: "commits"})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, store.ConnectorCompleted, list[0].Code)
		require.Equal(t, int64(2), list[0].Processed)
		require.Zero(t, list[0].Failed)
	})
	t.Run("one that is skipped by a person", func(t *testing.T) {
		w := open(t)
		j := w.plan(store.RunRequest{}, names("a")...)
		list, err := w.s.Streams(w.ctx(), store.StreamFilter{RunID: j.run.ID})
		require.NoError(t, err)
		_, err = w.s.SkipStream(w.ctx(), list[0].ID, "not wanted")
		require.NoError(t, err)
		parts, err := w.s.ConnectorStatuses(w.ctx(), store.ConnectorFilter{Connector: "commits"})
		require.NoError(t, err)
		require.Len(t, parts, 1)
		require.Equal(t, store.ConnectorSkipped, parts[0].Code)
		require.Equal(t, "skipped: not wanted", parts[0].Message)
		require.Empty(t, parts[0].Data)
	})
}
