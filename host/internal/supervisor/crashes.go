package supervisor

import "time"

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
