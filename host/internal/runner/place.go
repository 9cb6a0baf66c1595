package runner

import (
	"cmp"
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// room is how many calls a plugin's process takes at once. One that replaces it may
// say otherwise.
type room struct {
	plugin string
	calls  int64
}

// places are the calls that may be in flight in a plugin's process. A quarter of
// them is kept free of work that nobody waits for: what a person asks for finds a
// place beside an onboarding (K12).
type places struct {
	all  *semaphore.Weighted
	rest *semaphore.Weighted // for what nobody waits for; taken before one of all
}

func newPlaces(calls int64) *places {
	kept := calls / 4
	if calls > 1 {
		kept = max(kept, 1)
	}
	return &places{all: semaphore.NewWeighted(calls), rest: semaphore.NewWeighted(calls - kept)}
}

// places returns those of the plugin's process for a run of the kind.
func (r *Runner) places(m sdk.Manifest, kind store.RunKind) *places {
	key := room{m.Name, int64(cmp.Or(max(m.Limits.Concurrency, 0), 16))}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.calls[key]
	if p == nil {
		p = newPlaces(key.calls)
		r.calls[key] = p
	}
	if kind == store.RunManual {
		return &places{all: p.all}
	}
	return p
}

// try takes a place if one is free.
func (p *places) try() bool {
	if p.rest != nil && !p.rest.TryAcquire(1) {
		return false
	}
	if p.all.TryAcquire(1) {
		return true
	}
	p.giveRest(1)
	return false
}

// take waits for a place.
func (p *places) take(ctx context.Context) error {
	if p.rest != nil {
		if err := p.rest.Acquire(ctx, 1); err != nil {
			return err
		}
	}
	err := p.all.Acquire(ctx, 1)
	if err != nil {
		p.giveRest(1)
	}
	return err
}

// give gives n places back.
func (p *places) give(n int) {
	p.all.Release(int64(n))
	p.giveRest(n)
}

func (p *places) giveRest(n int) {
	if p.rest != nil {
		p.rest.Release(int64(n))
	}
}
