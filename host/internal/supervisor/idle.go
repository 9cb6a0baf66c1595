package supervisor

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackfield/jackfield/store"
)

// idleTimes are after how long plugins are stopped.
type idleTimes struct {
	all time.Duration
	of  map[string]time.Duration // instead, by name; never changed
}

// SetIdle changes after how long a plugin that nothing calls is stopped, until its
// next call starts it again; none is with zero. What of says of a plugin by name counts
// instead; it is not changed any more.
func (s *Supervisor) SetIdle(all time.Duration, of map[string]time.Duration) {
	before := s.idle.Swap(&idleTimes{all, of})
	if before.all == all && maps.Equal(before.of, of) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.actors {
		select {
		case a.retimed <- struct{}{}:
		default: // it is told already
		}
	}
}

// IdleAfter returns after how long the plugin is stopped if nothing calls it; 0: never.
func (s *Supervisor) IdleAfter(name string) time.Duration {
	times := s.idle.Load()
	if after, ok := times.of[name]; ok {
		return after
	}
	return times.all
}

// attention watches how long nothing has called a process. It is of the actor's run
// alone.
type attention struct {
	timer *time.Timer
	of    *process
}

// to turns to p, which may be nil.
func (t *attention) to(p *process, after time.Duration) {
	if p == t.of {
		return
	}
	t.of = p
	t.timer.Stop()
	if p != nil && after > 0 {
		t.timer.Reset(after)
	}
}

// rest stops the process if nothing has called it for long enough, and returns when to
// look again; zero if it did, or if that is of no use. A process that a new version is
// tried against stays, and so does one beside which a call runs alone.
func (a *actor) rest(ctx context.Context) (again time.Duration) {
	after := a.sup.IdleAfter(a.name)
	if after <= 0 {
		return 0
	}
	if a.trial != nil || a.sup.lends(a.name) {
		return after
	}
	// At once for who asks for the process: it is there, or the next call starts it.
	a.mu.Lock()
	p := a.current
	if p == nil {
		a.mu.Unlock()
		return 0
	}
	left, rests := p.instances.rests(after)
	if rests {
		a.current, a.state, a.asleep = nil, StateIdle, true
	}
	a.mu.Unlock()
	if !rests {
		return left
	}
	p.become(store.ProcessIdle, nil)
	a.lasted(a.sup.opts.Now().Sub(p.startedAt))
	a.log.Debug("plugin rests until its next call", "pid", p.x.pid(), "idle", after)
	a.sup.letGo(ctx, p, func() {})
	return 0
}

// lends reports whether a process of the plugin serves one call alone.
func (s *Supervisor) lends(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.alone {
		if p.binary.Name == name {
			return true
		}
	}
	return false
}

// sleeps reports whether a call may start the plugin.
func (a *actor) sleeps() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asleep
}

// awake returns the process that takes work. It starts a plugin that was stopped
// because nothing called it, and waits for that as long as ctx lasts: however many
// ask, one process is started. Without one it returns nil.
func (a *actor) awake(ctx context.Context) (*process, error) {
	a.mu.Lock()
	p, asleep := a.current, a.asleep
	a.mu.Unlock()
	if p != nil || !asleep {
		return p, nil
	}
	if err := a.ask(ctx, request{wake: true}); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %w", ErrNotLoaded, err)
	}
	return a.process(), nil
}

// wake starts a plugin that rests. If it does not start it is down like one that
// ended, and the delay after which it is started again is returned.
func (a *actor) wake(ctx context.Context) (again time.Duration, err error) {
	a.mu.Lock()
	rests := a.asleep && a.current == nil
	if rests {
		a.state = StateStarting
	}
	a.mu.Unlock()
	if !rests {
		return 0, nil // somebody was faster, or it is down by now
	}
	err = a.launch(ctx, a.wanted())
	switch {
	case err == nil || ctx.Err() != nil:
		return 0, err
	case a.endedOnProbation(ctx, err):
		return 0, nil
	default:
		return a.backOff(err), err
	}
}

// rests retires the set if nothing has been lent for the time, and reports whether it
// is retired; else it returns how long that takes at least.
func (s *instances) rests(after time.Duration) (left time.Duration, retired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return 0, false // it has ended, or is about to
	}
	if s.inFlight > 0 {
		return after, false
	}
	if left := after - time.Since(s.usedAt); left > 0 {
		return left, false
	}
	s.retired = true
	close(s.empty)
	return 0, true
}
