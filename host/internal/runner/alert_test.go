package runner_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Three checks in a row fail, with a restart of the host between them: people are
// told once, the integration goes on being checked, and is well again by itself.
//
// rows: C44, C45
func TestAFailingIntegrationIsToldOfOnceAndGoesOn(t *testing.T) {
	t.Parallel()
	long(t)
	var down atomic.Bool
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if down.Load() {
			return &sdk.Error{Class: sdk.ClassConfig, Code: "gone", Message: "the account is gone"}
		}
		return planOf("a")(ctx, call, out)
	}}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.every = 20
		w.up()
		first := w.until(store.RunProcessed)
		// runs lets time pass until so many runs have ended.
		runs := func(n int64) store.Integration {
			t.Helper()
			for deadline := time.Now().Add(48 * time.Hour); ; {
				require.True(t, time.Now().Before(deadline))
				if r := w.run(); r.ID >= n && r.State.Terminal() {
					break
				}
				time.Sleep(time.Minute) // the bubble's clock
			}
			in, err := w.db.IntegrationByID(t.Context(), first.IntegrationID)
			require.NoError(t, err)
			return in
		}
		told := func() string {
			t.Helper()
			events, err := w.db.Events(t.Context(), 0, 1000)
			require.NoError(t, err)
			var kinds []string
			for _, e := range events {
				if name, ok := strings.CutPrefix(e.Kind, "integration."); ok && e.RunID != 0 {
					kinds = append(kinds, name)
				}
			}
			return strings.Join(kinds, " ")
		}
		require.Equal(t, "onboarded", told())

		down.Store(true)
		require.Equal(t, store.IntegrationActive, runs(first.ID+2).State)
		w.down()
		w.up()
		require.Equal(t, store.IntegrationError, runs(first.ID+3).State)
		require.Equal(t, "onboarded failing", told())
		in := runs(first.ID + 5)
		require.Equal(t, "3 checks in a row failed: gone: the account is gone", in.Reason)
		require.Equal(t, "onboarded failing", told())

		down.Store(false)
		n := w.run().ID
		require.Equal(t, store.IntegrationActive, runs(n+1).State)
		require.Equal(t, "onboarded failing recovered", told())
	})
}
