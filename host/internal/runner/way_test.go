package runner_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: K12
func TestARetryOfAManualRunDoesNotWaitForTheEndOfACall(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if call.Run.Params != nil {
			return planOf("manual")(ctx, call, out)
		}
		return planOf("long")(ctx, call, out)
	}
	var failed, retried time.Time
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		switch {
		case call.Stream.ID == "manual" && call.Attempt == 0:
			failed = time.Now()
			return sdk.Outcome{}, errors.New("come again")
		case call.Stream.ID == "manual":
			retried = time.Now()
			return sdk.Outcome{}, nil
		}
		from, _ := strconv.Atoi(string(call.Checkpoint))
		for n := from + 1; n <= 100; n++ { // one call of more than eight minutes
			select {
			case <-ctx.Done():
				return sdk.Outcome{}, ctx.Err()
			case <-time.After(5 * time.Second): // the bubble's clock
			}
			if err := thing(ctx, out, strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		time.Sleep(12 * time.Second) // the bubble's clock
		long := w.run()
		_, _, err := w.db.RequestRun(t.Context(), store.RunRequest{
			IntegrationID: long.IntegrationID, Class: store.ClassPull, Kind: store.RunManual,
			Params: map[string]string{"channel": "c1"}, ParamsSum: "c1",
		})
		require.NoError(t, err)
		w.until(store.RunProcessed)
		require.NotZero(t, retried)
		require.Less(t, retried.Sub(failed), 30*time.Second, "ten seconds, and a segment of the other")
		for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(time.Second) { // the bubble's clock
			if long, err = w.db.Run(t.Context(), long.ID); long.State.Terminal() {
				break
			}
		}
		require.NoError(t, err)
		require.Equal(t, store.RunProcessed, long.State)
		require.Equal(t, int64(100), long.Stats.Added, "it went on where it was")
		require.Less(t, w.works.Load(), int32(15), "nobody spins")
	})
}
