package supervisor

import (
	"context"
	"errors"
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
	for _, a := range s.everyone() {
		nudge(a.retimed)
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

// everyone returns the actors of plugins and of tenants' processes. The caller holds
// mu.
func (s *Supervisor) everyone() []*actor {
	all := make([]*actor, 0, len(s.actors))
	for _, a := range s.actors {
		all = append(append(all, a), a.branches.all()...)
	}
	return all
}

// idleAfter returns after how long the actor's process rests. That of a plugin whose
// tenants have one each has said all that is wanted of it.
func (a *actor) idleAfter() time.Duration {
	if a.branches != nil {
		return 1
	}
	return a.sup.IdleAfter(a.name)
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
	after := a.idleAfter()
	if after <= 0 {
		return 0
	}
	if a.branches == nil && (a.trial != nil || a.sup.lends(a.wanted())) {
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
	a.letGo(ctx, p)
	return 0
}

// lends reports whether a process of the plugin, and of the tenant, serves one call
// alone.
func (s *Supervisor) lends(b Binary) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.alone {
		if p.binary.Name == b.Name && p.binary.Tenant == b.Tenant {
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
	if err := a.ask(ctx, request{wake: true, since: time.Now()}); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case a.branch != nil && errors.Is(err, ErrNotRunning):
			return nil, errRetired
		case errors.Is(err, ErrNotLoaded):
			return nil, err
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

// firstCall is how long a process that was started for a call has until that comes.
const firstCall = time.Second

// unused returns since when nothing is lent, and whether the process can go for it.
func (s *instances) unused() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedAt, s.vacant()
}

// vacant reports whether the process can end for another one. The caller holds mu.
func (s *instances) vacant() bool {
	return !s.retired && s.inFlight == 0 && (s.used || time.Since(s.usedAt) >= firstCall)
}

// vacate retires the set if it is vacant, and reports whether it was.
func (s *instances) vacate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.vacant() {
		return false
	}
	s.retired = true
	close(s.empty)
	return true
}
