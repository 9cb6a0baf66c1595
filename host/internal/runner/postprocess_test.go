package runner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A run sleeps, one of its streams is given up, and it is continued: Postprocess is
// called once, when the rest is done, and what it returns is merged by key into what
// the plugin keeps. The user's settings stay.
//
// rows: C29
func TestPostprocessIsCalledOncePerRun(t *testing.T) {
	long(t)
	t.Parallel()
	s := &script{plan: planOf("a", "b")}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanPostprocess}
	calls, broken := 0, true
	s.postprocess = func(context.Context, sdk.Run) (map[string][]byte, error) {
		calls++
		return map[string][]byte{"last": []byte(`2`)}, nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "b" && broken {
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassConfig, Code: "bad", Message: "no"}
		}
		if call.Stream.ID == "a" && call.Page == nil {
			return sdk.Outcome{NextPage: []byte("2"), Sleep: time.Hour}, out.Setting(ctx, "kept", 1)
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		run := w.until(store.RunPartial, store.RunError, store.RunProcessed)
		require.Equal(t, store.RunPartial, run.State)
		require.GreaterOrEqual(t, run.EndedAt.Sub(run.StartedAt), time.Hour)
		require.Equal(t, 1, calls)
		in, err := w.db.IntegrationByName(t.Context(), "acme", "one")
		require.NoError(t, err)
		require.JSONEq(t, `{"kept":1,"last":2}`, string(in.Patch))
		require.JSONEq(t, `{}`, string(in.Settings), "the user's are his own")

		broken = false
		_, err = w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		w.until(store.RunProcessed)
		require.Equal(t, 1, calls, "of this run it was called")
	})
}
