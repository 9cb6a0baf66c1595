package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K07, K01
//
// A full sync through the runner deletes what vanished, also when the host is
// stopped between the portions of its sweep, and no call of the plugin is made for
// it.
func TestAFullSyncDeletesWhatVanished(t *testing.T) {
	t.Parallel()
	from := atomic.Int64{}
	s := &script{
		manifest: sdk.Manifest{Connectors: []sdk.Connector{{Name: "things", Force: true, CompleteListing: true, Kinds: []string{"thing"}}}},
		plan:     planOf("a"),
		process: func(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			for n := from.Load(); n < 1200; n++ {
				if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: fmt.Sprintf("%04d", n), Data: []byte(`{"n":1}`)}); err != nil {
					return sdk.Outcome{}, err
				}
			}
			return sdk.Outcome{}, nil
		},
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		portions, fail := 0, false
		w.meddle = func(ctx context.Context, seg store.Segment, apply func(context.Context, store.Segment) (store.Applied, error)) (store.Applied, error) {
			if fail && seg.Records == nil {
				if portions++; portions%3 == 0 { // as if the host had died before
					return store.Applied{}, errors.New("the connection is gone")
				}
			}
			return apply(ctx, seg)
		}
		w.up()
		w.until(store.RunProcessed)
		sync := func() store.Run {
			run, created, err := w.db.RequestRun(t.Context(), store.RunRequest{
				IntegrationID: w.run().IntegrationID, Kind: store.RunManual, Force: true, ParamsSum: fmt.Sprint(from.Load()),
			})
			require.NoError(t, err)
			require.True(t, created)
			require.Equal(t, run.ID, w.until(store.RunProcessed).ID)
			return w.run()
		}
		from.Store(150)
		fail = true
		r := sync()
		require.Equal(t, store.RunStats{Read: 1200, Deleted: 150, Unchanged: 1050}, r.Stats)
		require.Greater(t, portions, 3)
		require.Len(t, s.calls(), 2, "the plugin knows nothing of it")
		require.Equal(t, store.StreamProcessed, w.streams()["sweep"].State)

		fail = false
		from.Store(500)
		r = sync()
		require.Equal(t, store.RunStats{Read: 700, Unchanged: 700, Warnings: 1}, r.Stats, "more than a fifth is gone")
		found, err := w.db.Verify(t.Context())
		require.NoError(t, err)
		require.Empty(t, found)
	})
}

// A record that is left out as too large was not seen, and must not be taken for
// one that is gone: its connector deletes nothing in that run, neither that record
// nor what has vanished. The next full sync without one does.
//
// rows: K07, F25
func TestARecordTooLargeDeletesNothing(t *testing.T) {
	t.Parallel()
	large := `{"a":"` + strings.Repeat("x", sdk.MaxRecord) + `"}`
	var tooLarge, gone atomic.Bool
	s := &script{
		manifest: sdk.Manifest{Connectors: []sdk.Connector{
			{Name: "things", Force: true, CompleteListing: true, Kinds: []string{"thing"}},
			{Name: "people", Force: true, CompleteListing: true, Kinds: []string{"person"}},
		}},
		plan: func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
			if err := out.Stream(ctx, sdk.Stream{ID: "a", Connector: "people"}); err != nil {
				return err
			}
			return out.Stream(ctx, sdk.Stream{ID: "a", Connector: "things"})
		},
		process: func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
			kind := map[string]string{"things": "thing", "people": "person"}[call.Stream.Connector]
			for n := range 30 {
				data := `{"n":1}`
				switch {
				case n == 3 && gone.Load():
					continue
				case n == 7 && kind == "thing" && tooLarge.Load():
					data = large
				}
				if err := out.Record(ctx, sdk.Record{Kind: kind, ID: fmt.Sprint(kind, n), Data: []byte(data)}); err != nil {
					return sdk.Outcome{}, err
				}
			}
			return sdk.Outcome{}, nil
		},
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"things", "people"}
		w.up()
		w.until(store.RunProcessed)
		require.Len(t, w.records(), 60)
		sync := func(sum string) store.Run {
			run, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: w.run().IntegrationID, Kind: store.RunManual, Force: true, ParamsSum: sum})
			require.NoError(t, err)
			require.Equal(t, run.ID, w.until(store.RunProcessed).ID)
			return w.run()
		}
		tooLarge.Store(true)
		gone.Store(true)
		r := sync("large")
		require.Equal(t, store.RunStats{Read: 58, Deleted: 1, Unchanged: 57, Warnings: 1}, r.Stats)
		records := w.records()
		require.Equal(t, `{"n":1}`, records["thing7"], "as it was")
		require.NotEmpty(t, records["thing3"], "held back with it")
		require.Empty(t, records["person3"], "the other connector saw all of its kind")

		tooLarge.Store(false)
		r = sync("whole")
		require.EqualValues(t, 1, r.Stats.Deleted)
		require.Empty(t, w.records()["thing3"])
		require.NotEmpty(t, w.records()["thing7"])
	})
}
