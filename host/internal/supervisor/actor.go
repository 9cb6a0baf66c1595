package supervisor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// actor looks after one plugin, or the process of one tenant of it, in a goroutine of
// its own: a slow or broken plugin holds up nobody else.
type actor struct {
	sup      *Supervisor
	name     string
	branches *branches // of a plugin whose tenants have a process each; else nil
	branch   *branch   // of one tenant's process; else nil
	log      hclog.Logger
	book     *logbook
	requests chan request
	jobless  chan struct{} // holds one token until Run has given it a goroutine
	done     chan struct{} // closed when run has ended
	failures int           // in a row; run's alone
	ends     crashes       // run's alone
	trial    *trial        // of another program; run's alone
	refusals int           // of candidate, in a row; run's alone
	doubts   chan struct{} // of one: a call failed
	retimed  chan struct{} // of one: when to rest has changed
	// withdrawn are programs that failed in their probation, by digest; run's alone.
	withdrawn map[string]Binary

	mu        sync.Mutex // guards what follows
	binary    Binary     // wanted
	current   *process   // takes work; nil if none does
	asleep    bool       // it rests, and a call starts it
	state     State
	restartAt time.Time
	restarts  int
	lastError string
	lastLines []string
	manifest  sdk.Manifest // of the last process
	known     bool         // there is a manifest
	service   store.PluginState
	candidate *candidate // tried, refused or withdrawn; nil if none is
	probation *probation
	blamed    chan struct{} // of one: a tenant's process speaks against what is on probation
}

// request changes what an actor runs. The reply comes when it is done.
type request struct {
	binary  Binary
	remove  bool
	restart bool         // the binary that there is, in a new process; or binary, although it is withdrawn
	wake    bool         // the binary that there is, if it rests
	since   time.Time    // with wake: when that was asked for
	stop    bool         // of a branch: its process ends now, and its next call starts another
	reply   chan<- error // of one
}

func newActor(s *Supervisor, b Binary) *actor {
	a := makeActor(s, b)
	if s.opts.PerTenant(b.Name) {
		a.branches = newBranches(s.opts.MaxProcesses)
	}
	return a
}

func makeActor(s *Supervisor, b Binary) *actor {
	a := &actor{
		sup: s, name: b.Name, binary: b, state: StateStarting, log: s.log.With("plugin", b.Name), book: newLogbook(),
		requests: make(chan request), jobless: make(chan struct{}, 1), done: make(chan struct{}),
		doubts: make(chan struct{}, 1), retimed: make(chan struct{}, 1), blamed: make(chan struct{}, 1), withdrawn: map[string]Binary{},
	}
	a.jobless <- struct{}{}
	return a
}

