package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// hangs is a script whose first two calls for a stream never come to the plugin: they
// hang while the plugin is opened, and do not heed their context.
type hangs struct {
	*script
	opens atomic.Int32
	let   chan struct{}
	again chan struct{} // closed: the call that takes their place goes on
}

func (h *hangs) Acquire(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	switch h.opens.Add(1) { // the first is for the plan
	case 2, 3:
		<-h.let
	case 4:
		<-h.again
	}
	return h.script.Acquire(ctx, name, in)
}

// rows: C33
func TestAStuckRunIsToldOfOnceAndHelpedOn(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) { return sdk.Outcome{}, nil }
	inWorld(t, s, func(t *testing.T, w *world) {
		hung := &hangs{script: s, let: make(chan struct{}), again: make(chan struct{})}
		w.plugins = hung
		w.up()
		help := func() []store.Run {
			runs, err := w.db.RedriveStuck(t.Context(), 10*time.Minute, 10)
			require.NoError(t, err)
			return runs
		}
		time.Sleep(9 * time.Minute) // the bubble's clock
		require.Empty(t, help(), "not yet")
		require.Equal(t, store.RunProcessing, w.run().State)
		time.Sleep(2 * time.Minute) // the bubble's clock
		begun := w.run().UpdatedAt
		stuck := help()
		require.Len(t, stuck, 1)
		require.Equal(t, begun, stuck[0].StuckSince)
		require.Empty(t, help(), "it was helped on")
		require.Equal(t, begun, w.run().StuckSince)
		shown, err := w.db.Runs(t.Context(), store.RunFilter{Stuck: true})
		require.NoError(t, err)
		require.Len(t, shown, 1)
		time.Sleep(11 * time.Minute) // the bubble's clock
		require.Equal(t, int32(3), hung.opens.Load(), "what took its place hangs too")
		stuck = help()
		require.Len(t, stuck, 1, "it is helped on again")
		require.Equal(t, begun, stuck[0].StuckSince)
		close(hung.again)
		require.Zero(t, w.until(store.RunProcessed).StuckSince, "it made progress")
		close(hung.let)
		require.Equal(t, []string{"a  0"}, s.calls())
		told := 0
		events, err := w.db.Events(t.Context(), 0, 100)
		require.NoError(t, err)
		for _, e := range events {
			if e.Kind == "run.stuck" {
				told++
				require.Equal(t, stuck[0].ID, e.RunID)
			}
		}
		require.Equal(t, 1, told, "of being stuck, not of each help")
	})
}

// rows: C33
func TestARunThatWaitsIsNotStuck(t *testing.T) {
	t.Parallel()
	s := &script{plan: planOf("a")}
	limited := false
	s.process = func(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
		if !limited {
			limited = true
			return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassRateLimited, Code: "slow", Limit: &sdk.RateLimit{After: 3 * time.Hour}}
		}
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.up()
		time.Sleep(2 * time.Hour) // the bubble's clock
		require.Equal(t, store.RunProcessing, w.run().State)
		runs, err := w.db.RedriveStuck(t.Context(), time.Hour, 10)
		require.NoError(t, err)
		require.Empty(t, runs)
	})
}
