package main

import (
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// simTenants is how many tenants the simulation has, in make test and in make soak.
const simTenants = 1000

// rows: I01, I02, I03, I04, I05, I06, K01, K02, K03, K04, K07, K08, K09, K10, K11, K12, K13, F16, F17, F18, F19, F24, F27
//
// Thirty days of many tenants with a remote system that fails in every way, people
// who ask for runs and disable integrations, a plugin that is put in its place, a
// daemon that dies and is started again, and a clock that is set wrong by hours and
// by years. Two engines with half of the tenants each work side by side, one on each
// core; the long form is the full one, of two seeds.
func TestSimulation(t *testing.T) {
	t.Parallel()
	plan := simPlan{seed: chance(t).Uint64(), tenants: simTenants / 2, days: 30, slots: 16, verify: 60, rate: 2, acts: 15, special: 40, jumps: true}
	engines, seeds := 2, 1
	switch {
	case testing.Short():
		plan.tenants, plan.days, plan.slots, plan.acts, plan.special, engines = 8, 1, 8, 200, 8, 1
	case soaking():
		seeds = 2
	}
	// The engines hold little and drop much: they need not collect it at every
	// doubling.
	percent := debug.SetGCPercent(400)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	for n := range seeds {
		plan.seed += uint64(n)
		sideBySide(t, plan, engines)
	}
}

// sideBySide runs engines of the plan, each with a seed of its own.
func sideBySide(t *testing.T, plan simPlan, engines int) {
	t.Helper()
	began := time.Now()
	runs, steps := make([]int, engines), make([]int64, engines)
	t.Run(fmt.Sprintf("seed=%d", plan.seed), func(t *testing.T) {
		for n := range engines {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				mine := plan
				mine.seed += uint64(n) << 32
				simulate(t, mine, func(w *simWorld) {
					w.complete(true)
					w.punctual()
					runs[n], steps[n] = w.runs, w.steps.taken.Load()
					t.Logf("%d runs, %d calls, faults %s, %d restarts, %d jumps of the clock, %d steps; people: %s",
						w.runs, w.remote.calls, w.remote.tally(), w.restarts, w.jumps, w.steps.taken.Load(), w.people.tally())
				})
			})
		}
	})
	total, looks := 0, int64(0)
	for n := range engines {
		total += runs[n]
		looks += steps[n]
	}
	proved(t, "simulation: %d tenants, %d days, %d runs, %d steps in %v: every record is the remote system's, every run that was asked for ran, every check came in its time",
		engines*plan.tenants, plan.days, total, looks, time.Since(began).Round(time.Second))
}

// rows: I12, F17
//
// The same seed gives the same calls at the same times and the same runs, through
// deaths of the daemon. Its restarts are where the seed says.
func TestSimulationReplays(t *testing.T) {
	t.Parallel()
	plan := simPlan{seed: chance(t).Uint64(), tenants: 20, days: 6, slots: 64, private: 64, verify: 60, rate: 10, acts: 200, special: 8}
	if testing.Short() {
		plan.days, plan.tenants = 1, 8
	}
	var logs []string
	for range 2 {
		simulate(t, plan, func(w *simWorld) {
			w.complete(true)
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
