package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// A version of the plugin that has a connector no more is not asked for its streams: of
// the run that is open they are left out, and of the next one the connector; the version
// is told only of what it has. With a version that has it again it goes on.
//
// rows: K17
func TestAConnectorThatIsGoneWaitsForItsReturn(t *testing.T) {
	t.Parallel()
	users, tags := sdk.Connector{Name: "users"}, sdk.Connector{Name: "tags"}
	s := &script{}
	var asked [][]string
	s.plan = func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		asked = append(asked, call.Run.Connectors)
		var ids []string
		for _, c := range call.Run.Connectors {
			ids = append(ids, c+"/1", c+"/2")
		}
		return planOfConnectors(ids...)(ctx, call, out)
	}
	s.manifest.Connectors = []sdk.Connector{users, tags}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.Connector == "tags" && call.Attempt == 0 && call.Run.Onboarding {
			return sdk.Outcome{}, errors.New("not yet")
		}
		return sdk.Outcome{Cursor: []byte("cursor of " + call.Stream.ID + " after " + string(call.Cursor))}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"users", "tags"}
		w.up()
		w.until(store.RunProcessing)
		time.Sleep(2 * time.Second) // the bubble's clock: the tags are tried again later
		synctest.Wait()
		require.Equal(t, store.StreamDelayed, w.streams()["tags/1"].State)
		require.Equal(t, store.StreamProcessed, w.streams()["users/2"].State)
		w.down()

		s.manifest.Connectors = []sdk.Connector{users}
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunProcessed, run.State)
		for _, id := range []string{"tags/1", "tags/2"} {
			st := w.streams()[id]
			require.Equal(t, store.StreamCancelled, st.State)
			require.Equal(t, "connector_gone", st.Failure.Code)
		}
		parts := w.parts()
		require.Equal(t, store.ConnectorSkipped, parts["tags"].Code)
		require.Contains(t, parts["tags"].Message, `has no connector "tags" any more`)
		require.Equal(t, store.ConnectorCompleted, parts["users"].Code)

		next := func() {
			_, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: run.IntegrationID, Class: store.ClassPull, Kind: store.RunCheck})
			require.NoError(t, err)
			require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError, store.RunPartial).State)
		}
		next()
		require.Equal(t, []string{"users"}, asked[len(asked)-1])
		require.Equal(t, store.ConnectorSkipped, w.parts()["tags"].Code)
		require.NotContains(t, w.streams(), "tags/1")
		calls := len(s.calls())
		w.down()

		s.manifest.Connectors = []sdk.Connector{users, tags}
		w.up()
		next()
		require.Equal(t, []string{"users", "tags"}, asked[len(asked)-1])
		require.Equal(t, store.ConnectorCompleted, w.parts()["tags"].Code)
		require.Len(t, s.calls(), calls+4)
		require.Contains(t, w.records(), "tags/2")
	})
}

// A run of nothing but connectors that are gone does not ask the plugin at all.
//
// rows: K17
func TestARunOfConnectorsThatAreGoneAsksNobody(t *testing.T) {
	t.Parallel()
	s := &script{plan: func(context.Context, sdk.PlanCall, *sdk.Emitter) error { return errors.New("it was asked") }}
	s.manifest.Connectors = []sdk.Connector{{Name: "others"}}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"things"}
		w.up()
		require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError, store.RunPartial).State)
		require.Equal(t, store.ConnectorSkipped, w.parts()["things"].Code)
	})
}
