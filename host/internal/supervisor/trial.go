package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Candidate is a program that runs beside the one that serves and has said what it
// is. It takes no work yet.
type Candidate struct {
	Binary
	Manifest sdk.Manifest
	Serving  sdk.Manifest // what serves, or served last

	process *process
	pool    *candidatePool // if each tenant has a process of the plugin; else nil
}

// Acquire lends an instance of the candidate, as Supervisor.Acquire does of what
// serves.
func (c Candidate) Acquire(ctx context.Context, in sdk.Integration) (h *Handle, err error) {
	if c.pool != nil {
		h, err = c.pool.acquire(ctx, in)
	} else {
		h, err = c.process.acquire(ctx, in)
	}
	if err != nil {
		return nil, fmt.Errorf("candidate for plugin %s: %w", c.Name, err)
	}
	return h, nil
}

// candidate is what Status tells of one.
type candidate struct {
	binary    Binary
	refused   bool
	withdrawn bool
	err       string
	lines     []string
}

// trial is a program being tried beside what serves, which goes on meanwhile, and is
// started again if it ends.
type trial struct {
	binary  Binary
	cancel  context.CancelFunc
	done    chan trialEnd // of one
	waiting []chan<- error
}

// trialEnd is a process that may take over, or why none may.
type trialEnd struct {
	process *process
	err     error
}

// tries answers a request for another program than what serves, or for that which
// serves: by a trial, unless nothing has ever served. It reports whether it did; the
// reply then comes with the end of the trial.
func (a *actor) tries(ctx context.Context, req request) bool {
	b := req.binary
	if a.trial != nil && a.trial.binary == b {
		a.trial.waiting = append(a.trial.waiting, req.reply)
		return true
	}
	a.abandon(ctx, fmt.Errorf("plugin %s: another program is wanted by now", a.name))
	a.mu.Lock()
	served, same, renew := a.known, a.binary.same(b), a.binary.Access != b.Access && a.current != nil
	a.mu.Unlock()
	if served && renew {
		a.renew(ctx, b.Access)
	}
	switch {
	case !served:
		return false
	case a.withdrawn[b.Digest].same(b):
		req.reply <- nil // it was said when it was put there
		return true
	case same:
		if c := a.tried(); c != nil && !c.withdrawn {
			a.setCandidate(nil)
		}
		if a.process() == nil {
			a.reach(b.Access)
		}
		if a.process() == nil && !a.sleeps() {
			return false // it is down, and started in its own time
		}
		req.reply <- nil
		return true
	default:
		a.try(ctx, b, []chan<- error{req.reply})
		return true
	}
}

// try begins a trial of b.
func (a *actor) try(ctx context.Context, b Binary, waiting []chan<- error) {
	if c := a.setCandidate(&candidate{binary: b}); c == nil || !c.binary.same(b) {
		a.refusals = 0
	}
	a.move(store.PluginUpgrading, a.wanted(), nil)
	ctx, cancel := context.WithTimeoutCause(ctx, a.sup.opts.TrialTimeout, fmt.Errorf("its trial took longer than %s", a.sup.opts.TrialTimeout))
	a.trial = &trial{binary: b, cancel: cancel, done: make(chan trialEnd, 1), waiting: waiting}
	a.mu.Lock()
	serving, old := a.manifest, a.current
	a.mu.Unlock()
	done := a.trial.done
	a.sup.wg.Go(func() {
		p, err := a.sup.try(ctx, b, serving, a.book)
		if err == nil && old != nil {
			p.warm(ctx, old)
		}
		done <- trialEnd{p, err}
	})
}

// try starts b beside what serves and returns its process if that may take over.
func (s *Supervisor) try(ctx context.Context, b Binary, serving sdk.Manifest, book *logbook) (*process, error) {
	p, err := s.start(ctx, b, book)
	if err != nil {
		return nil, err
	}
	p.become(store.ProcessInstances, nil)
	if err = s.prove(ctx, p, serving, book); err == nil {
		err = s.keep(ctx, p, serving)
	}
	if err != nil {
		s.dismiss(ctx, p)
		s.tellArtifact(b, store.ArtifactRejected, err)
		return nil, err
	}
	return p, nil
}

// warmed is how many instances are opened before the first call needs them.
const warmed = 200

// warm opens what is open in the process that p takes over from, so that the calls
// that follow do not wait for it. What does not open, they are told.
func (p *process) warm(ctx context.Context, old *process) {
	for _, in := range old.instances.lent(warmed) {
		if e, err := p.instances.acquire(ctx, in); err == nil {
			p.instances.release(e)
		}
	}
}

