package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// A plugin that fails mostCrashes times within crashWindow is in quarantine: started
// every few seconds it would only cost, and tell nobody anything new. It rests there,
// and is tried once after each of the longest delays, so that what ends by itself
// needs nobody.
const (
	mostCrashes = 5
	crashWindow = time.Minute
)

// crashes are the last failures of a plugin. Once they were too many they stay so
// until a process has lasted: after a rest there is one try, not five.
type crashes struct {
	at      []time.Time
	tooMany bool
}

// add notes a failure and reports whether the plugin rests.
func (c *crashes) add(now time.Time) bool {
	c.at = append(c.at, now)
	if len(c.at) > mostCrashes {
		c.at = c.at[1:]
	}
	if len(c.at) == mostCrashes && now.Sub(c.at[0]) <= crashWindow {
		c.tooMany = true
	}
	return c.tooMany
}

// crashed notes the end of the process, and returns when to start it again; zero if
// the version before serves instead.
func (a *actor) crashed(ctx context.Context) time.Duration {
	p := a.take(StateBackoff)
	p.become(store.ProcessExited, because(reasonEnded, p.ended()))
	p.become(store.ProcessBackoff, nil)
	a.lasted(a.sup.opts.Now().Sub(p.startedAt))
	a.countRestart()
	a.accuseOf(p.crash())
	if a.endedOnProbation(ctx, p.crash()) {
		return 0
	}
	return a.backOff(fmt.Errorf("plugin %s: %w", a.name, p.crash()))
}

// countRestart counts a crash, for the plugin too if it is of a tenant's process.
func (a *actor) countRestart() {
	a.mu.Lock()
	a.restarts++
	a.mu.Unlock()
	if a.branch != nil {
		a.branch.trunk.countRestart()
	}
}

// lasted notes how long a process has served.
func (a *actor) lasted(served time.Duration) {
	if served >= a.sup.opts.StableAfter {
		a.failures = 0
	}
	if served >= crashWindow {
		a.ends = crashes{}
	}
}

// noRoom is why a process was not started that may be none the worse for it.
type noRoom struct{ err error }

// Error returns the text of the error alone.
func (n noRoom) Error() string { return n.err.Error() }

// Unwrap returns the error.
func (n noRoom) Unwrap() error { return n.err }

// countsAsCrash reports whether the plugin has to answer for a failure.
func countsAsCrash(err error) bool {
	_, ok := errors.AsType[noRoom](err)
	return !ok
}

// isolate tells that what serves, or was to serve, is in quarantine, with its last
// lines, and returns err with that. A person or another program ends it.
func (a *actor) isolate(err error) error {
	err = fmt.Errorf("it failed %d times within %s and rests in quarantine (hint: jackfield plugin restart %s tries it at once): %w",
		mostCrashes, crashWindow, a.name, err)
	if a.branch != nil && !a.branch.othersRest() {
		return err // what one tenant's process does says nothing of the others'
	}
	// As a text it keeps its last lines, which the status has in a place of their own.
	a.tellProgram(a.wanted(), store.ArtifactQuarantined, because(reasonCrashLoop, errors.New(err.Error())))
	return err
}
