package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
)

// simRemote is the remote system of a simulation and the plugin that reads it. It
// fails by seed: what a call does is decided by whose it is and which one it is,
// not by when it comes.
type simRemote struct {
	seed uint64

	mu      sync.Mutex // guards what follows
	sites   map[string]*simSite
	process *simProcess
	faulty  bool
	rate    uint64 // of a thousand calls, how many go wrong in each of the ways
	grid    bool   // calls take whole half seconds, so that many end together
	calls   int
	faults  map[string]int
	lines   map[string][]string // what was called, by site and stream
}

// simSite is what the remote system keeps of one integration.
type simSite struct {
	folders []*simFolder
}

// simFolder is a partition: a log of changes, of which a cursor is a length.
type simFolder struct {
	changes []simChange
	latest  map[string]simChange
	asked   int // calls of ProcessStream
}

// simChange is a state that an item came to.
type simChange struct {
	id      string
	version int
	deleted bool
	value   int
}

// simProcess is one life of the plugin's process.
type simProcess struct {
	dead chan struct{}
}

var (
	errSimDied = errors.New("the process is gone")
	errSimAway = errors.New("the process is starting")
)

const simPage = 8 // changes of a page

func newSimRemote(seed uint64) *simRemote {
	return &simRemote{
		seed: seed, sites: map[string]*simSite{}, process: &simProcess{dead: make(chan struct{})},
		faulty: true, rate: 2, faults: map[string]int{}, lines: map[string][]string{},
	}
}

// add makes a site with some items in each of its folders.
func (r *simRemote) add(name string, folders, items int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	site := &simSite{}
	for n := range folders {
		f := &simFolder{latest: map[string]simChange{}}
		for i := range items {
			f.change(simChange{id: fmt.Sprintf("f%d-%d", n, i), value: i})
		}
		site.folders = append(site.folders, f)
	}
	r.sites[name] = site
}

// edit changes a folder: items come, change and go.
func (r *simRemote) edit(name string, chance uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	site := r.sites[name]
	n := int(chance % uint64(len(site.folders)))
	f := site.folders[n]
	id := fmt.Sprintf("f%d-%d", n, chance>>8%uint64(len(f.latest)+2))
	_, known := f.latest[id]
	f.change(simChange{id: id, value: int(chance >> 16 % 1000), deleted: known && chance>>40%4 == 0})
}

func (f *simFolder) change(c simChange) {
	c.version = f.latest[c.id].version + 1
	f.changes = append(f.changes, c)
	f.latest[c.id] = c
}

// truth returns what a copy of the site must hold: the data of each item by its id,
// empty for one that is gone.
func (r *simRemote) truth(name string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]string{}
	for _, f := range r.sites[name].folders {
		for id, c := range f.latest {
			out[id] = ""
			if !c.deleted {
				out[id] = string(c.record().Data)
			}
		}
	}
	return out
}

func (c simChange) record() sdk.Record {
	r := sdk.Record{Kind: "item", ID: c.id, Version: fmt.Sprintf("%08d", c.version), Delete: c.deleted}
	if !c.deleted {
		r.Data = fmt.Appendf(nil, `{"value":%d,"version":%d}`, c.value, c.version)
	}
	return r
}

// heal ends the failures.
func (r *simRemote) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faulty = false
}

// Manifest implements runner.Plugins.
func (*simRemote) Manifest(string) (sdk.Manifest, bool) { return simManifest(), true }

func simManifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "sim", Version: "1.0.0", Limits: sdk.Limits{Concurrency: 4096, PerRun: 4},
		Connectors: []sdk.Connector{{Name: "items", Force: true, Versions: true}},
	}
}

// Acquire implements runner.Plugins.
func (r *simRemote) Acquire(_ context.Context, _ string, in sdk.Integration) (runner.Plugin, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return runner.Plugin{
		Instance: &simInstance{r: r, site: in.Tenant, process: r.process}, Manifest: simManifest(), Release: func(bool) {},
	}, nil
}

// AcquireAlone implements runner.Plugins.
func (r *simRemote) AcquireAlone(_ context.Context, _ string, in sdk.Integration) (runner.Plugin, error) {
	return runner.Plugin{
		Instance: &simInstance{r: r, site: in.Tenant, process: &simProcess{dead: make(chan struct{})}}, Manifest: simManifest(), Release: func(bool) {},
	}, nil
}

// Lost, Reopen and Away implement runner.Plugins.
func (*simRemote) Lost(err error) bool { return errors.Is(err, errSimDied) }
func (*simRemote) Reopen(error) bool   { return false }
func (*simRemote) Away(err error) bool { return errors.Is(err, errSimAway) }

// die ends the plugin's process, with every call in it.
func (r *simRemote) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.process.dead)
	r.process = &simProcess{dead: make(chan struct{})}
}

// hash is a number that depends on the seed and on what is named alone.
func (r *simRemote) hash(parts ...any) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, r.seed, parts) // never fails
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// simInstance is the plugin opened for one integration, in one process.
type simInstance struct {
	r       *simRemote
	site    string
	process *simProcess
}

var _ sdk.Instance = (*simInstance)(nil)