// prove asks the candidate and the host whether it may take over.
func (s *Supervisor) prove(ctx context.Context, p *process, serving sdk.Manifest, book *logbook) error {
	var err error
	for range s.opts.HealthMisses {
		if err = p.client.Health(ctx); err == nil {
			break
		}
	}
	if err != nil {
		return because(reasonHealth, fmt.Errorf("it does not serve: %w", err))
	}
	c := Candidate{Binary: p.binary, Manifest: p.manifest, Serving: serving, process: p}
	if s.opts.PerTenant(p.binary.Name) {
		c.pool = &candidatePool{sup: s, binary: p.binary, book: book}
	}
	err = s.opts.Verify(ctx, c)
	if ended := c.pool.close(ctx); ended != nil {
		return ended
	}
	if closed(p.x.exited) {
		return because(reasonEnded, p.crash())
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return because(reasonVerify, err)
}

// dismiss ends a candidate without waiting for it.
func (s *Supervisor) dismiss(ctx context.Context, p *process) {
	ctx = context.WithoutCancel(ctx)
	s.wg.Go(func() { p.stop(ctx, 0) })
}

// abandon ends a trial and answers those that wait for it.
func (a *actor) abandon(ctx context.Context, why error) {
	t := a.trial
	if t == nil {
		return
	}
	a.trial = nil
	t.cancel()
	if end := <-t.done; end.process != nil {
		a.sup.dismiss(ctx, end.process)
	}
	a.setCandidate(nil)
	a.move(store.PluginActive, a.wanted(), nil)
	for _, reply := range t.waiting {
		reply <- why
	}
}

// decide ends the trial: what passed takes over, and what did not is tried again
// after the delay that is returned.
func (a *actor) decide(ctx context.Context, end trialEnd) (again time.Duration) {
	t := a.trial
	a.trial = nil
	t.cancel()
	err := end.err
	if err != nil {
		again = a.refuse(t.binary, err)
		err = fmt.Errorf("start plugin %s: %w", a.name, err)
	} else {
		a.switchTo(ctx, end.process)
	}
	for _, reply := range t.waiting {
		reply <- err
	}
	return again
}

// switchTo lets p take the work, and what served end when its calls have.
func (a *actor) switchTo(ctx context.Context, p *process) {
	a.setCandidate(nil)
	a.onProbation(p)
	a.failures, a.refusals, a.ends = 0, 0, crashes{}
	old := a.serve(ctx, p)
	if old == nil {
		a.move(store.PluginActive, p.binary, nil)
		return
	}
	a.move(store.PluginDraining, p.binary, nil)
	a.sup.retire(ctx, old, func() { a.drained(p.binary) })
}

// refuse notes why b does not take over, and returns when it is tried again.
func (a *actor) refuse(b Binary, err error) time.Duration {
	delay := min(a.sup.opts.RetryCandidate<<min(a.refusals, 20), a.sup.opts.MaxRestartDelay)
	a.refusals++
	serving := a.wanted()
	text, lines := explain(err)
	a.setCandidate(&candidate{binary: b, refused: true, err: text, lines: lines})
	a.mu.Lock()
	if a.current != nil {
		a.lastError, a.lastLines = text, lines
	}
	a.mu.Unlock()
	a.move(store.PluginActive, serving, err)
	a.log.Warn("new version does not take over, the old one stays", "version", b.Version, "serving", serving.Version, "error", err, "again_in", delay)
	a.sup.opts.OnChange()
	return delay
}

// setCandidate changes what is told of a candidate and returns what was.
func (a *actor) setCandidate(c *candidate) (before *candidate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, a.candidate = a.candidate, c
	return before
}

func (a *actor) tried() *candidate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.candidate
}

// refused returns the candidate that did not take over.
func (a *actor) refused() (Binary, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.candidate == nil || !a.candidate.refused {
		return Binary{}, false
	}
	return a.candidate.binary, true
}

// status describes a candidate.
func (c *candidate) status() Status {
	st := Status{Name: c.binary.Name, Version: c.binary.Version, Digest: c.binary.Digest, State: StateStarting, LastError: c.err, LastLines: c.lines}
	if c.refused {
		st.State = StateRefused
	}
	if c.withdrawn {
		st.State = StateWithdrawn
	}
	return st
}
