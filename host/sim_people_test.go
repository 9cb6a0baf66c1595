package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// simPeople do by seed what people do with a daemon, and keep in mind what they
// may expect then.
type simPeople struct {
	w      *simWorld
	rnd    *rand.Rand
	tokens int
	done   map[string]int

	open    []simAsk
	asked   map[int]int            // runs, by tenant
	cancels map[int][]time.Time    // of runs of a tenant, by the host's clock
	held    map[int]time.Time      // tenants that are disabled, and until when
	holds   map[int][][2]time.Time // when they were, by the right clock
	listed  map[int]time.Time      // when the last full listing that came to its end was asked for
	paused  atomic.Bool            // the host is
	until   time.Time              // it is
	pauses  [][2]time.Time         // when it was
}

// simAsk is a run that was asked for.
type simAsk struct {
	n       int
	what    string
	req     store.RunRequest
	run     int64
	created bool // for this; else one that was open answers it
	at      time.Time
}

func newSimPeople(w *simWorld) *simPeople {
	return &simPeople{
		w: w, rnd: rand.New(rand.NewPCG(w.plan.seed, 2)), done: map[string]int{}, asked: map[int]int{},
		cancels: map[int][]time.Time{}, held: map[int]time.Time{}, holds: map[int][][2]time.Time{}, listed: map[int]time.Time{},
	}
}

// act does what people do at this tick, mostly nothing.
func (p *simPeople) act() {
	for _, n := range slices.Sorted(maps.Keys(p.held)) {
		if !time.Now().Before(p.held[n]) {
			p.release(n)
		}
	}
	if p.paused.Load() && !time.Now().Before(p.until) {
		p.resume()
	}
	const day = 24 * 60
	if p.rnd.IntN(100*day) < p.w.plan.tenants*p.w.plan.acts {
		p.visit(p.rnd.IntN(p.w.plan.tenants))
	}
	switch p.rnd.IntN(4 * day) {
	case 0, 1: // another version of the plugin
		p.note("the plugin is put in its place")
		p.done["plugin replaced"]++
		p.w.remote.restart(time.Duration(p.rnd.IntN(60_000))*time.Millisecond, time.Duration(p.rnd.IntN(20_000))*time.Millisecond)
	case 2:
		p.note("the plugin is killed")
		p.done["plugin killed"]++
		p.w.remote.die()
	case 3:
		if p.w.jumped.IsZero() && !p.paused.Load() {
			p.note("the host is paused")
			p.done["paused"]++
			p.until = time.Now().Add(time.Duration(10+p.rnd.IntN(30)) * time.Minute)
			p.pauses = append(p.pauses, [2]time.Time{simClock()})
			p.paused.Store(true)
			p.w.sched.Wake()
		}
	}
}

// note takes down an act, when all that the engine does at this moment is done.
func (p *simPeople) note(what string) {
	synctest.Wait()
	p.w.remote.line("people", what)
}

// visit does something with one tenant.
func (p *simPeople) visit(n int) {
	_, held := p.held[n]
	if n%50 == 0 || held { // those have their busy day
		return
	}
	site := p.w.remote.sites[simTenant(n)]
	switch p.rnd.IntN(10) {
	case 0, 1:
		p.sync(n, "manual", store.RunRequest{})
	case 2, 3:
		p.sync(n, "forced", store.RunRequest{Force: true, ParamsSum: "force"})
	case 4, 5:
		p.tokens++
		token := strconv.Itoa(p.tokens)
		streams := []string{"f0", "f0"}
		switch {
		case site.notes:
			streams[1] = "notes"
		case site.shelf != nil:
			streams[1] = "shelf"
		}
		p.sync(n, "with parameters", store.RunRequest{
			Params: map[string]string{"stream": streams[p.rnd.IntN(2)], "token": token}, ParamsSum: "token " + token,
		})
	case 6:
		p.sync(n, "of a connector", store.RunRequest{Connectors: []string{"items"}, ParamsSum: "items"})
	case 7:
		p.cancels[n] = append(p.cancels[n], p.wall())
		p.sync(n, "in the place of others", store.RunRequest{Replace: true})
	default:
		p.hold(n, p.rnd.IntN(2) == 0)
	}
}

func (p *simPeople) wall() time.Time { return p.w.now().Truncate(time.Millisecond).UTC() }

// sync asks for a run, once the tenant is onboarded.
func (p *simPeople) sync(n int, what string, req store.RunRequest) {
	w := p.w
	in, err := w.db.IntegrationByID(context.Background(), w.ids[n])
	require.NoError(w.t, err)
	if in.OnboardedAt.IsZero() {
		return
	}
	p.note(simTenant(n) + ": a run " + what)
	req.IntegrationID, req.Kind = w.ids[n], store.RunManual
	run, created, err := w.db.RequestRun(context.Background(), req)
	require.NoError(w.t, err)
	p.asked[n]++
	p.open = append(p.open, simAsk{n: n, what: what, req: req, run: run.ID, created: created, at: simClock()})
}