// run serves requests and restarts what crashed, until it is asked to remove the
// plugin or ctx ends; then it has stopped the process.
func (a *actor) run(ctx context.Context) {
	defer close(a.done)
	if a.branch != nil {
		a.runBranch(ctx)
		return
	}
	timer, again, look := stoppedTimer(), stoppedTimer(), stoppedTimer()
	defer timer.Stop()
	defer again.Stop()
	attends := attention{timer: stoppedTimer()}
	defer attends.timer.Stop()
	defer look.Stop()
	for {
		var gone <-chan struct{}
		p := a.process()
		if p != nil {
			gone = p.x.exited
		}
		attends.to(p, a.idleAfter())
		a.branches.follow()
		var tried <-chan trialEnd
		if a.trial != nil {
			tried = a.trial.done
		}
		var proving <-chan time.Time
		if a.obliged(a.wanted()) != 0 {
			look.Reset(provenEvery)
			proving = look.C
		}
		select {
		case <-ctx.Done():
			a.abandon(ctx, ErrNotRunning)
			if p := a.take(StateStopped); p != nil {
				p.stop(ctx, 0)
			}
			a.become(StateStopped, nil)
			return
		case <-attends.timer.C:
			if left := a.rest(ctx); left > 0 {
				attends.timer.Reset(left)
			}
		case <-a.retimed:
			attends.of = nil
		case req := <-a.requests:
			if req.wake {
				delay, err := a.wake(ctx)
				if delay > 0 {
					timer.Reset(delay)
				}
				req.reply <- err
				continue
			}
			if req.remove {
				a.abandon(ctx, ErrNotRunning)
				a.sup.retire(ctx, a.take(StateStopped), func() {})
				a.become(StateStopped, nil)
				a.move(store.PluginGone, a.wanted(), nil)
				req.reply <- nil
				return
			}
			var err error
			if req.restart {
				a.abandon(ctx, fmt.Errorf("plugin %s: it is restarted", a.name))
				a.release()
			}
			if req.restart && (req.binary == (Binary{}) || req.binary == a.wanted() && a.process() == nil) {
				err = a.restart(ctx, a.wanted(), "plugin was restarted as asked")
			} else {
				again.Stop()
				if a.tries(ctx, req) {
					continue
				}
				err = a.first(ctx, req.binary)
			}
			if err != nil && a.process() == nil {
				timer.Reset(a.backOff(err))
			}
			req.reply <- err
		case end := <-tried:
			if delay := a.decide(ctx, end); delay > 0 {
				again.Reset(delay)
			}
		case <-again.C:
			if b, ok := a.refused(); ok {
				a.try(ctx, b, nil)
			}
		case <-proving:
			a.proven()
		case <-a.doubts:
			if delay := a.doubt(ctx); delay > 0 {
				timer.Reset(delay)
			}
		case <-a.blamed:
			if delay := a.judge(ctx); delay > 0 {
				timer.Reset(delay)
			}
		case <-gone:
			if delay := a.crashed(ctx); delay > 0 {
				timer.Reset(delay)
			}
		case <-timer.C:
			if a.process() != nil || a.sleeps() {
				continue // a request was faster
			}
			a.become(StateStarting, nil)
			if err := a.launch(ctx, a.wanted()); err != nil && ctx.Err() == nil && !a.endedOnProbation(ctx, err) {
				timer.Reset(a.backOff(err))
			}
		}
	}
}

// first starts b where nothing else has served. It returns nil if b is to be tried
// again in its own time.
func (a *actor) first(ctx context.Context, b Binary) error {
	a.mu.Lock()
	waits := (a.state == StateBackoff || a.state == StateQuarantined) && a.binary == b
	a.binary = b
	a.mu.Unlock()
	if waits {
		return nil
	}
	return a.launch(ctx, b)
}

// restart runs b, which is the program that there is, in a new process, now: whatever
// it did before, it is not resting. What serves goes on until the new one does, and
// ends when its calls have; if the new one does not start it stays.
func (a *actor) restart(ctx context.Context, b Binary, done string) error {
	old := a.process()
	if old == nil {
		a.become(StateStarting, nil)
	}
	if old != nil {
		a.move(store.PluginUpgrading, b, nil)
	}
	if err := a.launch(ctx, b); err != nil {
		if old != nil {
			a.note(err)
			a.move(store.PluginActive, b, err)
		}
		return err
	}
	a.log.Info(done)
	a.failures, a.ends = 0, crashes{}
	if old == nil {
		return nil
	}
	a.move(store.PluginDraining, b, nil)
	a.sup.retire(ctx, old, func() { a.drained(b) })
	return nil
}

// renew gives the program that serves a process that may reach other things.
func (a *actor) renew(ctx context.Context, access Access) {
	b := a.wanted()
	b.Access = access
	if err := a.restart(ctx, b, "plugin has a new process, which may reach what its integrations need by now"); err != nil && ctx.Err() == nil {
		a.log.Warn("plugin may not reach all that its integrations need: its new process does not start", "error", err)
	}
}

// reach notes what the next process may reach.
func (a *actor) reach(access Access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.binary.Access = access
}

