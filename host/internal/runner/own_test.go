package runner_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// chronicle is a run as anybody sees it, but for its number and its times.
type chronicle struct {
	state   store.RunState
	kind    store.RunKind
	stats   store.RunStats
	streams store.StreamCounts
	records map[string]string
	events  []string
}

func (w *world) chronicle() chronicle {
	w.t.Helper()
	run := w.run()
	events, err := w.db.Events(context.Background(), 0, 100)
	require.NoError(w.t, err)
	c := chronicle{state: run.State, kind: run.Kind, stats: run.Stats, streams: run.Streams, records: w.records()}
	for _, e := range events {
		c.events = append(c.events, e.Kind)
	}
	return c
}

// A plugin may go its own way instead of having the host go through pages of streams:
// it plans one stream, goes through everything in that itself, both connectors' things
// in an order of its own and in batches of its own, and keeps its place where it likes.
// The run that it makes has the same record, and goes on after a crash of the process
// from the place that was kept, not from the beginning.
//
// rows: O46
func TestPluginHasItsOwnWayToSync(t *testing.T) {
	t.Parallel()
	const things = 30
	hosts := &script{plan: planOf("all")} // the host's way: a page each call
	hosts.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		at, _ := strconv.Atoi(string(call.Page))
		for n := at; n < at+10; n++ {
			if err := thing(ctx, out, strconv.Itoa(n)); err != nil {
				return sdk.Outcome{}, err
			}
		}
		if at+10 == things {
			return sdk.Outcome{Cursor: []byte("end")}, nil
		}
		return sdk.Outcome{NextPage: []byte(strconv.Itoa(at + 10))}, nil
	}
	var went []string
	var died atomic.Bool
	own := &script{plan: planOf("all")}
	own.process = func(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
		left, _ := strconv.Atoi(string(call.Checkpoint)) // backwards, three at a time
		if call.Checkpoint == nil {
			left = things
		}
		went = append(went, fmt.Sprintf("from %d", left))
		for ; left > 0; left -= 3 {
			for n := left - 1; n >= left-3; n-- {
				if err := thing(ctx, out, strconv.Itoa(n)); err != nil {
					return sdk.Outcome{}, err
				}
			}
			if left == 15 && died.CompareAndSwap(false, true) {
				return sdk.Outcome{}, errDied
			}
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(left - 3))}); err != nil {
				return sdk.Outcome{}, err
			}
		}
		return sdk.Outcome{Cursor: []byte("end")}, nil
	}
	made := map[*script]chronicle{}
	for _, s := range []*script{hosts, own} {
		inWorld(t, s, func(t *testing.T, w *world) {
			w.up()
			w.until(store.RunProcessed, store.RunError, store.RunPartial)
			made[s] = w.chronicle()
		})
	}
	require.Equal(t, made[hosts], made[own])
	require.Equal(t, store.RunProcessed, made[own].state)
	require.EqualValues(t, things, made[own].stats.Added)
	require.Equal(t, []string{"from 30", "from 15"}, went)
	require.Len(t, hosts.calls(), 3)
}

// Streams of a run go on side by side, up to what the integration may have at once,
// and those of all integrations up to what the plugin takes.
//
// rows: C54
func TestStreamsOfAllRunsKeepBothCaps(t *testing.T) {
	t.Parallel()
	const perPlugin, perIntegration = 8, 3
	var (
		mu          sync.Mutex // guards what follows
		all, most   int
		now, mostOf = map[string]int{}, map[string]int{} // by run
	)
	var plans atomic.Int32
	s := &script{plan: func(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
		ids := []string{"a", "b", "c", "d"}
		if plans.Add(1) == 1 { // it goes on when the others have ended
			for n := range 20 {
				ids = append(ids, strconv.Itoa(n))
			}
		}
		return planOf(ids...)(ctx, call, out)
	}}
	s.manifest.Limits = sdk.Limits{Concurrency: perPlugin, PerRun: 4}
	s.process = func(_ context.Context, call sdk.StreamCall, _ *sdk.Emitter) (sdk.Outcome, error) {
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			all += n
			now[call.Run.ID] += n
			most, mostOf[call.Run.ID] = max(most, all), max(mostOf[call.Run.ID], now[call.Run.ID])
		}
		count(1)
		defer count(-1)
		time.Sleep(time.Minute / 2) // the bubble's clock
		return sdk.Outcome{}, nil
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		w.conc = perIntegration
		w.up()
		w.create("two")
		w.create("six")
		require.Eventually(t, func() bool {
			runs, err := w.db.Runs(context.Background(), store.RunFilter{State: store.RunProcessed, Limit: 10})
			require.NoError(t, err)
			return len(runs) == 3
		}, 3*time.Hour, time.Second)
		require.Equal(t, perPlugin*3/4, most, "a quarter is kept for what a person asks for")
		require.Len(t, mostOf, 3)
		require.Equal(t, perIntegration, slices.Max(slices.Collect(maps.Values(mostOf))), "of each run at most, and of that which is alone in the end")
	})
}
