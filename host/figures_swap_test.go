//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// swapsMeasured is how often the plugin is exchanged in one measurement.
const swapsMeasured = 20

// swapWindow is how long after a takeover a pause counts as of the swap: calls of the
// old version have ended or gone on by then.
const swapWindow = time.Second

// swapGoal is the longest pause of claims that a swap may make.
const swapGoal = 50 * time.Millisecond

// swapClock notes, by the clock of the one who does it, when streams are claimed, how
// long a call waits for its plugin, and when a version begins and takes over.
type swapClock struct {
	mu     sync.Mutex // guards what follows
	claims []time.Time
	waits  []waited
	begins []time.Time
	takes  []time.Time
}

type waited struct {
	at   time.Time
	took time.Duration
}

// timedStore is the store as the runner knows it.
type timedStore struct {
	*sqlite.DB
	clock *swapClock
}

func (s timedStore) ClaimStreams(ctx context.Context, lane store.LaneRef, run int64, n int) ([]store.Stream, error) {
	out, err := s.DB.ClaimStreams(ctx, lane, run, n)
	s.clock.claimed(out)
	return out, err
}

// Apply claims with the end of a stream.
func (s timedStore) Apply(ctx context.Context, seg store.Segment) (store.Applied, error) {
	out, err := s.DB.Apply(ctx, seg)
	s.clock.claimed(out.Next)
	return out, err
}

func (c *swapClock) claimed(streams []store.Stream) {
	if len(streams) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = append(c.claims, time.Now())
}

// timedPlugins are the processes as the runner knows them.
type timedPlugins struct {
	*processes
	clock *swapClock
}

func (p timedPlugins) Acquire(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error) {
	began := time.Now()
	out, err := p.processes.Acquire(ctx, name, in)
	p.clock.mu.Lock()
	p.clock.waits = append(p.clock.waits, waited{began, time.Since(began)})
	p.clock.mu.Unlock()
	return out, err
}

// moved notes the moves of the plugin.
func (c *swapClock) moved(machine, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case machine != string(store.MachinePlugin):
	case to == string(store.PluginUpgrading):
		c.begins = append(c.begins, time.Now())
	case to == string(store.PluginDraining):
		c.takes = append(c.takes, time.Now())
	}
}

// longest returns the longest time without a claim that begins between from and to.
func (c *swapClock) longest(from, to time.Time) (pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 1; i < len(c.claims); i++ {
		if !c.claims[i].Before(from) && !c.claims[i-1].After(to) {
			pause = max(pause, c.claims[i].Sub(c.claims[i-1]))
		}
	}
	return pause
}

// slowest returns the longest wait of a call for its plugin between from and to.
func (c *swapClock) slowest(from, to time.Time) (took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waits {
		if !w.at.Before(from) && !w.at.After(to) {
			took = max(took, w.took)
		}
	}
	return took
}

// measureSwaps measures how long no stream is claimed when a version of a plugin takes
// over from another while integrations work, from the beginning of the trial on, and
// how long a call waits for its plugin then.
func measureSwaps(t *testing.T, f *figures) {
	t.Helper()
	clock, s, stop := swapping(t)
	defer stop()
	var usual time.Duration
	for n := range swapsMeasured {
		quiet := time.Now()
		wait(t, int(swapWindow.Milliseconds())) // of the same work without a swap, as long as with one
		usual = max(usual, clock.longest(quiet, time.Now()))
		version := fmt.Sprintf("1.0.%d", n+1)
		s.upgrade(version, "")
		s.within(time.Minute, "version "+version+" serves", func() bool { return s.serving().Version == version })
		wait(t, int(swapWindow.Milliseconds()))
	}
	clock.mu.Lock()
	begins, takes := slices.Clone(clock.begins), slices.Clone(clock.takes)
	clock.mu.Unlock()
	require.Len(t, takes, swapsMeasured)
	require.Len(t, begins, swapsMeasured)
	var pauses, after, waits []time.Duration
	for i, at := range takes {
		pauses = append(pauses, clock.longest(begins[i], at.Add(swapWindow)))
		after = append(after, clock.longest(at, at.Add(swapWindow)))
		waits = append(waits, clock.slowest(at, at.Add(swapWindow)))
	}
	ms := func(d time.Duration) float64 { return micros(d) / 1000 }
	f.most(fmt.Sprintf("longest pause of claims in a swap, p50 of %d", swapsMeasured), ms(median(pauses)), ms(swapGoal), "ms")
	f.most("  the longest of all, less what the same work pauses without a swap", ms(max(0, slices.Max(pauses)-usual)), ms(swapGoal), "ms")
	f.most("  a call's longest wait for its plugin after a takeover, of all", ms(slices.Max(waits)), ms(swapGoal), "ms")
	f.plain("  the longest pause of all; from the takeover on", fmt.Sprintf("%.0f ms; %.0f ms", ms(slices.Max(pauses)), ms(slices.Max(after))))
	f.plain("  the longest in as many seconds of the same work without a swap", fmt.Sprintf("%.0f ms", ms(usual)))
	f.plain("  a call's wait for its plugin after a takeover, p50 of the longest", fmt.Sprintf("%.1f ms", ms(median(waits))))
}

// swapping runs a daemon in this process whose integrations work without an end.
func swapping(t *testing.T) (clock *swapClock, s *site, stop func()) {
	t.Helper()
	s = newSite(t, nil)
	raw, err := json.Marshal(map[string]any{"streams": 4, "pages": 50_000, "records": 10, "pause_ms": 5})
	require.NoError(t, err)
	text := "tenant: acme\nintegrations:\n"
	for n := range 4 {
		text += fmt.Sprintf("  - {name: i%d, plugin: load, connectors: [things], every: -1, settings: %s}\n", n, raw)
	}
	s.write("tenants/acme.yaml", text)
	redactor := &secret.Redactor{}
	cfg, problems := config.LoadHost(filepath.Join(s.dir, "host.yaml"), config.Options{Redactor: redactor})
	require.NoError(t, problems.Err())
	h, err := openHost(untimed(t), cfg, hclog.NewNullLogger(), redactor, runner.Options{})
	require.NoError(t, err)
	clock = &swapClock{}
	h.runner = runner.New(timedStore{h.db, clock}, timedPlugins{h.processes, clock}, vault{h.candidates.keys, redactor, h.processes.kept}, runner.Options{})
	h.lifecycle.count = clock.moved
	ctx, cancel := context.WithCancel(untimed(t))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	<-h.Ready()
	s.until("all work", func() bool {
		clock.mu.Lock()
		defer clock.mu.Unlock()
		return len(clock.claims) > 200
	})
	return clock, s, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}
