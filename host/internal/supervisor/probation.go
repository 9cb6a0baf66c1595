package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// What a new version may do wrong in its probation, more than the one before did,
// before that takes over again.
const (
	probationEnds     = 3 // processes that end
	probationFailures = 5 // calls that fail, if they are most of them and were not before
)

// provenEvery is how often it is looked whether a probation is over whose end changes
// something.
const provenEvery = time.Second

// The reasons of a return to the version before.
const (
	reasonCrashLoop = "crash_loop"
	reasonErrorRate = "error_rate"
)

// probation is the time in which a new version brings the one before back by failing.
type probation struct {
	of       Binary // on probation
	previous Binary
	until    time.Time
	ends     int     // that it may still have
	before   float64 // share of the calls of the one before that failed
	kept     bool    // cursors as the one before reads them: they come back with it
	writes   int     // the version of state that both read and the new one writes; 0: its own

	// Of a plugin whose tenants have a process each, by tenant: whom it has served, how
	// often their processes ended, and what those say against it.
	served  map[string]bool
	endsOf  map[string]int
	against map[string]error
}

// outcomes are how the calls of a process ended.
type outcomes struct{ calls, failed int64 }

// share returns which part failed.
func (o outcomes) share() float64 {
	if o.calls == 0 {
		return 0
	}
	return float64(o.failed) / float64(o.calls)
}

// fails reports whether most calls fail, where before only so large a share did.
func (o outcomes) fails(before float64) bool {
	return o.failed >= probationFailures && o.share() > 0.5 && before <= o.share()/2
}

// Report tells how a call ended: failed is said of what the plugin itself did wrong,
// not of a remote system that is away.
func (h *Handle) Report(failed bool) { h.process.report(failed) }

func (p *process) report(failed bool) {
	p.mu.Lock()
	p.outcomes.calls++
	if failed {
		p.outcomes.failed++
	}
	doubts := p.doubts
	p.mu.Unlock()
	if !failed || doubts == nil { // a candidate has nobody yet
		return
	}
	select {
	case doubts <- struct{}{}:
	default: // somebody was told
	}
}

func (p *process) outcome() outcomes {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcomes
}

// onProbation begins the probation of p, which is about to take over. If what served
// before could not read what p writes, its cursors were kept, or there is none (K17).
func (a *actor) onProbation(p *process) {
	a.mu.Lock()
	previous, old, before := a.binary, a.current, a.manifest
	a.mu.Unlock()
	oneWay, writes := oneWay(before, p.manifest), 0
	if oneWay {
		writes = common(before, p.manifest)
	}
	if oneWay && writes == 0 && a.sup.opts.Cursors == nil {
		a.log.Warn("there is no way back from the new version: the one before does not read what it writes",
			"version", p.manifest.Version, "writes", p.manifest.State.Writes, "before", previous.Version, "reads", before.State.Reads)
		a.setProbation(nil)
		return
	}
	pr := &probation{of: p.binary, previous: previous, until: a.sup.opts.Now().Add(a.sup.patience.Load().probation), ends: probationEnds + len(a.ends.at), kept: oneWay && writes == 0, writes: writes}
	if old != nil {
		pr.before = old.outcome().share()
	}
	a.setProbation(pr)
}

// resumeProbation goes on with a probation that an earlier host began.
func (a *actor) resumeProbation(ctx context.Context, p *process) {
	b := p.binary
	previous, until, ok := a.sup.opts.Resume(b)
	if !ok {
		return
	}
	kept, err := a.kept(ctx, b)
	if err != nil { // the one before might read what it does not know
		a.log.Error("the probation is over: whether cursors were kept cannot be told", "version", b.Version, "error", err)
		return
	}
	pr := &probation{of: b, previous: previous, until: until, ends: probationEnds, kept: kept}
	if before, ok := a.sup.opts.Manifest(previous.Digest); ok && !kept && oneWay(before, p.manifest) {
		pr.writes = common(before, p.manifest)
	}
	a.setProbation(pr)
}

// attend has the process tell of calls that fail.
func (p *process) attend(doubts chan<- struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubts = doubts
}

func (a *actor) setProbation(p *probation) {
	if p != nil {
		p.served, p.endsOf, p.against = map[string]bool{}, map[string]int{}, map[string]error{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.probation = p
}

// tested returns the probation of what serves or is to serve, nil if it is over.
func (a *actor) tested() *probation {
	a.mu.Lock()
	defer a.mu.Unlock()
	pr := a.probation
	if pr != nil && (!pr.of.same(a.binary) || !a.sup.opts.Now().Before(pr.until)) {
		if pr.writes == 0 || !pr.of.same(a.binary) { // else proven ends it
			a.probation = nil
		}
		return nil
	}
	return pr
}

// doubt brings the version before back if the calls of the new one fail and its did
// not. If neither serves then, it returns when to start the new one again.
func (a *actor) doubt(ctx context.Context) time.Duration {
	p, pr := a.process(), a.tested()
	if p == nil || pr == nil {
		return 0
	}
	o := p.outcome()
	if !o.fails(pr.before) {
		return 0
	}
	why := because(reasonErrorRate, fmt.Errorf("%d of its %d calls failed", o.failed, o.calls))
	if !a.rollBack(ctx, why) && a.process() == nil {
		return a.backOff(fmt.Errorf("plugin %s: %w", a.name, why))
	}
	return 0
}

// endedOnProbation brings the version before back if the new one ends too often, and
// reports whether that serves.
func (a *actor) endedOnProbation(ctx context.Context, err error) bool {
	pr := a.tested()
	if pr == nil {
		return false
	}
	if errors.Is(err, errUnhealthy) {
		return a.rollBack(ctx, because(reasonHealth, err))
	}
	if pr.ends--; pr.ends > 0 {
		return false
	}
	return a.rollBack(ctx, &reasonError{reason: reasonCrashLoop, err: fmt.Errorf("it ended again and again: %w", err)})
}

// rollBack starts the version before and withdraws the new one: nothing
// starts it again before it is released. If the version before does not start
// everything stays.
func (a *actor) rollBack(ctx context.Context, why error) bool {
	pr := a.tested()
	a.abandon(ctx, fmt.Errorf("plugin %s: the version before is brought back", a.name))
	p, err := a.sup.start(ctx, pr.previous, a.book)
	if err != nil {
		a.log.Error("the version before does not start", "version", pr.previous.Version, "error", err)
		return false
	}
	if pr.kept {
		if err := a.restore(ctx, why); err != nil {
			a.sup.dismiss(ctx, p)
			a.log.Error("the version before does not take over: its cursors do not come back", "version", pr.previous.Version, "error", err)
			return false
		}
	}
	bad := pr.of
	a.mu.Lock()
	a.binary, a.probation = pr.previous, nil // before others may hear of it
	a.mu.Unlock()
	a.withdrawn[bad.Digest] = bad
	a.sup.tellArtifact(bad, store.ArtifactWithdrawn, why)
	text, lines := explain(why)
	a.setCandidate(&candidate{binary: bad, withdrawn: true, err: "it is withdrawn: " + text, lines: lines})
	a.failures, a.ends = 0, crashes{}
	a.log.Warn("new version failed in its probation, the one before serves again", "version", bad.Version, "serving", p.manifest.Version, "error", why)
	old := a.serve(ctx, p)
	a.move(store.PluginRolledBack, p.binary, why)
	a.sup.retire(ctx, old, func() {})
	return true
}

// release lets what is withdrawn be tried again.
func (a *actor) release() {
	clear(a.withdrawn)
	if c := a.tried(); c != nil && c.withdrawn {
		a.setCandidate(nil)
	}
}
