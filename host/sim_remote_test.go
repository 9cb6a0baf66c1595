package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// simRemote is the remote system of a simulation and the plugin that reads it. It
// fails by seed: what a call does is decided by whose it is and which one it is,
// not by when it comes.
type simRemote struct {
	seed    uint64
	special int // of so many sites one has notes, and one a shelf

	mu      sync.Mutex // guards what follows
	sites   map[string]*simSite
	process *simProcess
	faulty  bool
	rate    uint64 // of a thousand calls, how many go wrong in each of the ways
	grid    bool   // calls take whole half seconds, so that many end together
	calls   int
	asked   map[string]int // calls of ProcessStream, by site and stream
	faults  map[string]int
	lines   map[string][]string // what was called, by site and stream
	told    map[string]*simTold // what calls of runs that a person asked for were told, by run
	away    time.Time           // until then no process takes calls
}

// simSite is what the remote system keeps of one integration: items in folders,
// which it tells the deletions of, with notes beside them at some; and a shelf of
// books at others, of which one that is gone is gone without a word.
type simSite struct {
	folders []*simFolder
	notes   bool
	shelf   *simFolder
}

// connectors returns what is there to import.
func (s *simSite) connectors() []string {
	switch {
	case s.notes:
		return []string{"items", "notes"}
	case s.shelf != nil:
		return []string{"items", "shelf"}
	default:
		return []string{"items"}
	}
}

// simFolder is a partition: a log of changes, of which a cursor is a length.
type simFolder struct {
	changes []simChange
	latest  map[string]simChange
	gone    map[string]time.Time // books that vanished
}

// simChange is a state that an item came to.
type simChange struct {
	id      string
	version int
	deleted bool
	value   int
	at      time.Time
}

const simPage = 8 // changes of a page

func newSimRemote(seed uint64) *simRemote {
	return &simRemote{
		seed: seed, sites: map[string]*simSite{}, process: newSimProcess(), faulty: true, rate: 2,
		asked: map[string]int{}, faults: map[string]int{}, lines: map[string][]string{}, told: map[string]*simTold{},
	}
}

// add makes a site with some items in each of its folders. Some have notes, which
// are a stream of each item, and others a shelf.
func (r *simRemote) add(n, folders, items int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	site := &simSite{notes: n%r.special == 1}
	for n := range folders {
		site.folders = append(site.folders, newSimFolder(fmt.Sprintf("f%d-", n), items))
	}
	if n%r.special == 3 {
		site.shelf = newSimFolder("b", items)
	}
	r.sites[simTenant(n)] = site
}

func newSimFolder(prefix string, items int) *simFolder {
	f := &simFolder{latest: map[string]simChange{}, gone: map[string]time.Time{}}
	for i := range items {
		f.change(simChange{id: prefix + strconv.Itoa(i), value: i})
	}
	return f
}

// edit changes a folder: items come, change and go.
func (r *simRemote) edit(name string, chance uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	site := r.sites[name]
	n := int(chance % uint64(len(site.folders)))
	f := site.folders[n]
	id := fmt.Sprintf("f%d-%d", n, chance>>8%uint64(len(f.latest)+2))
	was, known := f.latest[id]
	c := simChange{id: id, value: int(chance >> 16 % 1000), deleted: known && chance>>40%4 == 0}
	if known { // what has more goes on to have it
		c.value += (c.value + was.value) % 2
	}
	f.change(c)
}

// editShelf changes the shelf: books come, change and vanish.
func (r *simRemote) editShelf(name string, chance uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.sites[name].shelf
	if f == nil {
		return
	}
	id := fmt.Sprintf("b%d", chance>>8%uint64(len(f.latest)+3))
	if _, there := f.latest[id]; there && chance>>40%3 == 0 {
		delete(f.latest, id)
		f.gone[id] = simClock()
		return
	}
	f.change(simChange{id: id, value: int(chance >> 16 % 1000)})
}

// simClock is the remote system's, which is right.
func simClock() time.Time { return time.Now().Add(simBegin().Sub(simEpoch())) }

func (f *simFolder) change(c simChange) {
	c.version = len(f.changes) + 1
	c.at = simClock()
	f.changes = append(f.changes, c)
	f.latest[c.id] = c
	delete(f.gone, c.id)
}

// truth returns what a copy of the site must hold: the data of each thing by its
// kind and id, empty for one that is gone.
func (r *simRemote) truth(name string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]string{}
	site := r.sites[name]
	for _, f := range site.folders {
		for _, c := range f.latest {
			out["item "+c.id] = string(c.record("item").Data)
			if site.notes {
				out["note "+c.id] = string(c.record("note").Data)
			}
			if site.notes && c.value%2 == 0 {
				out["more "+c.id] = string(c.record("more").Data)
			}
		}
	}
	if site.shelf != nil {
		for _, c := range site.shelf.latest {
			out["book "+c.id] = string(c.record("book").Data)
		}
	}
	return out
}

// vanished returns when books left the shelf of a site, by kind and id.
func (r *simRemote) vanished(name string) map[string]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]time.Time{}
	if shelf := r.sites[name].shelf; shelf != nil {
		for id, at := range shelf.gone {
			out["book "+id] = at
		}
	}
	return out
}

// record is the change as the plugin emits it; books have no version.
func (c simChange) record(kind string) sdk.Record {
	r := sdk.Record{Kind: kind, ID: c.id, Delete: c.deleted}
	if kind != "book" {
		r.Version = fmt.Sprintf("%08d", c.version)
	}
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

// hash is a number that depends on the seed and on what is named alone.
func (r *simRemote) hash(parts ...any) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, r.seed, parts) // never fails
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
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

// line takes down what happened.
func (r *simRemote) line(key, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[key] = append(r.lines[key], time.Now().UTC().Format(time.RFC3339Nano)+" "+what)
}
