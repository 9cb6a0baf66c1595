//go:build unix

package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/store"
)

// killing is how much is killed, and during what work.
type killing struct {
	kills     int
	streams   int // roots, each with two children
	pages     int // of 500 records
	uptime    int // milliseconds between a commit and the next kill, at most
	firstGoal time.Duration
}

const killedPage = 500

func (k killing) records() int { return k.streams * 3 * k.pages * killedPage }

// rows: C32, F01, F02, K01, K02, I01, I02, I03
//
// A sync whose host and plugins are killed at random moments ends with the store
// of an undisturbed one, record for record; what was counted is counted once, and
// no process is left. A host that was killed commits again at once.
func TestKilledAtRandomEndsLikeUndisturbed(t *testing.T) {
	t.Parallel()
	k := killing{kills: 200, streams: 30, pages: 2, uptime: 60}
	switch {
	case soaking():
		k = killing{kills: 1000, streams: 84, pages: 8, uptime: 60, firstGoal: 300 * time.Millisecond}
		require.GreaterOrEqual(t, k.records(), 1_000_000)
	case testing.Short():
		k = killing{kills: 12, streams: 4, pages: 2, uptime: 60}
	}
	settings := map[string]any{"streams": k.streams, "children": 2, "pages": k.pages, "records": killedPage, "segment": 100, "size": 120, "pause_ms": 0}
	calm := newSite(t, settings)
	d := calm.start()
	calm.within(5*time.Minute, "the undisturbed run ends", func() bool { return calm.over() })
	d.stop(t)
	want := calm.sums()
	require.Len(t, want, k.records())

	settings["pause_ms"] = 20
	others := busy(t)
	r := &reaper{site: newSite(t, settings), killing: k, random: chance(t)}
	began := time.Now()
	r.run()
	took := time.Since(began)
	r.within(10*time.Minute, "the run ends", func() bool { return r.over() })
	last := r.site.run()
	require.Equal(t, string(store.RunProcessed), last.State, r.cli("run", "show", last.ID))
	require.Equal(t, k.records(), last.Stats.Read, "counted once")
	require.Equal(t, k.records(), last.Stats.Added)
	require.Equal(t, k.streams*3, last.Streams.Processed)
	r.daemon.stop(t)
	require.Equal(t, want, r.sums())
	r.verified()
	require.Empty(t, r.processes(), "no process is left")
	p50, p99, most := r.quantiles()
	proved(t, "kills: %d of the host, %d of plugins, %d records in %s: 0 lost, 0 doubled, 0 processes left; from start to first commit p50 %s, p99 %s, at most %s (%d times)",
		r.hosts, r.plugins, len(want), took.Round(time.Second), p50, p99, most, len(r.firsts))
	if k.firstGoal > 0 {
		require.GreaterOrEqual(t, r.hosts+r.plugins, k.kills)
		// A start is some 100 ms of two processors: with as much work again beside it nobody
		// can tell how soon a host is there. That is no pass.
		verdict := "99 of 100 times the first commit came sooner"
		if others {
			verdict = "NOT MEASURED: the machine had other work, and all else of this proof holds; run it again with nothing beside it"
		}
		require.Less(t, p99, k.firstGoal, verdict)
	}
}

// reaper kills the processes of a site.
type reaper struct {
	*site
	killing
	random         *rand.Rand
	daemon         *daemonProcess
	hosts, plugins int
	inARow         int             // kills of the plugin since the host was started
	firsts         []time.Duration // from the start of a host to its first commit
	orphans        []int           // plugins whose host was killed
}

// mostInARow is how often a host sees its plugin killed: after five times within a
// minute the plugin rests, as it should.
const mostInARow = 4

// run starts the host and kills until there were enough.
func (r *reaper) run() {
	r.daemon = r.start()
	for r.hosts+r.plugins < r.kills {
		require.False(r.t, r.over(), "the run was over after %d kills", r.hosts+r.plugins)
		wait(r.t, r.pace())
		if r.inARow < mostInARow && r.random.IntN(2) == 0 {
			r.killPlugin()
			continue
		}
		r.inARow = 0
		r.orphans = r.processes()
		r.daemon.kill(r.t)
		r.hosts++
		began := time.Now()
		r.daemon = r.start()
		if r.random.IntN(4) == 0 {
			continue // and the next one may come while it starts
		}
		r.firstCommit(began)
		r.within(patience, "the plugins of a killed host end", func() bool {
			return !slices.ContainsFunc(r.processes(), func(pid int) bool { return slices.Contains(r.orphans, pid) })
		})
	}
}

