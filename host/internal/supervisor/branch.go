package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// branch is what the actor of one tenant's process has more than that of a plugin.
type branch struct {
	trunk  *actor // of the plugin
	tenant string
	follow chan struct{} // of one: what it is to run may be another
	leave  chan struct{} // of one: another tenant's process needs its place

	// run's alone
	placed   bool    // it has a place
	before   float64 // share of the calls that failed of the program before
	forgiven int     // ends that the program before had of late
}

func newBranch(trunk *actor, tenant string) *actor {
	a := makeActor(trunk.sup, Binary{Name: trunk.name})
	a.branch = &branch{trunk: trunk, tenant: tenant, follow: make(chan struct{}, 1), leave: make(chan struct{}, 1)}
	a.binary, a.book, a.log = a.due(), trunk.book, a.log.With("tenant", tenant)
	a.state, a.asleep = StateIdle, true
	return a
}

// binaryOf is what serves, or is to serve, as the tenant's process has it.
func (a *actor) binaryOf(tenant string) Binary {
	b := a.wanted()
	b.Tenant, b.Access = tenant, a.sup.opts.Reach(a.name, tenant)
	return b
}

// due is what a branch is to run.
func (a *actor) due() Binary { return a.branch.trunk.binaryOf(a.branch.tenant) }

// actorFor returns the actor of the process that serves the tenant; nil if none does.
func (s *Supervisor) actorFor(ctx context.Context, name, tenant string) (*actor, error) {
	a := s.actor(name)
	if a == nil || a.branches == nil {
		return a, nil
	}
	return s.branchOf(ctx, a, tenant)
}

// branchOf returns the actor of the tenant's process, with its goroutine; nil if the
// plugin takes no work.
func (s *Supervisor) branchOf(ctx context.Context, trunk *actor, tenant string) (*actor, error) {
	if tenant == "" {
		return nil, fmt.Errorf("plugin %s: each tenant has a process, and the call is of none", trunk.name)
	}
	if !trunk.serves() {
		return nil, nil //nolint:nilnil // there is none
	}
	a := trunk.branches.get(trunk, tenant)
	if a == nil {
		return nil, nil //nolint:nilnil // likewise
	}
	return a, s.employ(ctx, a)
}

// runBranch starts the tenant's process when it is called, restarts it after a crash
// at its next call, and replaces it when the plugin's program is another one. It
// returns when ctx ends, the plugin is removed, or there is nothing to remember.
func (a *actor) runBranch(ctx context.Context) {
	defer a.branch.trunk.branches.forget(a)
	calm, again := stoppedTimer(), stoppedTimer()
	defer calm.Stop()
	defer again.Stop()
	attends := attention{timer: stoppedTimer()}
	defer attends.timer.Stop()
	for {
		var gone <-chan struct{}
		p := a.process()
		if p != nil {
			gone = p.x.exited
		}
		attends.to(p, a.sup.IdleAfter(a.name))
		select {
		case <-ctx.Done():
			a.end(ctx, StateStopped)
			return
		case req := <-a.requests:
			err := a.answer(ctx, req)
			if at := a.status().RestartAt; !at.IsZero() {
				calm.Reset(at.Sub(a.sup.opts.Now()))
			}
			req.reply <- err
			if req.remove {
				return
			}
		case <-a.branch.follow:
			again.Stop()
			if !a.catchUp(ctx) {
				again.Reset(a.sup.opts.RetryCandidate)
			}
		case <-again.C:
			nudge(a.branch.follow)
		case <-attends.timer.C:
			if left := a.rest(ctx); left > 0 {
				attends.timer.Reset(left)
			}
		case <-a.retimed:
			attends.of = nil
		case <-a.branch.leave:
			if !a.makeWay(ctx) {
				a.branch.trunk.branches.places.keep(a)
			}
		case <-a.doubts:
			a.doubted()
		case <-gone:
			calm.Reset(a.crashed(ctx))
			a.giveBack()
		case <-calm.C:
			calm.Reset(a.calmed())
		}
		if a.unneeded() {
			return
		}
	}
}

// answer does what is asked of a branch.
func (a *actor) answer(ctx context.Context, req request) error {
	switch {
	case req.wake:
		return a.grow(ctx, req.since)
	case req.stop:
		a.end(ctx, StateIdle)
		a.sleep()
	case req.remove:
		a.branch.placed = false
		a.sup.retire(ctx, a.take(StateStopped), func() { a.branch.trunk.branches.places.give(a) })
		a.become(StateStopped, nil)
	case req.restart:
		a.failures, a.ends = 0, crashes{}
		if a.process() == nil {
			a.sleep() // its next call starts it
			return nil
		}
		return a.replace(ctx, a.due())
	}
	return nil
}