// spend lets time pass as a call to the remote system does.
func (i *simInstance) spend(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-i.process.dead:
		return errSimDied
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// GetStreams implements sdk.Instance: a stream for each folder.
func (i *simInstance) GetStreams(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
	i.r.mu.Lock()
	n := len(i.r.sites[i.site].folders)
	i.r.calls++
	i.r.mu.Unlock()
	for f := range n {
		name := "f" + strconv.Itoa(f)
		if err := out.Stream(ctx, sdk.Stream{ID: name, Connector: "items", Partition: name}); err != nil {
			return err
		}
	}
	return nil
}

// ProcessStream implements sdk.Instance: a page of the changes since the cursor.
func (i *simInstance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	r := i.r
	n, err := strconv.Atoi(strings.TrimPrefix(call.Stream.ID, "f"))
	if err != nil {
		return sdk.Outcome{}, err
	}
	from := i.position(call)
	r.mu.Lock()
	f := r.sites[i.site].folders[n]
	f.asked++
	r.calls++
	chance := r.hash(i.site, n, f.asked)
	fault := "none"
	if r.faulty {
		fault = simFault(chance, r.rate)
	}
	r.faults[fault]++
	page := slices.Clone(f.changes[from:min(from+simPage, len(f.changes))])
	var older []simChange // it sends some of them twice
	if r.faulty && chance>>20%8 == 0 {
		older = slices.Clone(f.changes[max(0, from-3):from])
	}
	more := from+len(page) < len(f.changes)
	key := i.site + " " + call.Stream.ID
	r.lines[key] = append(r.lines[key], fmt.Sprintf("%s call %d from %d: %s", time.Now().UTC().Format(time.RFC3339Nano), f.asked, from, fault))
	r.mu.Unlock()

	took := 50*time.Millisecond + time.Duration(chance>>24%uint64(2*time.Second))
	if r.grid {
		took = took.Truncate(500*time.Millisecond) + 500*time.Millisecond
	}
	if err := i.spend(ctx, took); err != nil {
		return sdk.Outcome{}, err
	}
	if err := i.fail(ctx, fault, chance, page, out); err != nil {
		return sdk.Outcome{}, err
	}
	for _, c := range slices.Concat(older, page) {
		if err := out.Record(ctx, c.record()); err != nil {
			return sdk.Outcome{}, err
		}
	}
	to := strconv.Itoa(from + len(page))
	outcome := sdk.Outcome{Cursor: []byte(to)}
	switch {
	case fault == "loop" || strings.HasSuffix(string(call.Page), " again"): // from now on it gives this page for ever
		outcome = sdk.Outcome{NextPage: []byte("0 again")}
	case more:
		outcome.NextPage = []byte(to)
	}
	if fault == "ask to wait" {
		outcome.RateLimit = &sdk.RateLimit{After: time.Duration(1+chance>>8%600) * time.Second}
	}
	if fault == "sleep" {
		outcome.Sleep = time.Duration(1+chance>>8%60) * time.Minute
	}
	return outcome, nil
}

// position returns the length of the log that the call has seen.
func (*simInstance) position(call sdk.StreamCall) int {
	at := string(call.Cursor)
	if len(call.Page) > 0 {
		at, _, _ = strings.Cut(string(call.Page), " ")
	}
	n, _ := strconv.Atoi(at) // empty: from the beginning
	return n
}

// simFault returns how the call goes wrong, which most do not.
func simFault(chance, rate uint64) string {
	kinds := []string{
		"429", "429", "429 until", "5xx", "5xx", "5xx", "timeout", "half a page", "half a page", "hang", "hang and come back",
		"death", "loop", "sleep", "ask to wait", "refused", "away",
	}
	if n := chance % 1000; n < rate*uint64(len(kinds)) {
		return kinds[n/rate]
	}
	return "none"
}

// fail does what the fault is, before the page is sent.
func (i *simInstance) fail(ctx context.Context, fault string, chance uint64, page []simChange, out *sdk.Emitter) error {
	transient := func(code string) error {
		return &sdk.Error{Class: sdk.ClassTransient, Code: code, Message: "the remote system is " + code}
	}
	wait := time.Duration(1+chance>>8%600) * time.Second
	switch fault {
	case "429":
		return sdk.RateLimitedFor(wait)
	case "429 until":
		return sdk.RateLimitedUntil(time.Now().Add(wait))
	case "5xx":
		return transient("unavailable")
	case "timeout":
		if err := i.spend(ctx, 45*time.Second); err != nil {
			return err
		}
		return transient("timeout")
	case "half a page":
		for n, c := range page {
			if n >= len(page)/2 {
				break
			}
			if err := out.Record(ctx, c.record()); err != nil {
				return err
			}
		}
		if err := out.Checkpoint(ctx, sdk.Checkpoint{}); err != nil {
			return err
		}
		return transient("reset")
	case "hang":
		return i.spend(ctx, 24*time.Hour)
	case "hang and come back": // late, and it cares for nothing
		_ = i.spend(context.WithoutCancel(ctx), 3*time.Minute)
		return nil
	case "death":
		i.r.die()
		return errSimDied
	case "refused":
		return &sdk.Error{Class: sdk.ClassRemote, Code: "refused", Message: "the remote system refuses"}
	case "away":
		return errSimAway
	default:
		return nil
	}
}

// log returns what was called, in an order that depends on nothing but that.
func (r *simRemote) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(r.lines)) {
		for _, line := range r.lines[key] {
			b.WriteString(key + " " + line + "\n")
		}
	}
	return b.String()
}

// tally returns the faults by kind.
func (r *simRemote) tally() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.Marshal(r.faults)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
