package runner

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// room is how many calls a plugin's process takes at once. One that replaces it may
// say otherwise.
type room struct {
	plugin string
	calls  int
}

// places are the calls that may be in flight in a plugin's process. A quarter of
// them is kept free of work that nobody waits for: what a person asks for finds a
// place beside an onboarding (K12). Of the rest a tenant takes no more than a
// quarter while others wait (K13).
type places struct {
	bulk  int // for work that nobody waits for, at most
	share int // of bulk, for a tenant while others wait

	mu      sync.Mutex // guards what follows
	free    int
	held    int           // by work that nobody waits for
	tenants map[int64]int // held, by tenant
	queue   []*seeker     // in the order in which they came
}

// seats are places as one run may take them.
type seats struct {
	*places
	tenant int64
	asked  bool // a person waits for the run
}

// seeker waits for a place.
type seeker struct {
	seats
	found chan struct{}
}

func newPlaces(calls int) *places {
	kept := calls / 4
	if calls > 1 {
		kept = max(kept, 1)
	}
	bulk := calls - kept
	return &places{bulk: bulk, share: max(1, bulk/4), free: calls, tenants: map[int64]int{}}
}

// seats returns the places of the plugin's process for a tenant's run of the kind.
func (r *Runner) seats(m sdk.Manifest, tenant int64, kind store.RunKind) seats {
	key := room{m.Name, cmp.Or(max(m.Limits.Concurrency, 0), 16)}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.calls[key]
	if p == nil {
		p = newPlaces(key.calls)
		r.calls[key] = p
	}
	return seats{places: p, tenant: tenant, asked: kind == store.RunManual}
}

// try takes a place if one is free.
func (s seats) try() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sit()
}

// take waits for a place. Those that wait are served in their order, but for one
// whose tenant has enough.
func (s seats) take(ctx context.Context) error {
	s.mu.Lock()
	if s.sit() {
		s.mu.Unlock()
		return nil
	}
	k := &seeker{seats: s, found: make(chan struct{})}
	s.queue = append(s.queue, k)
	s.mu.Unlock()
	select {
	case <-k.found:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.queue, k); at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
	} else {
		s.rise(1) // it was found at the same moment
	}
	s.serve() // without k others may have their turn
	return ctx.Err()
}

// keep reports whether a place that s has, and could give back now, is its own
// again: nobody waits who would have it. It stays with s either way.
func (s seats) keep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rise(1)
	keeps := s.fits() && !slices.ContainsFunc(s.queue, func(k *seeker) bool { return k.fits() })
	s.settle()
	return keeps
}

// give gives n places back.
func (s seats) give(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rise(n)
	s.serve()
}

// sit takes a place that s may have now. The caller holds mu.
func (s seats) sit() bool {
	if !s.fits() {
		return false
	}
	s.settle()
	return true
}

// fits reports whether s may have a place now. The caller holds mu.
func (s seats) fits() bool {
	if s.free == 0 {
		return false
	}
	return s.asked || s.held < s.bulk && (s.tenants[s.tenant] < s.share || !s.poorer())
}

// settle takes a place. The caller holds mu.
func (s seats) settle() {
	if !s.asked {
		s.held++
		s.tenants[s.tenant]++
	}
	s.free--
}

// rise undoes settle. The caller holds mu.
func (s seats) rise(n int) {
	s.free += n
	if s.asked {
		return
	}
	s.held -= n
	if s.tenants[s.tenant] -= n; s.tenants[s.tenant] == 0 {
		delete(s.tenants, s.tenant)
	}
}

// poorer reports whether somebody waits whose tenant has less than its share. The
// caller holds mu.
func (p *places) poorer() bool {
	return slices.ContainsFunc(p.queue, func(k *seeker) bool { return !k.asked && p.tenants[k.tenant] < p.share })
}

// serve gives free places to those that wait. The caller holds mu.
func (p *places) serve() {
	for at := 0; at < len(p.queue) && p.free > 0; {
		k := p.queue[at]
		if !k.sit() {
			at++
			continue
		}
		p.queue = slices.Delete(p.queue, at, at+1)
		close(k.found)
		at = 0 // one that was passed over for this one may have its turn now
	}
}