// hold disables a tenant's integration for some hours.
func (p *simPeople) hold(n int, finish bool) {
	p.note(simTenant(n) + " is disabled")
	p.done["disabled"]++
	p.cancels[n] = append(p.cancels[n], p.wall()) // with finish what has not begun
	_, err := p.w.db.HoldIntegration(context.Background(), p.w.ids[n], "a person", finish)
	require.NoError(p.w.t, err)
	p.held[n] = time.Now().Add(time.Duration(30+p.rnd.IntN(600)) * time.Minute)
	p.holds[n] = append(p.holds[n], [2]time.Time{simClock(), simClock().Add(1000 * time.Hour)})
}

func (p *simPeople) release(n int) {
	p.note(simTenant(n) + " is enabled")
	_, err := p.w.db.ReleaseIntegration(context.Background(), p.w.ids[n], "a person")
	require.NoError(p.w.t, err)
	delete(p.held, n)
	p.holds[n][len(p.holds[n])-1][1] = simClock()
}

// resume ends a pause of the host.
func (p *simPeople) resume() {
	if !p.paused.Load() {
		return
	}
	p.note("the host is no longer paused")
	p.paused.Store(false)
	p.pauses[len(p.pauses)-1][1] = simClock()
	p.w.sched.Wake()
}

// leave ends what they have begun.
func (p *simPeople) leave() {
	for _, n := range slices.Sorted(maps.Keys(p.held)) {
		p.release(n)
	}
	p.resume()
}

// listAll asks for a full listing wherever one deletes what is gone.
func (p *simPeople) listAll() {
	for n := range p.w.plan.tenants {
		if p.w.remote.sites[simTenant(n)].shelf != nil {
			p.sync(n, "forced, at the end", store.RunRequest{Force: true, AcceptDeletes: true, ParamsSum: "last"})
		}
	}
}

// away reports whether a tenant was disabled at some time between.
func (p *simPeople) away(n int, from, to time.Time) bool {
	return slices.ContainsFunc(p.holds[n], func(h [2]time.Time) bool { return !h[0].After(to) && !h[1].Before(from) })
}

// awake looks whether the run began while the host was paused. A clock that is set
// wrong knows nothing of that.
func (p *simPeople) awake(r store.Run) {
	for _, b := range p.pauses {
		inside := r.Kind == store.RunCheck && r.CreatedAt.After(b[0].Add(time.Minute)) && r.CreatedAt.Before(b[1])
		require.False(p.w.t, inside && !p.w.plan.jumps, "a check of %s began at %s, while the host was paused: %s", r.Tenant, r.CreatedAt, b)
	}
}

// follow looks what became of the runs that were asked for.
func (p *simPeople) follow() {
	var open []simAsk
	for _, a := range p.open {
		r, err := p.w.db.Run(context.Background(), a.run)
		require.NoError(p.w.t, err)
		if r.State.Terminal() {
			p.judge(a, r)
		} else {
			open = append(open, a)
		}
	}
	p.open = open
}

// judge compares a run that is over with what was asked for.
func (p *simPeople) judge(a simAsk, r store.Run) {
	w := p.w
	about := fmt.Sprintf("run %d of %s, %s, asked for at %s (seed %d)", r.ID, simTenant(a.n), a.what, a.at, w.plan.seed)
	p.done[a.what+", "+string(r.State)]++
	if r.State == store.RunCancelled {
		require.Contains(w.t, p.cancels[a.n], r.EndedAt.UTC(), "nobody cancelled %s", about)
		return
	}
	require.False(w.t, r.StartedAt.IsZero(), about)
	if !a.created { // another one answers for it
		return
	}
	told := w.remote.toldOf(r.ID)
	require.NotNil(w.t, told, "the plugin knows nothing of %s", about)
	require.Empty(w.t, told.odd, about)
	require.Len(w.t, told.params, len(a.req.Params), about)
	for key, value := range a.req.Params {
		require.Equal(w.t, value, told.params[key], about)
	}
	want := a.req.Connectors
	if want == nil {
		want = w.remote.sites[simTenant(a.n)].connectors()
	}
	require.Equal(w.t, want, told.connectors, about)
	require.False(w.t, a.req.Force && told.cursors, "%s was told of a cursor", about)
	if r.State != store.RunProcessed {
		return
	}
	if only := a.req.Params["stream"]; only != "" {
		require.True(w.t, told.streams[only], about)
		require.False(w.t, only == "f0" && len(told.streams) > 1, "%s did more: %v", about, told.streams)
	}
	if a.req.Force && a.at.After(p.listed[a.n]) {
		p.listed[a.n] = a.at
	}
}

// tally returns what was done, and how it ended.
func (p *simPeople) tally() string {
	text, err := json.Marshal(p.done)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
