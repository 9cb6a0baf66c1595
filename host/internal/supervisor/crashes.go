package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// A plugin that fails mostCrashes times within crashWindow rests: started every few
// seconds it would only cost, and tell nobody anything new.
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
	p.become(store.ProcessExited, because(reasonEnded, p.verdict()))
	p.become(store.ProcessBackoff, nil)
	a.lasted(a.sup.opts.Now().Sub(p.startedAt))
	a.mu.Lock()
	a.restarts++
	a.mu.Unlock()
	if a.endedOnProbation(ctx, p.crash()) {
		return 0
	}
	return a.backOff(fmt.Errorf("plugin %s: %w", a.name, p.crash()))
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
