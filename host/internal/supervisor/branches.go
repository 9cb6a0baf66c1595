package supervisor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// branches are the processes of a plugin that has one for each tenant. Its own actor
// says which program they run, and has a process only to learn what that says of
// itself; each of theirs starts, restarts and rests for itself. Its methods do nothing
// without one.
type branches struct {
	places *places

	mu     sync.Mutex // guards what follows
	of     map[string]*actor
	closed bool // the plugin is not wanted any more
}

func newBranches(most int) *branches {
	b := &branches{of: map[string]*actor{}}
	b.places = newPlaces(most, b.leave)
	return b
}

// get returns the actor of a tenant's process, which is made if there is none; nil if
// the plugin is gone.
func (b *branches) get(trunk *actor, tenant string) *actor {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.of[tenant]
	if a == nil && !b.closed {
		a = newBranch(trunk, tenant)
		b.of[tenant] = a
	}
	return a
}

// find returns the actor of a tenant's process, if there is one.
func (b *branches) find(tenant string) *actor {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[tenant]
}

// all returns them by tenant.
func (b *branches) all() []*actor {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Values(b.of), func(a, b *actor) int { return cmp.Compare(a.branch.tenant, b.branch.tenant) })
}

// forget lets go of an actor that ends.
func (b *branches) forget(a *actor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[a.branch.tenant] == a {
		delete(b.of, a.branch.tenant)
	}
}

// close returns all that there are, and lets none come.
func (b *branches) close() []*actor {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.all()
}

// follow has each look at what it is to run.
func (b *branches) follow() {
	for _, a := range b.all() {
		nudge(a.branch.follow)
	}
}

// leave asks the process that has had nothing to do for longest for its place, but for
// those of asked, and returns its actor; nil if all are busy.
func (b *branches) leave(asked map[*actor]struct{}) *actor {
	var (
		found *actor
		since time.Time
	)
	for _, a := range b.all() {
		if _, ok := asked[a]; ok {
			continue
		}
		if p := a.process(); p != nil {
			if at, ok := p.instances.unused(); ok && (found == nil || at.Before(since)) {
				found, since = a, at
			}
		}
	}
	return found
}

// restart returns the request for each to have a new process, if it has one.
func (b *branches) restart() map[*actor]request {
	jobs := map[*actor]request{}
	for _, a := range b.all() {
		jobs[a] = request{restart: true}
	}
	return jobs
}

// halt ends every process, and returns when they are gone.
func (b *branches) halt(ctx context.Context) {
	var wg sync.WaitGroup
	for _, a := range b.all() {
		wg.Go(func() {
			_ = a.ask(ctx, request{stop: true}) // else it has ended already
		})
	}
	wg.Wait()
}

// freed returns what is told when a process has nothing in flight: others may wait for
// its place.
func (s *Supervisor) freed(b Binary) func() {
	a := s.actor(b.Name)
	if b.Tenant == "" || a == nil || a.branches == nil {
		return func() {}
	}
	return a.branches.places.makeRoom
}

// nudge tells one who listens to a channel of one, without waiting.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is told already
	}
}
