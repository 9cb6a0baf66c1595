package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// Manifest implements runner.Plugins.
func (*simRemote) Manifest(string) (sdk.Manifest, bool) { return simManifest(), true }

func simManifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "sim", Version: "1.0.0", Limits: sdk.Limits{Concurrency: 4096, PerRun: 4},
		Connectors: []sdk.Connector{
			{Name: "items", Force: true, Versions: true},
			{Name: "notes", Force: true, Versions: true},
			{Name: "shelf", Force: true, CompleteListing: true, Kinds: []string{"book"}},
		},
	}
}

// simTold is what the calls of a run were told.
type simTold struct {
	params     map[string]string
	connectors []string
	cursors    bool // one was told of a cursor
	streams    map[string]bool
	odd        []string // two calls were told different things
}

// hear keeps what a call of a run that a person asked for was told.
func (r *simRemote) hear(run sdk.Run, stream string, cursor []byte) {
	if run.Kind != sdk.RunManual {
		return
	}
	t := r.told[run.ID]
	if t == nil {
		t = &simTold{params: run.Params, connectors: run.Connectors, streams: map[string]bool{}}
		r.told[run.ID] = t
	}
	if !maps.Equal(t.params, run.Params) || !slices.Equal(t.connectors, run.Connectors) {
		t.odd = append(t.odd, fmt.Sprint(stream, " was told of ", run.Params, run.Connectors))
	}
	t.cursors = t.cursors || len(cursor) > 0
	if stream != "" {
		t.streams[stream] = true
	}
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
		if !i.r.grid { // each is told at a time of its own, so that their order is no chance
			late := time.NewTimer(time.Duration(i.r.hash(i.site, d) % uint64(time.Second)))
			defer late.Stop()
			<-late.C
		}
		return errSimDied
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// GetStreams implements sdk.Instance: a stream for each folder, the shelf and the
// notes, of what the run is about.
func (i *simInstance) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	i.r.mu.Lock()
	site := i.r.sites[i.site]
	var all []sdk.Stream
	for n := range site.folders {
		name := "f" + strconv.Itoa(n)
		all = append(all, sdk.Stream{ID: name, Connector: "items", Partition: name})
	}
	if site.notes {
		all = append(all, sdk.Stream{ID: "notes", Connector: "notes"})
	}
	if site.shelf != nil {
		all = append(all, sdk.Stream{ID: "shelf", Connector: "shelf", Partition: "shelf"})
	}
	i.r.calls++
	i.r.hear(call.Run, "", nil)
	i.r.mu.Unlock()
	for _, s := range all {
		if only := call.Run.Params["stream"]; only != "" && only != s.ID || !slices.Contains(call.Run.Connectors, s.Connector) {
			continue
		}
		if err := out.Stream(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// simPart is what a call reads.
type simPart struct {
	from    int
	older   []sdk.Record // which it sends once more
	records []sdk.Record
	streams []sdk.Stream
	to      int // what it has seen then, 0 for a stream that has no cursor
	more    bool
}

// ProcessStream implements sdk.Instance.
func (i *simInstance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	r := i.r
	key := i.site + " " + call.Stream.ID
	r.mu.Lock()
	r.asked[key]++
	r.calls++
	chance := r.hash(key, r.asked[key])
	part, err := i.read(call, r.faulty && chance>>20%8 == 0)
	fault := "none"
	if r.faulty {
		fault = simFault(chance, r.rate)
	}
	if fault == "loop" && call.Stream.Partition == "" { // it has no pages
		fault = "none"
	}
	r.faults[fault]++
	r.hear(call.Run, call.Stream.ID, call.Cursor)
	r.lines[key] = append(r.lines[key], fmt.Sprintf("%s call %d from %d: %s%s", time.Now().UTC().Format(time.RFC3339Nano), r.asked[key], part.from, fault, told(call.Run)))
	r.mu.Unlock()
	if err != nil {
		return sdk.Outcome{}, err
	}

	took := 50*time.Millisecond + time.Duration(chance>>24%uint64(2*time.Second))
	if r.grid {
		took = took.Truncate(500*time.Millisecond) + 500*time.Millisecond
	}
	if err := i.spend(ctx, took); err != nil {
		return sdk.Outcome{}, err
	}
	if err := i.fail(ctx, fault, chance, part.records, out); err != nil {
		return sdk.Outcome{}, err
	}
	for _, rec := range slices.Concat(part.older, part.records) {
		if err := out.Record(ctx, rec); err != nil {
			return sdk.Outcome{}, err
		}
	}
	for _, s := range part.streams {
		if err := out.Stream(ctx, s); err != nil {
			return sdk.Outcome{}, err
		}
	}
	return part.outcome(call, fault, chance), nil
}

// told is what a call of a run with parameters was told, for the log.
func told(run sdk.Run) string {
	if len(run.Params) == 0 {
		return ""
	}
	return fmt.Sprint(" ", run.Params)
}

func (p simPart) outcome(call sdk.StreamCall, fault string, chance uint64) (outcome sdk.Outcome) {
	if call.Stream.Partition != "" {
		to := strconv.Itoa(p.to)
		outcome.Cursor = []byte(to)
		switch {
		case fault == "loop" || strings.HasSuffix(string(call.Page), " again"): // from now on it gives this page for ever
			return sdk.Outcome{NextPage: []byte("0 again")}
		case p.more:
			outcome.NextPage = []byte(to)
		}
	}
	if fault == "ask to wait" {
		outcome.RateLimit = &sdk.RateLimit{After: time.Duration(1+chance>>8%600) * time.Second}
	}
	if fault == "sleep" {
		outcome.Sleep = time.Duration(1+chance>>8%60) * time.Minute
	}
	return outcome
}

// read returns what the stream is about, as it is now.
func (i *simInstance) read(call sdk.StreamCall, again bool) (p simPart, err error) {
	site := i.r.sites[i.site]
	switch what, id, _ := strings.Cut(call.Stream.ID, ":"); what {
	case "notes":
		p.streams = site.changed(call.Run.Watermarks["notes"])
	case "note", "more":
		c := site.item(id)
		p.records = append(p.records, c.record(what))
		if what == "note" && c.value%2 == 0 {
			p.streams = append(p.streams, sdk.Stream{ID: "more:" + id, Connector: "notes"})
		}
	case "shelf":
		p.page(site.shelf, call)
		for _, c := range site.shelf.changes[p.from:p.to] {
			if c, there := site.shelf.latest[c.id]; there { // as it is now
				p.records = append(p.records, c.record("book"))
			}
		}
	default:
		n, err := strconv.Atoi(strings.TrimPrefix(what, "f"))
		if err != nil {
			return p, err
		}
		f := site.folders[n]
		p.page(f, call)
		for _, c := range f.changes[p.from:p.to] {
			p.records = append(p.records, c.record("item"))
		}
		if again { // it sends some of them twice
			for _, c := range f.changes[max(0, p.from-3):p.from] {
				p.older = append(p.older, c.record("item"))
			}
		}
	}
	return p, nil
}

// page finds the changes of the next page.
func (p *simPart) page(f *simFolder, call sdk.StreamCall) {
	p.from = position(call)
	p.to = min(p.from+simPage, len(f.changes))
	p.more = p.to < len(f.changes)
}

// changed returns a stream for the note of each item that has changed since the
// start of the last run that did all of them. The host's clock may have been wrong
// then, by an hour.
func (s *simSite) changed(since time.Time) (out []sdk.Stream) {
	for _, f := range s.folders {
		for _, id := range slices.Sorted(maps.Keys(f.latest)) {
			if f.latest[id].at.After(since.Add(-2 * time.Hour)) {
				out = append(out, sdk.Stream{ID: "note:" + id, Connector: "notes"})
			}
		}
	}
	return out
}

// item returns an item as it is now.
func (s *simSite) item(id string) simChange {
	for _, f := range s.folders {
		if c, ok := f.latest[id]; ok {
			return c
		}
	}
	return simChange{id: id}
}

// position returns the length of the log that the call has seen.
func position(call sdk.StreamCall) int {
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
func (i *simInstance) fail(ctx context.Context, fault string, chance uint64, page []sdk.Record, out *sdk.Emitter) error {
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
		for _, rec := range page[:len(page)/2] {
			if err := out.Record(ctx, rec); err != nil {
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

// toldOf returns what the calls of a run were told, nil if there was none, and
// forgets it.
func (r *simRemote) toldOf(run int64) *simTold {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := strconv.FormatInt(run, 10)
	t := r.told[id]
	delete(r.told, id)
	return t
}
