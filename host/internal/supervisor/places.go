package supervisor

import (
	"context"
	"slices"
	"sync"
	"time"
)

// places bound how many tenants of a plugin have a process at once. Who finds none
// waits: those that came first are served first, and a process with nothing to do ends
// for them.
type places struct {
	most  int
	leave func(asked map[*actor]struct{}) *actor // that which can go first

	mu    sync.Mutex // guards what follows
	taken int
	queue []chan struct{}     // closed when the place is given
	asked map[*actor]struct{} // to end for one that waits
}

func newPlaces(most int, leave func(map[*actor]struct{}) *actor) *places {
	return &places{most: most, leave: leave, asked: map[*actor]struct{}{}}
}

// take takes a place, and reports whether there was one in time.
func (p *places) take(ctx context.Context, patience time.Duration) bool {
	p.mu.Lock()
	if p.taken < p.most && len(p.queue) == 0 {
		p.taken++
		p.mu.Unlock()
		return true
	}
	given := make(chan struct{})
	p.queue = append(p.queue, given)
	p.mu.Unlock()
	p.makeRoom()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-given:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.queue, given)
	if at < 0 {
		return true // at the last moment
	}
	p.queue = slices.Delete(p.queue, at, at+1)
	return false
}

// give gives back the place of a process that is gone.
func (p *places) give(of *actor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asked, of)
	if len(p.queue) == 0 {
		p.taken--
		return
	}
	close(p.queue[0])
	p.queue = p.queue[1:]
}

// keep is called of one that was asked to go and does not.
func (p *places) keep(of *actor) {
	p.mu.Lock()
	_, was := p.asked[of]
	delete(p.asked, of)
	p.mu.Unlock()
	if was {
		p.makeRoom()
	}
}

// makeRoom asks processes without work to end, one for each that waits.
func (p *places) makeRoom() {
	for {
		p.mu.Lock()
		if len(p.queue) <= len(p.asked) {
			p.mu.Unlock()
			return
		}
		a := p.leave(p.asked)
		if a == nil {
			p.mu.Unlock()
			return // the next that has nothing to do is asked
		}
		p.asked[a] = struct{}{}
		p.mu.Unlock()
		nudge(a.branch.leave)
	}
}

// count returns how many are taken, and how many wait.
func (p *places) count() (taken, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, len(p.queue)
}
