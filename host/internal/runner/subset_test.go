package runner_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: O19, C55
//
// A run by hand for one connector alone, with parameters: the plan and each call have
// both, what the other connectors have is not touched, and no schedule is moved by it.
func TestOneConnectorAloneWithParameters(t *testing.T) {
	t.Parallel()
	var plans []sdk.Run
	s := &script{}
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		plans = append(plans, call.Run)
		for _, connector := range call.Run.Connectors {
			for _, repo := range []string{"r1", "r2"} {
				if only := call.Run.Params["repo"]; only != "" && only != repo {
					continue
				}
				if err := out.Stream(ctx, sdk.Stream{ID: connector + "/" + repo, Connector: connector}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var given []map[string]string
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		given = append(given, call.Run.Params)
		data := fmt.Appendf(nil, `{"run":%q}`, call.Run.ID)
		return sdk.Outcome{}, out.Record(ctx, sdk.Record{Kind: "thing", ID: call.Stream.ID, Data: data})
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc, w.every, w.conns = 1, 60, []string{"issues", "pulls"}
		w.up()
		w.until(store.RunProcessed)
		due, mark := w.nextCheck(), w.run().StartedAt
		time.Sleep(time.Minute) // the bubble's clock
		given = nil
		params := map[string]string{"repo": "r2", "since": "2026"}
		_, created, err := w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: 1, Class: store.ClassPull, Kind: store.RunManual, Connectors: []string{"pulls"}, Params: params, ParamsSum: "x",
		})
		require.NoError(t, err)
		require.True(t, created)
		for w.run().ID == 1 || !w.run().State.Terminal() {
			time.Sleep(time.Second) // the bubble's clock
		}
		require.Equal(t, store.RunProcessed, w.run().State)
		require.Equal(t, params, w.run().Params)
		require.Equal(t, []string{"pulls"}, plans[1].Connectors)
		require.Equal(t, params, plans[1].Params)
		require.Equal(t, sdk.RunManual, plans[1].Kind)
		require.Equal(t, []map[string]string{params}, given)
		require.Equal(t, map[string]string{
			"issues/r1": `{"run":"1"}`, "issues/r2": `{"run":"1"}`, "pulls/r1": `{"run":"1"}`, "pulls/r2": `{"run":"2"}`,
		}, w.records())
		require.Equal(t, due, w.nextCheck(), "the schedule is what it was")
		w.processed(3)
		require.Empty(t, plans[2].Params)
		require.Equal(t, []string{"issues", "pulls"}, plans[2].Connectors)
		require.Equal(t, mark, plans[2].Watermarks["pulls"].UTC(), "a run of a part moves no watermark")
	})
}

// rows: O14
//
// Each integration has its own schedule; one that is disabled, has nothing to import
// or is parked is never asked.
func TestOnlyWhatCanRunIsScheduled(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 5
		w.up()
		w.every = 30
		w.create("half-hourly")
		w.every, w.conns = 5, []string{}
		w.create("nothing")
		w.conns, w.plugName = nil, "gone"
		w.create("parked")
		w.plugName = "script"
		w.create("disabled")
		in, err := w.db.IntegrationByName(t.Context(), "acme", "disabled")
		require.NoError(t, err)
		in.Enabled = false
		require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeDisable, UID: in.UID, Spec: in.IntegrationSpec}}))
		began := time.Now()
		_, _, err = w.db.ParkIntegrations(t.Context(), []string{"script", "other"})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour) // the bubble's clock
		runs, err := w.db.Runs(t.Context(), store.RunFilter{Limit: 1000})
		require.NoError(t, err)
		checks := map[string]int{}
		for _, r := range runs {
			if r.Kind == store.RunCheck {
				checks[r.Integration]++
			}
			late := r.CreatedAt.Sub(began) > 0
			require.False(t, late && slices.Contains([]string{"nothing", "parked", "disabled"}, r.Integration), "%s was asked", r.Integration)
		}
		require.InDelta(t, 24, checks["one"], 1)
		require.InDelta(t, 4, checks["half-hourly"], 1)
	})
}
