package runner_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// parts returns how the connectors' parts of the newest run ended.
func (w *world) parts() map[string]store.ConnectorStatus {
	w.t.Helper()
	list, err := w.db.ConnectorStatuses(context.Background(), store.ConnectorFilter{RunID: w.run().ID})
	require.NoError(w.t, err)
	out := map[string]store.ConnectorStatus{}
	for _, c := range list {
		out[c.Connector] = c
	}
	return out
}

// asked is an Allowed that remembers what it was asked.
type asked struct {
	mu    sync.Mutex // guards calls
	calls []sdk.AllowedCall
}

func (a *asked) note(call sdk.AllowedCall) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
}

func (a *asked) connectors() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		names = append(names, c.Connector)
	}
	return names
}

// Posts leave themselves out because the users failed; likes have no stream and are
// asked all the same. The run is as good as it can be, and what was skipped has the
// reason, stays skipped, and moves no watermark.
//
// rows: O21, O24
func TestAConnectorLeavesItselfOut(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOfConnectors("posts/1", "posts/2", "users/1", "users/2", "tags/1")}
	s.manifest.Connectors = []sdk.Connector{{Name: "users"}, {Name: "posts", Order: 1}, {Name: "likes", Order: 2}, {Name: "tags", Order: 3}}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanAllow}
	var ask asked
	s.allowed = func(_ context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
		ask.note(call)
		return sdk.Verdict{Skip: call.Connector == "posts", Reason: "too few users: one"}, nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "users/1" { // a child of one that is skipped later
			if err := out.Stream(ctx, sdk.Stream{ID: "posts/3", Connector: "posts"}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		if call.Stream.ID == "tags/1" { // and one of one that was skipped before
			if err := out.Stream(ctx, sdk.Stream{ID: "posts/4", Connector: "posts"}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"users", "posts", "likes", "tags"}
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunProcessed, run.State)
		require.Equal(t, []string{"users", "posts", "likes", "tags"}, ask.connectors(), "each once, in order")
		require.Empty(t, ask.calls[0].Results)
		require.Equal(t, []sdk.ConnectorResult{{Connector: "users", Code: "completed", Read: 2, Added: 2, Processed: 2}}, ask.calls[1].Results)
		require.Len(t, ask.calls[2].Results, 2)
		require.Equal(t, "skipped", ask.calls[2].Results[1].Code)
		require.Equal(t, "too few users: one", ask.calls[2].Results[1].Message)

		require.ElementsMatch(t, []string{"users/1  0", "users/2  0", "tags/1  0"}, s.calls())
		require.NotContains(t, w.streams(), "posts/4", "none is added to what is skipped")
		require.Equal(t, int64(3), run.Streams.Cancelled)
		posts := w.streams()["posts/3"]
		require.Equal(t, store.StreamCancelled, posts.State)
		require.Equal(t, "not_allowed", posts.Failure.Code)
		require.Equal(t, "too few users: one", posts.Failure.Message)

		parts := w.parts()
		require.Equal(t, store.ConnectorSkipped, parts["posts"].Code)
		require.Equal(t, "too few users: one", parts["posts"].Message)
		require.Equal(t, store.ConnectorCompleted, parts["likes"].Code)
		require.JSONEq(t, `{"watermark":"`+run.StartedAt.Format("2006-01-02T15:04:05.999Z07:00")+`"}`, string(parts["users"].Data))
		require.Empty(t, parts["posts"].Data)

		// The next run sees where each is.
		_, _, err := w.db.RequestRun(t.Context(), store.RunRequest{IntegrationID: run.IntegrationID, Class: store.ClassPull, Kind: store.RunManual})
		require.NoError(t, err)
		w.until(store.RunProcessed)
		last := ask.calls[len(ask.calls)-1]
		require.Contains(t, last.Run.Watermarks, "users")
		require.Contains(t, last.Run.Watermarks, "likes")
		require.NotContains(t, last.Run.Watermarks, "posts")
	})
}

// The question survives a restart of the host as an answer that was given, and is
// tried again like any call.
//
// rows: O21, K01
func TestTheQuestionIsAskedOnceAndTriedAgain(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOfConnectors("users/1", "posts/1")}
	s.manifest.Connectors = []sdk.Connector{{Name: "users"}, {Name: "posts", Order: 1}}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanAllow}
	var ask asked
	s.allowed = func(_ context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
		ask.note(call)
		if len(ask.connectors()) == 1 {
			return sdk.Verdict{}, errDied
		}
		return sdk.Verdict{}, nil
	}
	reached := make(chan struct{})
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		if call.Stream.ID == "users/1" && reached != nil {
			close(reached)
			reached = nil
			<-ctx.Done()
			return sdk.Outcome{}, ctx.Err()
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		reached = make(chan struct{})
		here := reached
		w.conns = []string{"users", "posts"}
		w.up()
		<-here
		w.down()
		w.up()
		require.Equal(t, store.RunProcessed, w.until(store.RunProcessed, store.RunError, store.RunPartial).State)
		require.Equal(t, []string{"users", "users", "posts"}, ask.connectors())
	})
}

// Without an answer nobody knows whether the connector may run, so it does not: the
// run is not processed, and going on with it asks again.
//
// rows: O21, O22, O24
func TestAQuestionWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOfConnectors("users/1", "posts/1")}
	s.manifest.Connectors = []sdk.Connector{{Name: "users"}, {Name: "posts"}}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanAllow}
	broken := true
	s.allowed = func(_ context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
		if call.Connector == "posts" && broken {
			return sdk.Verdict{}, &sdk.Error{Class: sdk.ClassConfig, Code: "no_plan", Message: "the account has no plan"}
		}
		return sdk.Verdict{}, nil
	}
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"users", "posts"}
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunPartial, run.State)
		require.Equal(t, store.ConnectorCompleted, w.parts()["users"].Code)
		require.Equal(t, store.ConnectorFailed, w.parts()["posts"].Code)
		require.Equal(t, "no_plan: the account has no plan", w.parts()["posts"].Message)

		broken = false
		_, err := w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		w.until(store.RunProcessed)
		require.Equal(t, store.ConnectorCompleted, w.parts()["posts"].Code)
		require.Equal(t, []string{"users/1  0", "posts/1  0"}, s.calls())
	})
}
