package schedule

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Tick is the unit of Rule.Every.
const Tick = time.Minute

// Rule says when an integration is checked.
type Rule struct {
	Every int    // ticks between two checks; 0 is every tick, negative is never; without effect beside Cron
	Cron  string // five fields, or a word such as @daily; empty: by Every
	Zone  string // IANA name of the time zone that Cron is meant in; UTC if empty

	// ID and UID place the integration among the others of its rule: ID the ticks,
	// UID the H of a cron rule.
	ID  int64
	UID string
}

// Of returns the rule of an integration.
func Of(in store.Integration) Rule {
	return Rule{Every: in.Every, Cron: in.Cron, Zone: in.Timezone, ID: in.ID, UID: in.UID}
}

// Next returns when an integration is due again whose check starts at t; the zero
// time is never. Ticks keep to the integration's place in the window, whenever a
// check really starts: the first wait is between half and one and a half of the
// window, and each later one is the window.
func (r Rule) Next(t time.Time) (time.Time, error) {
	return r.Resume(t, t)
}

// Resume returns when an integration is due by a rule that holds from now on, when
// it was checked last before. It is after now: those whose time would have passed
// keep to their places too.
func (r Rule) Resume(last, now time.Time) (time.Time, error) {
	switch {
	case r.Cron != "":
		return r.nextCron(now)
	case r.Every < 0:
		return time.Time{}, nil
	default:
		return r.nextPlace(last, now), nil
	}
}

// nextPlace returns the first place of the integration in a window that is after
// now, and not much sooner than a window after last.
func (r Rule) nextPlace(last, now time.Time) time.Time {
	window := r.window().Milliseconds()
	least := now.UnixMilli() + 1
	if !last.IsZero() {
		least = max(least, last.UnixMilli()+window/2)
	}
	place := int64(r.share() * float64(window))
	next := least - mod(least-place, window)
	if next < least {
		next += window
	}
	return time.UnixMilli(next).UTC()
}

// window returns the time between two checks by ticks.
func (r Rule) window() time.Duration { return time.Duration(max(r.Every, 1)) * Tick }

// share returns where in its window the integration is checked, in [0, 1).
// Multiples of the golden ratio lie evenly however many there are, which a hash
// of the uid does not give: of a thousand integrations in an hour it puts some in
// one minute that are twice their share (C05, D23).
func (r Rule) share() float64 {
	_, share := math.Modf(float64(r.ID) * (math.Phi - 1))
	return math.Abs(share)
}

// mod returns a modulo m, never negative.
func mod(a, m int64) int64 { return (a%m + m) % m }

// String writes the rule for a person.
func (r Rule) String() string {
	switch {
	case r.Cron != "":
		zone := r.Zone
		if zone == "" {
			zone = "UTC"
		}
		return fmt.Sprintf("cron %s (%s)", r.Cron, zone)
	case r.Every < 0:
		return "never"
	case r.Every <= 1:
		return "every tick (1m)"
	default:
		return fmt.Sprintf("every %d ticks (%s)", r.Every, spell(r.window()))
	}
}

// spell writes whole minutes without what is zero.
func spell(d time.Duration) string {
	days, hours, minutes := d/(24*time.Hour), d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute
	var text strings.Builder
	for _, part := range []struct {
		n    time.Duration
		unit string
	}{{days, "d"}, {hours, "h"}, {minutes, "m"}} {
		if part.n > 0 {
			fmt.Fprintf(&text, "%d%s", part.n, part.unit)
		}
	}
	return text.String()
}
