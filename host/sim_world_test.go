package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/schedule"
	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// simPlan says what a simulation is made of.
type simPlan struct {
	seed    uint64
	tenants int
	days    int
	slots   int    // lanes at once
	room    int    // lanes of which each has a process to itself for a suspect, and memory for its calls; as always if zero
	verify  int    // ticks between two looks at what is under way
	rate    uint64 // of faults, of each kind among a thousand calls
	acts    int    // of people, in a hundred days of a tenant
	special int    // of so many sites one has notes, and one a shelf
	jumps   bool   // of the clock on the wall
	grid    bool   // calls take whole half seconds, so that many end together
}

// simWorld is the engine without its processes: the real store, scheduler and
// runner, a plugin that reads a remote system which fails, and the bubble's clock
// with what was done to it.
type simWorld struct {
	t      *testing.T
	plan   simPlan
	rnd    *rand.Rand // the driver's alone
	people *simPeople
	remote *simRemote
	dir    string
	skew   atomic.Int64 // of the clock on the wall

	db    *sqlite.DB
	sched *scheduler.Scheduler
	stop  context.CancelFunc
	ended chan error

	steps    simSteps
	ids      []int64         // of the integrations, by tenant
	rules    []schedule.Rule // of the tenants, by number
	counted  int64           // runs up to here
	checks   [][]time.Time   // when the schedule asked, by tenant
	runs     int
	restarts int
	jumps    int
	long     int       // jumps of years
	jumped   time.Time // until then the clock is wrong; zero: it is right
}

// simBegin is when a simulation begins: the next weeks have both changes to summer
// time in them, of America and of Europe.
func simBegin() time.Time { return time.Date(2026, 3, 4, 23, 17, 5, 0, time.UTC) }

// now is the time on the wall.
func (w *simWorld) now() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }

// instant is now for the store. Its writer asks for the time before it begins, and
// before each part: whoever is awake at this instant hands over what it has to write
// by then, and one commit is for all of it.
func (w *simWorld) instant() time.Time {
	runtime.Gosched()
	return w.now()
}

// up starts the engine.
func (w *simWorld) up() {
	w.t.Helper()
	const idle = 24 * time.Hour // the bubble's seconds are no rest
	var err error
	w.db, err = sqlite.Open(context.Background(), sqlite.Options{
		Path: w.dir, Now: w.instant, NoSync: true, Readers: 2, ReaderIdle: idle, WriterIdle: idle, OnRevoke: func(ids []int64) { w.sched.Revoke(ids) },
		OnStep: w.steps.step,
	})
	require.NoError(w.t, err)
	r := runner.New(w.db, w.remote, simVault{}, runner.Options{
		Private: w.plan.room, Memory: int64(w.plan.room) << 20,
		Now: w.now, Jitter: func() float64 { return float64(w.remote.hash(w.now().UnixNano())%1000) / 1000 },
	})
	w.sched = scheduler.New(w.db, func(ctx context.Context, l store.Lane, h *scheduler.Hold) error { return r.Work(ctx, l, h) },
		scheduler.Options{
			Paused: w.people.paused.Load,
			Slots:  w.plan.slots, Lease: 10 * time.Minute, Idle: 5 * time.Minute, Now: w.now, Wake: w.db.Wakes(), Plugins: func() []string { return []string{"sim"} },
		})
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan error, 1)
	go func() { w.ended <- w.sched.Run(ctx) }()
}

// down stops the engine as SIGTERM does.
func (w *simWorld) down() {
	w.t.Helper()
	w.stop()
	require.NoError(w.t, <-w.ended)
	require.NoError(w.t, w.db.Close())
}

// crash takes the store away from an engine at work: from that moment nothing is
// written, released or answered.
func (w *simWorld) crash() {
	w.t.Helper()
	require.NoError(w.t, w.db.Close())
	w.remote.die()
	w.stop()
	require.NoError(w.t, <-w.ended)
}

// simVault keeps settings in clear.
type simVault struct{}

func (simVault) Settings(in store.Integration) ([]byte, error) { return in.Settings, nil }
func (simVault) MergePatch(in store.Integration, changes map[string][]byte) ([]byte, error) {
	return json.Marshal(changes)
}
func (simVault) Seal(p []byte, _ ...string) ([]byte, error) { return p, nil }
func (simVault) Open(s []byte, _ ...string) ([]byte, error) { return s, nil }

