package runner_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// An onboarding fills the plugin and its calls do not end: what a person asks for
// of another integration is done at once all the same.
//
// rows: K12, K13, K14
func TestAPersonFindsAPlaceBesideBulkWork(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a", "b", "c", "d", "e", "f")}
	s.manifest.Limits = sdk.Limits{Concurrency: 4, PerRun: 8}
	s.process = func(ctx context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		if call.Run.Kind == sdk.RunManual {
			return sdk.Outcome{}, nil
		}
		if err := sdk.HostFrom(ctx).Progress(ctx, "reads", time.Now().Add(9*time.Minute)); err != nil {
			return sdk.Outcome{}, err
		}
		<-ctx.Done()
		return sdk.Outcome{}, ctx.Err()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(10 * time.Second) // the bubble's clock
		w.create("two")
		time.Sleep(10 * time.Second) // the bubble's clock
		require.Len(t, s.calls(), 3, "a quarter of four is kept: two waits with its onboarding")
		asked, _, err := w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: 2, Class: store.ClassPull, Kind: store.RunManual, Params: map[string]string{"k": "v"}, ParamsSum: "k=v",
		})
		require.NoError(t, err)
		time.Sleep(5 * time.Second) // the bubble's clock
		synctest.Wait()
		run, err := w.db.Run(t.Context(), asked.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, run.State)
	})
}

// rows: K12
func TestACallUnderWayTakesNoTurnOfTheWriter(t *testing.T) {
	t.Parallel()
	var added, began time.Time
	s := &script{plan: planOf("long")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "more" {
			began = time.Now()
			return sdk.Outcome{}, nil
		}
		for n := range 100 {
			time.Sleep(5 * time.Second) // the bubble's clock
			if n == 50 {
				if err := out.Stream(ctx, sdk.Stream{ID: "more", Connector: "things"}); err != nil {
					return sdk.Outcome{}, err
				}
				added = time.Now()
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		w.until(store.RunProcessed)
		require.LessOrEqual(t, w.asked.Load(), int32(8), "it asks for streams when there are some")
		require.LessOrEqual(t, began.Sub(added), 2*time.Second, "what falls due beside a call does not wait for its end")
	})
}
