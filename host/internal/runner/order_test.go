package runner_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// planOfConnectors returns a plan of root streams named connector/id.
func planOfConnectors(ids ...string) func(context.Context, sdk.PlanCall, *sdk.Emitter) error {
	return func(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
		for _, id := range ids {
			connector, _, _ := strings.Cut(id, "/")
			if err := out.Stream(ctx, sdk.Stream{ID: id, Connector: connector, Partition: id}); err != nil {
				return err
			}
		}
		return nil
	}
}

// Users come before what they wrote, whatever the plan says first; two connectors
// of one order run beside each other; the children that a late connector makes for
// an early one simply run.
//
// rows: O20, C46
func TestConnectorsRunInTheirOrder(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOfConnectors("posts/1", "likes/1", "users/1", "users/2", "posts/2")}
	s.manifest.Connectors = []sdk.Connector{{Name: "users", Order: -1}, {Name: "posts"}, {Name: "likes", Order: 7}}
	together := make(chan struct{})
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		switch call.Stream.ID {
		case "posts/1": // ends only beside the other
			<-together
		case "posts/2":
			close(together)
		case "likes/1":
			return sdk.Outcome{}, out.Stream(ctx, sdk.Stream{ID: "users/late", Connector: "users"})
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	s.manifest.Capabilities = []sdk.Capability{sdk.CanPostprocess}
	last := 0
	s.postprocess = func(context.Context, sdk.Run) (map[string][]byte, error) {
		last = len(s.calls())
		return nil, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		together = make(chan struct{})
		w.conns = []string{"users", "posts", "likes"}
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunProcessed, run.State)
		var order []string
		for _, c := range s.calls() {
			connector, _, _ := strings.Cut(c, "/")
			order = append(order, connector)
		}
		require.Equal(t, []string{"users", "users", "posts", "posts", "likes", "users"}, order)
		require.Equal(t, 6, last, "postprocess comes behind all of them")
		require.Equal(t, w.streams()["likes/1"].ID, w.streams()["users/late"].ParentID)
	})
}

// A connector that fails for good, and one that has to wait for its retries, come
// before the next one; the run is partial, and going on with it does the failed one
// alone.
//
// rows: O20, O22, C37
func TestAFailedConnectorDoesNotStopTheNext(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOfConnectors("posts/1", "users/1", "users/2")}
	s.manifest.Connectors = []sdk.Connector{{Name: "users"}, {Name: "posts", Order: 1}}
	refuse := true
	s.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		switch {
		case call.Stream.ID == "users/1" && refuse:
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassAuth, Code: "forbidden", Message: "no"}
		case call.Stream.ID == "users/2" && call.Attempt < 2:
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassTransient, Code: "later", Message: "try later"}
		}
		return sdk.Outcome{}, thing(ctx, out, call.Stream.ID)
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conns = []string{"users", "posts"}
		w.up()
		run := w.until(store.RunProcessed, store.RunError, store.RunPartial)
		require.Equal(t, store.RunPartial, run.State)
		calls := s.calls()
		require.Equal(t, "posts/1  0", calls[len(calls)-1], "%v", calls)
		require.Equal(t, store.StreamError, w.streams()["users/1"].State)
		require.Len(t, w.records(), 2)

		refuse = false
		_, err := w.db.ContinueRun(t.Context(), run.ID)
		require.NoError(t, err)
		w.until(store.RunProcessed)
		require.Equal(t, "users/1  0", s.calls()[len(calls)], "it alone, and only once")
		require.Len(t, s.calls(), len(calls)+1)
	})
}
