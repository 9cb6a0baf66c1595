package runner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// rows: C59
func TestAnOnboardingThatIsTooOldEndsInErrorAndCanBeContinued(t *testing.T) {
	t.Parallel()
	long(t)
	s := &script{plan: planOf("a", "b")}
	waits := true
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		if waits && call.Stream.ID == "b" {
			return sdk.Outcome{}, sdk.RateLimitedFor(time.Hour)
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = 1
		w.up()
		run := w.until(store.RunProcessing)
		in, err := w.db.IntegrationByID(t.Context(), run.IntegrationID)
		require.NoError(t, err)
		end := func() []store.Run {
			ended, err := w.db.EndOldOnboardings(t.Context(), 10)
			require.NoError(t, err)
			return ended
		}
		time.Sleep(30 * time.Hour) // the bubble's clock
		require.Empty(t, end(), "nothing says how old it may get")
		in.OnboardingMaxAge = 36 * time.Hour
		require.NoError(t, w.db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeUpdate, UID: in.UID, Spec: in.IntegrationSpec}}))
		require.Empty(t, end(), "not yet")
		time.Sleep(7 * time.Hour) // the bubble's clock
		ended := end()
		require.Len(t, ended, 1)
		require.Empty(t, end(), "once")
		run = w.run()
		require.Equal(t, store.RunError, run.State)
		require.Equal(t, "onboarding_too_old", run.Failure.Code)
		require.Contains(t, run.Failure.Message, "older than onboarding_max_age (36h0m0s); 1 streams are left")
		require.Equal(t, int64(1), run.Streams.Cancelled)
		violations, err := w.db.Verify(t.Context())
		require.NoError(t, err)
		require.Empty(t, violations)

		_, err = w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		w.until(store.RunProcessing)
		time.Sleep(30 * time.Hour) // the bubble's clock
		require.Empty(t, end(), "its age counts anew")
		waits = false
		require.Equal(t, run.ID, w.until(store.RunProcessed).ID)
		time.Sleep(100 * time.Hour) // the bubble's clock
		require.Empty(t, end(), "what is over has no age")
	})
}
