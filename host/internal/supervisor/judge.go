package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Each tenant's process speaks for itself alone: what one tenant does to it says little
// of a version that serves others. So two of them have to speak against what is on
// probation, or all that it has served, before the version before comes back.
const accusers = 2

// counts notes that the tenant's process runs b, if that is on probation.
func (a *actor) counts(b Binary) {
	if a.branch == nil {
		return
	}
	t := a.branch.trunk
	t.mu.Lock()
	defer t.mu.Unlock()
	if pr := t.probation; pr != nil && pr.of.same(b) {
		pr.served[a.branch.tenant] = true
	}
}

// accuseOf notes that the tenant's process ended, or did not start. It speaks against
// what is on probation when that happens as often as a plugin's may not, or at once if
// it did not answer.
func (a *actor) accuseOf(err error) {
	if a.branch == nil || !countsAsCrash(err) {
		return
	}
	t, b := a.branch.trunk, a.wanted()
	t.mu.Lock()
	pr := t.probation
	often := false
	if pr != nil && pr.of.same(b) {
		pr.endsOf[a.branch.tenant]++
		pr.served[a.branch.tenant] = true
		often = pr.endsOf[a.branch.tenant] >= probationEnds+a.branch.forgiven
	}
	t.mu.Unlock()
	switch {
	case errors.Is(err, errUnhealthy):
		a.accuse(because(reasonHealth, err))
	case often:
		a.accuse(&reasonError{reason: reasonCrashLoop, err: fmt.Errorf("it ended again and again: %w", err)})
	}
}

// doubted speaks against what is on probation if most calls of the tenant's process
// fail, and those of the program before did not.
func (a *actor) doubted() {
	p := a.process()
	if p == nil {
		return
	}
	if o := p.outcome(); o.fails(a.branch.before) {
		a.accuse(because(reasonErrorRate, fmt.Errorf("%d of its %d calls failed", o.failed, o.calls)))
	}
}

// accuse tells the plugin's actor why the tenant's process speaks against what it runs.
func (a *actor) accuse(err error) {
	t, b := a.branch.trunk, a.wanted()
	t.mu.Lock()
	defer t.mu.Unlock()
	if pr := t.probation; pr != nil && pr.of.same(b) && pr.against[a.branch.tenant] == nil {
		pr.against[a.branch.tenant] = fmt.Errorf("tenant %s: %w", a.branch.tenant, err)
		nudge(t.blamed)
	}
}

// judge brings the version before back if enough tenants' processes speak against the
// one on probation. If neither serves then it returns when to start the new one again.
func (a *actor) judge(ctx context.Context) (again time.Duration) {
	pr := a.tested()
	if pr == nil {
		return 0
	}
	a.mu.Lock()
	n, served := len(pr.against), len(pr.served)
	var why error
	for _, err := range pr.against {
		why = err
	}
	a.mu.Unlock()
	if n == 0 || n < accusers && n < served {
		return 0
	}
	if !a.rollBack(ctx, why) && !a.serves() {
		return a.backOff(fmt.Errorf("plugin %s: %w", a.name, why))
	}
	return 0
}

// tellProgram tells what running b showed. What a tenant's process shows of a program
// that the plugin has left is nothing new.
func (a *actor) tellProgram(b Binary, to store.PluginState, err error) {
	if a.branch != nil {
		t := a.branch.trunk
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.binary.same(b) {
			return
		}
	}
	a.sup.tellArtifact(b, to, err)
}

// othersRest reports whether the process of another tenant is in quarantine too.
func (b *branch) othersRest() bool {
	for _, a := range b.trunk.branches.all() {
		if a.branch != b && a.status().State == StateQuarantined {
			return true
		}
	}
	return false
}
