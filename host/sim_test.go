package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// simTenants is how many tenants the simulation has, in make test and in make soak.
const simTenants = 1000

// rows: I01, I02, I03, I04, I05, I06, K01, K02, K03, K04, K07, K08, K09, K10, K11, K12, K13, F16, F17, F18, F19, F24, F27
//
// Thirty days of many tenants with a remote system that fails in every way, people
// who ask for runs and disable integrations, a plugin that is put in its place, a
// daemon that dies and is started again, and a clock that is set wrong by hours and
// by years.
//
// Two engines with half of the tenants each work side by side, each in a process of its
// own: in a bubble one thing happens after the other, so that one engine would need the
// minute of two processors on one of them. They prove what one would: no promise of the
// engine is one about two tenants but their turns (K13, F27), for which 500 of them are
// as good a crowd before 16 lanes as 1,000 (TestNoisyNeighbour has those); every other
// check is one of each tenant, of each step or of all that a store holds. Both come of
// one seed, which says what becomes of each of the 1,000.
//
// make soak does it for two seeds, with nothing beside it, and asks for the minute.
func TestSimulation(t *testing.T) {
	t.Parallel()
	engines, seeds := 2, 1
	switch {
	case testing.Short():
		engines = 1
	case soaking():
		seeds = 2
	}
	seed := chance(t).Uint64()
	for n := range seeds {
		sideBySide(t, seed+uint64(n), engines)
	}
}

// engineSeed is the variable that TestSimulation gives its engines.
const engineSeed = "JACKFIELD_ENGINE_SEED"

// TestSimulationEngine is one engine of TestSimulation.
func TestSimulationEngine(t *testing.T) { //nolint:paralleltest // it is by itself
	if os.Getenv(engineSeed) == "" {
		t.Skip("it is run by TestSimulation")
	}
	seed, err := strconv.ParseUint(os.Getenv(engineSeed), 10, 64)
	require.NoError(t, err)
	plan := simPlan{seed: seed, tenants: simTenants / 2, days: 30, slots: 16, verify: 60, rate: 2, acts: 15, special: 40, jumps: true, grid: true}
	if testing.Short() {
		plan.tenants, plan.days, plan.slots, plan.acts, plan.special = 8, 1, 8, 200, 8
	}
	// It holds little and drops much: it need not collect it at every doubling.
	debug.SetGCPercent(400)
	simulate(t, plan, func(w *simWorld) {
		w.complete(true)
		w.punctual()
		t.Logf("%d runs, %d calls, faults %s, %d restarts, %d jumps of the clock, %d steps; people: %s",
			w.runs, w.remote.calls, w.remote.tally(), w.restarts, w.jumps, w.steps.taken.Load(), w.people.tally())
		fmt.Printf(engineRan+"\n", plan.tenants, plan.days, w.runs, w.steps.taken.Load())
	})
}

const (
	// simRuns is how many runs there are at least in the full form, of about 60,000.
	simRuns = 55_000
	// simMinute is what an engine may take of a processor in make soak. On a machine of
	// two that has nothing else to do this is the time on the clock; elsewhere the clock
	// tells of the machine.
	simMinute = time.Minute
)

// engineRan is what an engine prints at its end.
const engineRan = "engine: %d tenants, %d days, %d runs, %d steps"

// sideBySide runs engines, each with a seed of its own.
func sideBySide(t *testing.T, seed uint64, engines int) {
	t.Helper()
	began := time.Now()
	printed, used := make([]string, engines), make([]time.Duration, engines)
	var all errgroup.Group
	for n := range engines {
		all.Go(func() (err error) {
			printed[n], used[n], err = runEngine(t.Context(), seed+uint64(n)<<32)
			return err
		})
	}
	err := all.Wait()
	for _, text := range printed {
		t.Log(text)
	}
	require.NoError(t, err)
	tenants, days, runs, steps := 0, 0, 0, int64(0)
	for _, text := range printed {
		var nt, nr int
		var ns int64
		_, line, found := strings.Cut("\n"+text, "\nengine: ")
		require.True(t, found)
		_, err := fmt.Sscanf("engine: "+line, engineRan, &nt, &days, &nr, &ns)
		require.NoError(t, err)
		tenants, runs, steps = tenants+nt, runs+nr, steps+ns
	}
	proved(t, "simulation: %d tenants, %d days, %d runs, %d steps in %v, of the processors %v: every record is the remote system's, every run that was asked for ran, every check came in its time",
		tenants, days, runs, steps, time.Since(began).Round(time.Second), used)
	if testing.Short() {
		return
	}
	require.Equal(t, simTenants, tenants)
	require.Equal(t, 30, days)
	require.GreaterOrEqual(t, runs, simRuns)
	if soaking() {
		require.Less(t, slices.Max(used), simMinute, "an engine took more of a processor than a minute; on the clock it was %v", time.Since(began))
	}
}

// runEngine runs this test program as one engine and returns what it printed, and how
// long it ran on a processor.
func runEngine(ctx context.Context, seed uint64) (string, time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return "", 0, err
	}
	args := []string{"-test.run=^TestSimulationEngine$", "-test.v", "-test.count=1", "-test.timeout=60m"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.CommandContext(ctx, self, args...)
	// One thing happens after the other, so that a second processor would only be woken
	// for nothing, thousands of times a second.
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", engineSeed, seed), "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), 0, fmt.Errorf("engine with %s=%d: %w", engineSeed, seed, err)
	}
	return string(out), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(time.Second), nil
}

// rows: I12, F16, F17
//
// The same seed gives the same calls at the same nanoseconds and the same runs, through
// deaths of the daemon and jumps of its clock, which are where the seed says; the long
// form has as many tenants as an engine of TestSimulation, as many days and the jumps of
// years, at which all of them come at once.
//
// Calls end at instants of their own, and there is memory for all that begin at one: who
// is first at one instant no seed can say, for the bubble draws lots among its timers and
// Go among its goroutines. With memory for 192 of 256 calls two replays parted at the jump
// of the twentieth day, when two calls that one transaction had begun queued for it, 4 ms
// from each other. So TestSimulation, whose calls end together by intention, gives back
// with its seed the same faults, people, deaths and jumps, and not each millisecond.
func TestSimulationReplays(t *testing.T) {
	t.Parallel()
	plan := simPlan{seed: chance(t).Uint64(), tenants: 20, days: 6, slots: 64, room: 64, verify: 60, rate: 10, acts: 200, special: 8, jumps: true}
	switch {
	case testing.Short():
		plan.days, plan.tenants = 1, 8
	case soaking():
		plan.tenants, plan.days, plan.rate, plan.acts, plan.special = simTenants/2, 30, 2, 15, 40
	}
	var did string
	var logs []string
	for range 2 {
		simulate(t, plan, func(w *simWorld) {
			w.complete(true)
			w.punctual()
			logs = append(logs, w.remote.log()+w.history())
			did = fmt.Sprintf("%d tenants, %d days, %d runs, %d restarts, %d jumps of the clock", plan.tenants, plan.days, w.runs, w.restarts, w.jumps)
		})
	}
	other := plan
	other.seed++
	other.days = 1
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
	proved(t, "replay: %s: %d lines of the event log, %016x twice", did, strings.Count(logs[0], "\n"), h.Sum64())
}