// simRule returns a tenant's schedule: ticks of 6 to 24 hours for a fifth, a rule in
// a time zone for the others; for a day every fiftieth has one of five minutes.
func (w *simWorld) simRule(n int, busy bool) schedule.Rule {
	r := schedule.Rule{ID: int64(n + 1), UID: simUID(n)}
	zones := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}
	crons := []string{"30 2 * * *", "15 6 * * *", "0 2,14 * * *", "30 1 * * *", "0 3 * * *"}
	switch {
	case busy && n%50 == 0:
		r.Every = 5
	case n%5 < 1:
		r.Every = 360 + n*7919%1081
	default:
		r.Cron, r.Zone = crons[n%len(crons)], zones[n/len(crons)%len(zones)]
	}
	return r
}

func (w *simWorld) change(n int, op store.ChangeOp, rule schedule.Rule) store.Change {
	w.t.Helper()
	next, err := rule.Next(w.now())
	require.NoError(w.t, err)
	return store.Change{
		Op: op, UID: simUID(n), Sync: op == store.ChangeCreate, NextCheckAt: next,
		Spec: store.IntegrationSpec{
			Tenant: simTenant(n), Name: "sim", Plugin: "sim", Connectors: w.remote.sites[simTenant(n)].connectors(), Enabled: true,
			Every: rule.Every, Cron: rule.Cron, Timezone: rule.Zone, Settings: []byte(`{}`), SettingsSum: []byte("s"),
		},
	}
}

func simUID(n int) string { return fmt.Sprintf("%016x", n+1) }

func simTenant(n int) string { return fmt.Sprintf("t%04d", n) }

// simulate runs the plan in a bubble and hands the world over at its end.
func simulate(t *testing.T, plan simPlan, end func(w *simWorld)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		w := &simWorld{
			t: t, plan: plan, rnd: rand.New(rand.NewPCG(plan.seed, 1)), remote: newSimRemote(plan.seed), dir: dir,
			checks: make([][]time.Time, plan.tenants),
		}
		w.people = newSimPeople(w)
		w.remote.grid, w.remote.rate, w.remote.special = plan.grid, plan.rate, plan.special
		w.setRight()
		w.up()
		w.populate()
		for day := range plan.days {
			w.day(day)
		}
		w.settle()
		end(w)
		w.down()
	})
}

// populate makes the tenants, each with its schedule.
func (w *simWorld) populate() {
	w.t.Helper()
	var changes []store.Change
	for n := range w.plan.tenants {
		w.remote.add(n, 1+w.rnd.IntN(2)*w.rnd.IntN(2), 3+w.rnd.IntN(8))
		w.rules = append(w.rules, w.simRule(n, false))
		changes = append(changes, w.change(n, store.ChangeCreate, w.rules[n]))
	}
	require.NoError(w.t, w.db.ApplyChanges(context.Background(), changes))
	for n := range w.plan.tenants {
		in, err := w.db.IntegrationByUID(context.Background(), simUID(n))
		require.NoError(w.t, err)
		w.ids = append(w.ids, in.ID)
	}
}

// day lets a day pass, by the tick, and looks at the store as it goes on.
func (w *simWorld) day(day int) {
	w.t.Helper()
	if day == 10 || day == 11 { // for one day some are checked all the time
		var changes []store.Change
		for n := 0; n < w.plan.tenants; n += 50 {
			changes = append(changes, w.change(n, store.ChangeUpdate, w.simRule(n, day == 10)))
		}
		require.NoError(w.t, w.db.ApplyChanges(context.Background(), changes))
	}
	for tick := range 24 * 60 {
		w.disturb()
		if w.rnd.IntN(1000) < 2*w.plan.tenants {
			name, how := simTenant(w.rnd.IntN(w.plan.tenants)), w.rnd.Uint64()
			w.remote.edit(name, how)
			w.remote.editShelf(name, how)
		}
		time.Sleep(schedule.Tick) // the bubble's clock
		w.people.act()
		if tick%w.plan.verify == 0 {
			w.look("day %d, tick %d", day, tick)
		}
	}
	w.wholeDay(day)
}

