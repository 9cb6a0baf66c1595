package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: I01, I02, I03, I04, I05, I06, K01, K02, K03, K04, K08, K09, K10, K11, K12, K13, F16, F17, F18, F19, F24, F27
//
// Thirty days of 500 tenants with a remote system that fails in every way, a
// daemon that dies and is started again, and a clock that is set wrong by hours and
// by years. Two engines of 250 tenants each work side by side, one on each core; the
// long form has four of 500.
func TestSimulation(t *testing.T) {
	t.Parallel()
	plan := simPlan{seed: chance(t).Uint64(), tenants: 250, days: 30, slots: 16, verify: 60, rate: 2, jumps: true}
	engines := 2
	switch {
	case testing.Short():
		plan.tenants, plan.days, plan.slots, engines = 40, 2, 8, 1
	case soaking():
		plan.tenants, plan.slots, engines = 500, 32, 4
	}
	began := time.Now()
	runs := make([]int, engines)
	t.Run("engines", func(t *testing.T) {
		for n := range engines {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				mine := plan
				mine.seed += uint64(n)
				simulate(t, mine, func(w *simWorld) {
					w.complete()
					w.punctual()
					runs[n] = w.runs
					t.Logf("%d runs, %d calls, faults %s, %d restarts, %d jumps of the clock, %d steps", w.runs, w.remote.calls, w.remote.tally(), w.restarts, w.jumps, w.steps.taken.Load())
				})
			})
		}
	})
	total := 0
	for _, n := range runs {
		total += n
	}
	proved(t, "simulation: %d tenants, %d days, %d runs in %v: every record is the remote system's, every check came in its time",
		engines*plan.tenants, plan.days, total, time.Since(began).Round(time.Second))
}

// rows: I12, F17
//
// The same seed gives the same calls at the same times and the same runs, through
// deaths of the daemon. Its restarts are where the seed says.
func TestSimulationReplays(t *testing.T) {
	t.Parallel()
	plan := simPlan{seed: chance(t).Uint64(), tenants: 20, days: 6, slots: 64, verify: 60, rate: 10}
	if testing.Short() {
		plan.days = 1
	}
	var logs []string
	for range 2 {
		simulate(t, plan, func(w *simWorld) {
			w.complete()
			w.punctual()
			logs = append(logs, w.remote.log()+w.history())
		})
	}
	other := plan
	other.seed++
	simulate(t, other, func(w *simWorld) { logs = append(logs, w.remote.log()+w.history()) })
	require.NotEqual(t, logs[0], logs[2], "another seed is another story")
	if logs[0] != logs[1] {
		first, second := strings.Split(logs[0], "\n"), strings.Split(logs[1], "\n")
		for i := range min(len(first), len(second)) {
			require.Equal(t, first[i], second[i], "line %d", i)
		}
		require.Len(t, second, len(first))
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(logs[0])) // never fails
	proved(t, "replay: %d lines of the event log, %016x twice", strings.Count(logs[0], "\n"), h.Sum64())
}

// history returns the runs as far as they depend on nothing but the seed.
func (w *simWorld) history() string {
	w.t.Helper()
	var b strings.Builder
	for n := range w.plan.tenants {
		in, err := w.db.IntegrationByUID(context.Background(), simUID(n))
		require.NoError(w.t, err)
		runs, err := w.db.Runs(context.Background(), store.RunFilter{IntegrationID: in.ID, Limit: 1000})
		require.NoError(w.t, err)
		for _, r := range slices.Backward(runs) {
			fmt.Fprintf(&b, "%s %s %s %s %s %+v %+v\n", in.Tenant, r.CreatedAt, r.Kind, r.State, r.EndedAt, r.Stats, r.Streams)
		}
	}
	return b.String()
}

// complete compares the store with the truth, record by record: nothing was lost,
// doubled or brought back.
func (w *simWorld) complete() {
	w.t.Helper()
	for n := range w.plan.tenants {
		in, err := w.db.IntegrationByUID(context.Background(), simUID(n))
		require.NoError(w.t, err)
		have := map[string]string{}
		for after := int64(0); ; {
			some, err := w.db.Records(context.Background(), store.RecordFilter{IntegrationID: in.ID, After: after, Deleted: true, Limit: 1000})
			require.NoError(w.t, err)
			if len(some) == 0 {
				break
			}
			for _, r := range some {
				require.NotContains(w.t, have, r.ExternalID)
				have[r.ExternalID] = string(r.Data)
				after = r.Position
			}
		}
		truth := w.remote.truth(in.Tenant)
		for id, data := range truth {
			if data == "" && have[id] == "" { // gone, with or without a trace
				delete(truth, id)
				delete(have, id)
			}
		}
		require.Equal(w.t, truth, have, "records of %s (seed %d)", in.FullName(), w.plan.seed)
	}
}

// punctual compares the checks with the schedules: none is left out, none comes
// twice but for the clock, and nobody waits.
func (w *simWorld) punctual() {
	w.t.Helper()
	begin, end := simBegin(), w.now()
	for n, rule := range w.rules {
		if n%50 == 0 && w.plan.days > 10 {
			busy := 24 * 60 / 5
			require.Greater(w.t, len(w.checks[n]), busy-10, "checks of %s, which has a busy day", simTenant(n))
			continue
		}
		due, longest := 0, time.Duration(0)
		for at := begin; ; due++ {
			next, err := rule.Next(at)
			require.NoError(w.t, err)
			if next.After(end) {
				break
			}
			longest = max(longest, next.Sub(at))
			at = next
		}
		// The onboarding comes at once. A clock that is set wrong, and right again,
		// lets checks come once more each time.
		got := len(w.checks[n])
		require.GreaterOrEqual(w.t, got, due-1, "checks of %s (%s, seed %d): %v", simTenant(n), rule, w.plan.seed, w.checks[n])
		require.LessOrEqual(w.t, got, due+2+2*w.jumps, "checks of %s (%s, seed %d): %v", simTenant(n), rule, w.plan.seed, w.checks[n])
		longest = max(longest, time.Duration(rule.Every)*90*time.Second)
		slices.SortFunc(w.checks[n], time.Time.Compare)
		last := begin
		for _, at := range w.checks[n] {
			if at.Before(begin) || at.After(end) { // the clock was wrong by years
				continue
			}
			require.LessOrEqual(w.t, at.Sub(last), longest+2*time.Hour, "%s (%s, seed %d) waited until %s: %v", simTenant(n), rule, w.plan.seed, at, w.checks[n])
			last = at
		}
		require.LessOrEqual(w.t, end.Sub(last), longest+2*time.Hour, "%s (%s, seed %d) waits since %s", simTenant(n), rule, w.plan.seed, last)
	}
}
