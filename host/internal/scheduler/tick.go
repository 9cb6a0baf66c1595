package scheduler

import "time"

// Tick is the unit of Every (C03).
const Tick = time.Minute

// Next returns when an integration with the schedule every is due after a check
// that began at last: 0 is every tick, n is every n ticks, negative is never
// (the zero time).
func Next(every int, last time.Time) time.Time {
	switch {
	case every < 0:
		return time.Time{}
	case every == 0:
		return last.Add(Tick)
	default:
		return last.Add(time.Duration(every) * Tick)
	}
}