// pace returns how long the next kill waits: not at all when the sync is ahead of
// the kills.
func (r *reaper) pace() int {
	at, _ := r.progress()
	if at*r.kills > (r.hosts+r.plugins+1)*r.records() {
		return 0
	}
	return r.random.IntN(r.uptime)
}

// killPlugin kills the process that serves everybody. One that a suspect has to
// itself is spared: two of those that end are poison, as they should be.
func (r *reaper) killPlugin() {
	out, err := r.try("plugin", "list", "-o", "json")
	var doc struct{ Plugins []pluginDoc }
	if err != nil || json.Unmarshal([]byte(out), &doc) != nil {
		return // the host has just been started
	}
	for _, p := range doc.Plugins {
		if p.State == "serving" && p.PID > 0 && syscall.Kill(p.PID, syscall.SIGKILL) == nil {
			r.plugins++
			r.inARow++
		}
	}
}

// firstCommit waits for a commit of the host that was started at the time. It reads
// the database, which costs the host nothing: commands in a row would take from it
// the processor that it starts with. What it committed before the first look does
// not count, so it was faster still.
func (r *reaper) firstCommit(began time.Time) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	var look *sql.DB
	before := -1
	for {
		if look == nil && r.answers() { // so the host has recovered the log by itself
			var err error
			look, err = sql.Open("sqlite", "file:"+filepath.Join(r.dir, "data", "jackfield.db")+"?mode=ro&_pragma=busy_timeout(5000)")
			require.NoError(r.t, err)
			defer func() { require.NoError(r.t, look.Close()) }()
		}
		if look != nil {
			var at int // the first host may have been killed before there was a run
			require.NoError(r.t, look.QueryRowContext(r.t.Context(), "SELECT coalesce(max(read), 0) FROM runs").Scan(&at))
			if before < 0 {
				before = at
			}
			if at > before || at == r.records() {
				r.firsts = append(r.firsts, time.Since(began))
				return
			}
		}
		select {
		case <-again.C:
		case <-deadline.C:
			require.Fail(r.t, "the host commits nothing", r.daemon.log.String())
		}
	}
}

// answers reports whether a daemon listens.
func (s *site) answers() bool {
	conn, err := (&net.Dialer{}).DialContext(s.t.Context(), "unix", filepath.Join(s.dir, "data", api.SocketName))
	if err != nil {
		return false
	}
	require.NoError(s.t, conn.Close())
	return true
}

// quantiles returns the median, the 99th of a hundred and the longest time to the
// first commit.
func (r *reaper) quantiles() (p50, p99, most time.Duration) {
	if len(r.firsts) == 0 {
		return 0, 0, 0
	}
	slices.Sort(r.firsts)
	at := func(share float64) time.Duration {
		return r.firsts[min(int(share*float64(len(r.firsts))), len(r.firsts)-1)].Round(time.Millisecond)
	}
	return at(0.5), at(0.99), at(1)
}

// busy reports whether the machine has other work than this test.
func busy(t *testing.T) bool {
	t.Helper()
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false // not Linux: nobody can tell
	}
	var load float64
	_, err = fmt.Sscan(string(raw), &load)
	require.NoError(t, err)
	return load > float64(runtime.NumCPU())+1 // the undisturbed run is in the figure
}

// progress returns how many records the newest run has read; false while no
// daemon answers.
func (s *site) progress() (int, bool) {
	run, ok := s.newest()
	return run.Stats.Read, ok
}

// over reports whether the newest run has ended.
func (s *site) over() bool {
	run, ok := s.newest()
	return ok && store.RunState(run.State).Terminal()
}

// newest returns the newest run; false while there is none or no daemon.
func (s *site) newest() (runDoc, bool) {
	out, err := s.try("run", "list", "--limit", "1", "-o", "json")
	var doc struct{ Runs []runDoc }
	if err != nil || json.Unmarshal([]byte(out), &doc) != nil || len(doc.Runs) == 0 {
		return runDoc{}, false
	}
	return doc.Runs[0], true
}

// wait lets the daemon work for a while before it is killed.
func wait(t testing.TB, ms int) {
	t.Helper()
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-t.Context().Done():
	}
}
