package supervisor

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Cursors keeps where the integrations of a plugin are while a version is on probation
// that writes what the one before it does not read (K17).
type Cursors interface {
	// Keep copies them, before the program of digest begins.
	Keep(ctx context.Context, plugin, digest string) error
	// Kept returns for which program they were copied; nothing if they were not.
	Kept(ctx context.Context, plugin string) (digest string, err error)
	// Restore brings them back, when no process of the plugin works any more; why is
	// for people.
	Restore(ctx context.Context, plugin, why string) error
}

// oneWay reports whether what served before cannot read what the new one writes.
func oneWay(before, after sdk.Manifest) bool {
	writes := after.State.Writes
	return writes != 0 && !slices.Contains(before.State.Reads, writes)
}

// common returns the highest version of state that both read and the new one may be told
// to write; 0 if there is none.
func common(before, after sdk.Manifest) (version int) {
	for _, v := range after.State.MayWrite {
		if slices.Contains(before.State.Reads, v) && slices.Contains(after.State.Reads, v) {
			version = max(version, v)
		}
	}
	return version
}

// oblige has the process write an older version of state until it is told another one;
// 0 is its own. Instances that are open are opened anew at their next call.
func (p *process) oblige(version int) { p.writes.Store(int32(version)) } //nolint:gosec // it came as one

// obliged returns what a process of b has to write.
func (a *actor) obliged(b Binary) int {
	if a.branch != nil {
		return a.branch.trunk.obliged(b)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if pr := a.probation; pr != nil && pr.of.same(b) {
		return pr.writes
	}
	return 0
}

// proven lets what serves write its own version of state, if its probation is over:
// nothing comes back from now on.
func (a *actor) proven() {
	a.mu.Lock()
	pr, p := a.probation, a.current
	over := pr != nil && pr.writes != 0 && pr.of.same(a.binary) && a.service != store.PluginUpgrading && !a.sup.opts.Now().Before(pr.until)
	if over {
		a.probation = nil
	}
	a.mu.Unlock()
	if !over {
		return
	}
	if p != nil {
		p.oblige(0)
	}
	a.move(store.PluginActive, a.wanted(), nil)
	a.log.Info("the new version proved itself and writes its own version of state", "version", pr.of.Version)
}

// keep copies where the integrations are, if p would write over it what serves cannot
// read.
func (s *Supervisor) keep(ctx context.Context, p *process, serving sdk.Manifest) error {
	if !oneWay(serving, p.manifest) {
		return nil
	}
	if writes := common(serving, p.manifest); writes != 0 {
		p.oblige(writes)
		return nil
	}
	if s.opts.Cursors == nil {
		return nil
	}
	if err := s.opts.Cursors.Keep(ctx, p.binary.Name, p.binary.Digest); err != nil {
		return because(reasonKeep, fmt.Errorf("there would be no way back from it: %w", err))
	}
	return nil
}

// kept reports whether there is a copy that was made before b began.
func (a *actor) kept(ctx context.Context, b Binary) (bool, error) {
	if a.sup.opts.Cursors == nil || b.Digest == "" {
		return false, nil
	}
	digest, err := a.sup.opts.Cursors.Kept(ctx, a.name)
	return digest == b.Digest, err //nolint:wrapcheck // the host's own words
}

// restore ends what serves and brings the cursors back that were kept before it began:
// nothing of it may be written after that.
func (a *actor) restore(ctx context.Context, why error) error {
	if bad := a.take(StateBackoff); bad != nil {
		bad.stop(ctx, 0)
	}
	a.branches.halt(ctx)
	text, _ := explain(why)
	return a.sup.opts.Cursors.Restore(ctx, a.name, "the version of the plugin failed in its probation: "+a.sup.opts.Redact(text)) //nolint:wrapcheck // the host's own words
}