// launch starts b and lets it take the work.
func (a *actor) launch(ctx context.Context, b Binary) error {
	p, err := a.sup.start(ctx, b, a.book)
	if err != nil {
		return fmt.Errorf("start plugin %s: %w", a.name, err)
	}
	a.serve(ctx, p)
	return nil
}

// serve lets p take the work from here on, and returns what took it until now.
func (a *actor) serve(ctx context.Context, p *process) (old *process) {
	b := p.binary
	a.mu.Lock()
	first := a.service == store.PluginNone && a.branch == nil
	a.mu.Unlock()
	if first {
		a.resumeProbation(ctx, p)
	}
	a.counts(b)
	p.oblige(a.obliged(b))
	a.mu.Lock()
	old = a.current
	woken := a.asleep && a.binary == b
	a.binary, a.current, a.asleep = b, p, false
	a.manifest, a.known = p.manifest, true
	a.state, a.restartAt = StateServing, time.Time{}
	a.lastError, a.lastLines = "", nil
	a.mu.Unlock()
	p.attend(a.doubts)
	p.become(store.ProcessServing, nil)
	if first {
		a.move(store.PluginActive, b, nil)
	}
	a.tellProgram(b, store.ArtifactReady, nil)
	level := hclog.Debug // that it goes on after a rest is no news
	if !woken {
		level = hclog.Info
		a.sup.opts.OnChange()
	}
	a.log.Log(level, "plugin serves", "version", p.manifest.Version, "digest", short(b.Digest), "pid", p.x.pid())
	return old
}

// crash is the end of the process as an error with its last lines.
func (p *process) crash() error {
	return &ProcessError{Reason: p.verdict().Error(), Lines: p.x.out.lastLines(shownLines), err: p.verdict()}
}

// backOff notes err, and returns a delay that grows with each failure in a row:
// a random part of it, so that plugins that fail together do not start together.
// One that fails again and again is in quarantine for the longest delay (F04, H14).
func (a *actor) backOff(err error) time.Duration {
	delay := a.sup.opts.MinRestartDelay << min(a.failures, 20)
	if delay <= 0 || delay > a.sup.opts.MaxRestartDelay {
		delay = a.sup.opts.MaxRestartDelay
	}
	a.failures++
	now, next := a.sup.opts.Now(), StateBackoff
	if countsAsCrash(err) && a.ends.add(now) {
		next, delay = StateQuarantined, a.sup.opts.MaxRestartDelay
		err = a.isolate(err)
	} else {
		delay = time.Duration(rand.Int64N(int64(delay))) + 1 //nolint:gosec // jitter is no secret
	}
	a.mu.Lock()
	a.restartAt = now.Add(delay)
	a.mu.Unlock()
	a.become(next, err)
	a.log.Error("plugin is down", "state", next, "error", err, "restart_in", delay.Round(time.Millisecond))
	return delay
}

func (a *actor) become(state State, err error) {
	a.mu.Lock()
	a.state = state
	if state != StateBackoff && state != StateQuarantined {
		a.restartAt = time.Time{}
	} else {
		a.asleep = false
	}
	a.mu.Unlock()
	if err != nil {
		a.note(err)
	}
	a.sup.opts.OnChange()
}

// note keeps err for the status.
func (a *actor) note(err error) {
	text, lines := explain(err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastError, a.lastLines = text, lines
}

func (a *actor) process() *process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// serves reports whether a process takes work. One that is being replaced drains only
// when the next one is in its place, so both are looked at together.
func (a *actor) serves() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asleep || a.current != nil && !closed(a.current.draining)
}

// take returns the process, which takes no more work from here, and enters the
// state that comes after.
func (a *actor) take(next State) *process {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.current
	a.current, a.asleep, a.state = nil, false, next
	return p
}

func (a *actor) wanted() Binary {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.binary
}

// ask sends a request and waits for its reply.
func (a *actor) ask(ctx context.Context, req request) error {
	reply := make(chan error, 1)
	req.reply = reply
	select {
	case a.requests <- req:
	case <-a.done:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func short(digest string) string { return digest[:min(12, len(digest))] }