// look checks what is under way.
func (w *simWorld) look(format string, args ...any) {
	w.t.Helper()
	synctest.Wait()
	found, err := w.db.VerifyCheap(context.Background())
	require.NoError(w.t, err)
	require.Empty(w.t, found, format, args)
	require.Empty(w.t, w.steps.broken(), format, args)
}

// wholeDay checks all that is stored, takes down when the schedule has asked, and
// lets what is old leave.
func (w *simWorld) wholeDay(day int) {
	w.t.Helper()
	synctest.Wait()
	found, err := w.db.Verify(context.Background())
	require.NoError(w.t, err)
	require.Empty(w.t, found, "day %d", day)
	w.count()
	w.people.follow()
	for more := w.jumped.IsZero(); more; {
		more, err = w.db.Purge(context.Background(), store.Retention{Runs: 24 * time.Hour, Events: 24 * time.Hour, Deleted: 20 * 24 * time.Hour})
		require.NoError(w.t, err)
	}
}

// count takes down the runs that are new.
func (w *simWorld) count() {
	w.t.Helper()
	newest := w.counted
	for before := int64(0); ; {
		runs, err := w.db.Runs(context.Background(), store.RunFilter{Limit: 1000, Before: before})
		require.NoError(w.t, err)
		for _, r := range runs {
			if r.ID <= w.counted {
				w.counted = newest
				return
			}
			newest = max(newest, r.ID)
			w.runs++
			var n int
			_, err := fmt.Sscanf(r.Tenant, "t%d", &n)
			require.NoError(w.t, err)
			w.checks[n] = append(w.checks[n], r.CreatedAt)
			w.people.awake(r)
			before = r.ID
		}
		if len(runs) == 0 {
			w.counted = newest
			return
		}
	}
}

// disturb does now and then what happens to a daemon, and to its clock.
func (w *simWorld) disturb() {
	w.t.Helper()
	if !w.jumped.IsZero() && time.Now().After(w.jumped) {
		synctest.Wait()
		w.setRight()
	}
	const year = 365 * 24 * time.Hour
	n := w.rnd.IntN(24 * 60 * 4)
	if n < 8 { // what the engine does at this moment is done, so that another time it is too
		synctest.Wait()
	}
	switch {
	case n < 4: // it dies at work
		w.crash()
		w.restarts++
		w.up()
	case n < 6:
		w.down()
		w.restarts++
		w.up()
	case n < 8 && w.plan.jumps && w.jumped.IsZero() && !w.people.paused.Load():
		w.jump([]time.Duration{time.Hour, -time.Hour}[w.rnd.IntN(2)])
	}
	if !w.plan.jumps {
		return
	}
	if passed := time.Since(simEpoch()).Truncate(schedule.Tick); passed == 15*24*time.Hour || passed == 20*24*time.Hour {
		synctest.Wait()
		w.people.resume()
		w.jump([]time.Duration{10 * year, -10 * year}[w.long%2])
		w.long++
	}
}

// simEpoch is when the clock of a bubble begins.
func simEpoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// setRight sets the clock on the wall right, if it is wrong.
func (w *simWorld) setRight() {
	w.skew.Store(int64(simBegin().Sub(simEpoch())))
	w.jumped = time.Time{}
}

// jump sets the clock on the wall wrong for a while.
func (w *simWorld) jump(by time.Duration) {
	w.skew.Add(int64(by))
	w.jumped = time.Now().Add(20 * time.Minute)
	w.jumps++
}

// settle lets the remote system heal and all that is left come in.
func (w *simWorld) settle() {
	w.t.Helper()
	w.remote.heal()
	w.setRight()
	w.people.leave()
	for range 36 {
		time.Sleep(time.Hour) // the bubble's clock
		w.look("at the end")
	}
	w.complete(false)
	w.people.listAll()
	for range 4 {
		time.Sleep(time.Hour) // the bubble's clock
		w.look("after the last listing")
	}
	w.count()
	w.people.follow()
	require.Empty(w.t, w.people.open, "each run that was asked for came to its end")
}

// simSteps is what the looks at the single steps found: at what each transaction
// did to a run, before its commit.
type simSteps struct {
	taken atomic.Int64

	mu    sync.Mutex // guards found
	found []store.Violation
}

func (s *simSteps) step(found []store.Violation) {
	s.taken.Add(1)
	if len(found) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, found...)
}

func (s *simSteps) broken() []store.Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}
