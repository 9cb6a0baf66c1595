package runner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Each connector's part says how it ended, when, and what it did, and the parts add
// up to the run.
//
// rows: O24, O22, C28
func TestEachConnectorOfARunHasAStatus(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOfConnectors("early/1", "good/1", "good/2", "mixed/1", "mixed/2", "bad/1")}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		switch call.Stream.ID {
		case "bad/1", "mixed/2":
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassAuth, Code: "forbidden", Message: "no " + call.Stream.ID}
		case "good/1":
			if call.Page == nil {
				if err := out.Warn(ctx, "w", "skipped"); err != nil {
					return sdk.Outcome{}, err
				}
				return sdk.Outcome{NextPage: []byte("2"), Sleep: time.Minute}, thing(ctx, out, "first")
			}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"early", "good", "mixed", "bad", "idle"}
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunPartial, run.State)
		parts := w.parts()
		codes := map[string]store.ConnectorCode{}
		var sum store.RunStats
		var streams store.StreamCounts
		for name, p := range parts {
			codes[name] = p.Code
			sum.Read += p.Stats.Read
			sum.Added += p.Stats.Added
			sum.Unchanged += p.Stats.Unchanged
			sum.Warnings += p.Stats.Warnings
			streams.Processed += p.Processed
			streams.Error += p.Failed
			require.False(t, p.EndedAt.IsZero(), name)
			require.Equal(t, name == "idle", p.StartedAt.IsZero(), name)
			if name != "idle" {
				require.False(t, p.StartedAt.Before(run.StartedAt), "%s began at %v", name, p.StartedAt)
				require.False(t, p.EndedAt.Before(p.StartedAt), name)
			}
		}
		require.Equal(t, map[string]store.ConnectorCode{
			"early": store.ConnectorCompleted, "good": store.ConnectorCompleted, "mixed": store.ConnectorPartial, "bad": store.ConnectorFailed, "idle": store.ConnectorCompleted,
		}, codes)
		require.Equal(t, run.Stats, sum)
		require.Equal(t, run.Streams, streams)
		require.Equal(t, "forbidden: no mixed/2", parts["mixed"].Message)
		require.Equal(t, "forbidden: no bad/1", parts["bad"].Message)
		require.GreaterOrEqual(t, parts["good"].EndedAt.Sub(parts["good"].StartedAt), time.Minute, "with the time that it slept")
		require.Less(t, parts["early"].EndedAt.Sub(run.StartedAt), time.Minute, "its own end, not that of the run")
		require.NotEmpty(t, parts["good"].Data, "its watermark moved")
		require.Empty(t, parts["mixed"].Data)
	})
}

// rows: O24, C10
func TestConnectorsOfARunThatIsNotPlannedOrIsCancelled(t *testing.T) {
	t.Parallel()
	wait := make(chan struct{})
	failing := true
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		if failing {
			return &sdk.Error{Class: sdk.ClassAuth, Code: "invalid_auth", Message: "the token was revoked"}
		}
		return planOfConnectors("a/1", "b/1")(ctx, call, out)
	}}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.Connector == "b" {
			close(wait)
			<-ctx.Done()
			return sdk.Outcome{}, ctx.Err()
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	s.manifest.Connectors = []sdk.Connector{{Name: "a"}, {Name: "b", Order: 1}}
	inWorld(t, s, func(t *testing.T, w *world) {
		wait = make(chan struct{})
		w.conns = []string{"a", "b"}
		w.up()
		run := w.until(store.RunError, store.RunProcessed)
		for _, name := range w.conns {
			require.Equal(t, store.ConnectorFailed, w.parts()[name].Code)
			require.Equal(t, "invalid_auth: the token was revoked", w.parts()[name].Message)
		}

		failing = false
		_, err := w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		<-wait
		_, err = w.db.CancelRun(t.Context(), run.ID, "enough")
		require.NoError(t, err)
		require.Equal(t, store.ConnectorCompleted, w.parts()["a"].Code)
		require.Equal(t, store.ConnectorCancelled, w.parts()["b"].Code)
		require.Equal(t, "cancelled: enough", w.parts()["b"].Message)
	})
}
