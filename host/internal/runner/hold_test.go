package runner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: O34, K10
func TestDisablingAbortsOrLetsFinish(t *testing.T) {
	t.Parallel()
	ways := map[string]func(t *testing.T, w *world, in store.Integration, finish bool){
		"by file": func(t *testing.T, w *world, in store.Integration, finish bool) {
			t.Helper()
			in.Enabled, in.FinishOnDisable = false, finish
			require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeDisable, UID: in.UID, Spec: in.IntegrationSpec}}))
		},
		"by command": func(t *testing.T, w *world, in store.Integration, finish bool) {
			t.Helper()
			_, err := w.db.HoldIntegration(t.Context(), in.ID, "alice", finish)
			require.NoError(t, err)
		},
	}
	for name, disable := range ways {
		for _, finish := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " abort", true: " finish"}[finish], func(t *testing.T) {
				t.Parallel()
				s := &script{plan: planOf("a", "b", "c")}
				s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
					select {
					case <-ctx.Done():
						return sdk.Outcome{}, ctx.Err()
					case <-time.After(20 * time.Second): // the bubble's clock
						return sdk.Outcome{}, nil
					}
				}
				inWorld(t, s, func(t *testing.T, w *world) {
					w.conc, w.every = 1, 5
					w.up()
					time.Sleep(30 * time.Second) // the bubble's clock
					run := w.run()
					in, err := w.db.IntegrationByID(t.Context(), run.IntegrationID)
					require.NoError(t, err)
					waiting, _, err := w.db.RequestRun(t.Context(), store.RunRequest{
						IntegrationID: in.ID, Class: store.ClassPull, Kind: store.RunManual, Params: map[string]string{"x": "1"}, ParamsSum: "1",
					})
					require.NoError(t, err)
					disable(t, w, in, finish)
					waiting, err = w.db.Run(t.Context(), waiting.ID)
					require.NoError(t, err)
					require.Equal(t, store.RunCancelled, waiting.State, "what has not begun never does")
					if finish {
						w.down() // a restart changes nothing about it
						w.up()
					}
					time.Sleep(time.Hour) // the bubble's clock
					first, err := w.db.Run(t.Context(), run.ID)
					require.NoError(t, err)
					want := store.RunCancelled
					if finish {
						want = store.RunProcessed
					}
					require.Equal(t, want, first.State)
					runs, err := w.db.Runs(t.Context(), store.RunFilter{})
					require.NoError(t, err)
					require.Len(t, runs, 2, "nothing new began")
					violations, err := w.db.Verify(t.Context())
					require.NoError(t, err)
					require.Empty(t, violations)
				})
			})
		}
	}
}

// rows: O34
func TestAHoldStandsUntilItIsReleased(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		w.until(store.RunProcessed)
		in, err := w.db.IntegrationByID(t.Context(), 1)
		require.NoError(t, err)
		apply := func(enabled bool, op store.ChangeOp) {
			in.Enabled = enabled
			require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: op, UID: in.UID, Spec: in.IntegrationSpec, Sync: enabled}}))
		}
		state := func() store.Integration {
			now, err := w.db.IntegrationByID(t.Context(), 1)
			require.NoError(t, err)
			return now
		}
		require.NoError(t, w.db.SetIntegrationState(t.Context(), 1, store.IntegrationNeedsReconnect, "token revoked"))
		_, err = w.db.HoldIntegration(t.Context(), 1, "alice", false)
		require.NoError(t, err)
		in.Label = "other"
		apply(true, store.ChangeUpdate)
		w.down()
		w.up()
		held := state()
		require.Equal(t, store.IntegrationDisabled, held.State, "a reload and a restart change nothing")
		require.Equal(t, "disabled by alice", held.Reason)
		require.Equal(t, "alice", held.Hold.By)

		apply(false, store.ChangeDisable)
		_, err = w.db.ReleaseIntegration(t.Context(), 1, "bob")
		require.ErrorIs(t, err, store.ErrConflict)
		require.ErrorContains(t, err, "disabled by its file, which no command overrides")
		apply(true, store.ChangeUpdate)
		require.Equal(t, store.IntegrationDisabled, state().State, "the hold stands")
		_, _, err = w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: 1, Kind: store.RunManual})
		require.ErrorContains(t, err, "disabled by alice")

		back, err := w.db.ReleaseIntegration(t.Context(), 1, "bob")
		require.NoError(t, err)
		require.Equal(t, store.IntegrationNeedsReconnect, back.State, "as it was before")
		require.Equal(t, "token revoked", back.Reason)
		require.Nil(t, back.Hold)

		require.NoError(t, w.db.SetIntegrationState(t.Context(), 1, store.IntegrationActive, ""))
		before := len(s.calls())
		_, err = w.db.HoldIntegration(t.Context(), 1, "alice", false)
		require.NoError(t, err)
		time.Sleep(3 * time.Hour) // the bubble's clock
		require.Len(t, s.calls(), before)
		_, _, err = w.db.ParkIntegrations(t.Context(), nil)
		require.NoError(t, err)
		back, err = w.db.ReleaseIntegration(t.Context(), 1, "bob")
		require.NoError(t, err)
		require.Equal(t, store.IntegrationParked, back.State, "its plugin went meanwhile")
		_, _, err = w.db.ParkIntegrations(t.Context(), []string{"script"})
		require.NoError(t, err)
		time.Sleep(time.Minute) // the bubble's clock
		require.Len(t, s.calls(), before+1, "checked at once")
		violations, err := w.db.Verify(t.Context())
		require.NoError(t, err)
		require.Empty(t, violations)
	})
}

// rows: O34
func TestWhatFinishesIsAbortedWhenAskedAgain(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(ctx context.Context, _ sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		<-ctx.Done()
		return sdk.Outcome{}, ctx.Err()
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(10 * time.Second) // the bubble's clock
		in, err := w.db.HoldIntegration(t.Context(), 1, "alice", true)
		require.NoError(t, err)
		require.True(t, in.Finishing)
		require.Equal(t, store.RunProcessing, w.run().State)
		in, err = w.db.HoldIntegration(t.Context(), 1, "bob", false)
		require.NoError(t, err)
		require.False(t, in.Finishing)
		require.Equal(t, "alice", in.Hold.By)
		require.Equal(t, store.RunCancelled, w.run().State)
		time.Sleep(time.Minute) // the bubble's clock
		violations, err := w.db.Verify(t.Context())
		require.NoError(t, err)
		require.Empty(t, violations)
	})
}