// grow starts the process, if there is none, once there is a place for it.
func (a *actor) grow(ctx context.Context, since time.Time) error {
	if a.process() != nil || !a.sleeps() {
		return nil // somebody was faster, or it is down by now
	}
	if !a.branch.trunk.serves() {
		return ErrNotLoaded
	}
	places := a.branch.trunk.branches.places
	if !a.branch.placed && !places.take(ctx, a.sup.opts.PlaceTimeout-time.Since(since)) {
		if ctx.Err() != nil {
			return ErrNotRunning
		}
		return errNoPlace(a.name, places.most)
	}
	a.branch.placed = true
	b := a.due()
	a.mu.Lock()
	a.binary, a.state = b, StateStarting
	a.mu.Unlock()
	err := a.launch(ctx, b)
	if err == nil {
		return nil
	}
	a.giveBack()
	if ctx.Err() == nil {
		a.accuseOf(err)
		a.backOff(err)
	}
	return err
}

// errNoPlace is of a call that would need one process more than there may be.
func errNoPlace(plugin string, most int) error {
	return &sdk.Error{
		Class: sdk.ClassTransient, Code: "plugin_processes", Cause: ErrNotLoaded,
		Message: fmt.Sprintf("plugin %s has %d processes, which all have work: no more of its tenants may have one at once (hint: plugins: {max_processes: ...} in host.yaml)", plugin, most),
	}
}

// giveBack gives back the place, if it has one.
func (a *actor) giveBack() {
	if a.branch.placed {
		a.branch.placed = false
		a.branch.trunk.branches.places.give(a)
	}
}

// end ends the process now.
func (a *actor) end(ctx context.Context, next State) {
	if p := a.take(next); p != nil {
		p.stop(ctx, 0)
	}
	a.giveBack()
}

// sleep lets the next call start the process.
func (a *actor) sleep() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asleep, a.state, a.restartAt = true, StateIdle, time.Time{}
}

// catchUp has the branch run what the plugin does, and reports whether it does.
func (a *actor) catchUp(ctx context.Context) bool {
	b := a.due()
	a.mu.Lock()
	p := a.current
	changed := !a.binary.same(b)
	if p == nil {
		a.binary = b
	}
	a.mu.Unlock()
	if changed {
		a.branch.forgiven = len(a.ends.at)
		if p == nil && !a.sleeps() { // what the other program did is no reason to rest
			a.failures, a.ends = 0, crashes{}
			a.sleep()
		}
	}
	if p == nil || !a.branch.trunk.serves() {
		return true // the next call starts it, or it is told to stop
	}
	p.oblige(a.obliged(p.binary))
	return p.binary == b || a.replace(ctx, b) == nil
}

// replace starts b beside the process that serves, which then ends when its calls
// have. If b does not start that goes on.
func (a *actor) replace(ctx context.Context, b Binary) error {
	p, err := a.sup.start(ctx, b, a.book)
	if err != nil {
		if ctx.Err() == nil {
			a.note(err)
			a.log.Warn("tenant's process is not replaced, the old one stays", "version", b.Version, "error", err)
		}
		return fmt.Errorf("start plugin %s: %w", a.name, err)
	}
	p.oblige(a.obliged(b))
	old := a.process() // the one that there is: nobody else changes that
	warming, cancel := context.WithTimeout(ctx, a.sup.opts.OpenTimeout)
	p.warm(warming, old)
	cancel()
	a.branch.before = old.outcome().share()
	a.failures, a.ends = 0, crashes{}
	a.sup.retire(ctx, a.serve(ctx, p), func() {})
	return nil
}

// makeWay ends a process that has nothing to do, for one that has.
func (a *actor) makeWay(ctx context.Context) bool {
	a.mu.Lock()
	p := a.current
	ok := p != nil && p.instances.vacate()
	if ok {
		a.current, a.state, a.asleep = nil, StateIdle, true
	}
	a.mu.Unlock()
	if !ok {
		return false
	}
	p.become(store.ProcessIdle, nil)
	a.lasted(a.sup.opts.Now().Sub(p.startedAt))
	a.log.Debug("tenant's process makes way for another's", "pid", p.x.pid())
	a.letGo(ctx, p)
	return true
}

// letGo ends a process that rests. A tenant's gives its place back when it is gone.
func (a *actor) letGo(ctx context.Context, p *process) {
	if a.branch == nil {
		a.sup.letGo(ctx, p, func() {})
		return
	}
	a.branch.placed = false
	a.sup.letGo(ctx, p, func() { a.branch.trunk.branches.places.give(a) })
}

// calmed ends a wait after a failure, and returns after what more time it is forgotten.
func (a *actor) calmed() time.Duration {
	if a.process() == nil && !a.sleeps() {
		a.sleep()
		return a.sup.opts.StableAfter
	}
	if a.process() == nil {
		a.failures, a.ends = 0, crashes{}
	}
	return time.Hour
}

// unneeded reports whether a branch without a process has nothing to remember: its
// next call makes a new one.
func (a *actor) unneeded() bool {
	return a.process() == nil && a.sleeps() && a.failures == 0 && len(a.ends.at) == 0
}
