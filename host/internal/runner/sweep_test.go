package runner_test

import (
	"context"
	"errors"
	"fmt"
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
