package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine may have no time zones of its own

	"github.com/netresearch/go-cron"

	"github.com/jackfield/jackfield/store"
)

const (
	allHours    = 1<<24 - 1
	searchYears = 12 // a 29th of February may be eight years away
)

// ErrNever says that a rule is well formed and no time fits it.
var ErrNever = errors.New("the rule never comes true")

// Check returns what is wrong with the rule, with a hint where there is one. Only
// Cron and Zone can be wrong.
func (r Rule) Check(now time.Time) error {
	if _, err := r.zone(); err != nil {
		return err
	}
	if r.Cron == "" {
		return nil
	}
	_, err := r.nextCron(now)
	return err
}

// zone returns the location that Cron is meant in. That of the machine has no
// name, so that a configuration means the same everywhere.
func (r Rule) zone() (*time.Location, error) {
	if r.Zone == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(r.Zone)
	if err != nil || r.Zone == "Local" {
		return nil, store.Hint(fmt.Errorf("there is no time zone %q", r.Zone), "an IANA name such as Europe/Berlin or UTC")
	}
	return loc, nil
}

// nextCron returns the first time after t that fits the cron rule. In a zone with
// summer time, a local time that is left out counts at the first instant after the
// gap, and one that comes twice counts once; a rule that names no hour goes by the
// time that passes.
func (r Rule) nextCron(t time.Time) (time.Time, error) {
	loc, err := r.zone()
	if err != nil {
		return time.Time{}, err
	}
	spec, err := r.parse()
	if err != nil {
		return time.Time{}, err
	}
	next := nextLocal
	if spec.Hour&allHours == allHours {
		next = nextPassing
	}
	at := next(spec, t.In(loc))
	if at.IsZero() {
		return time.Time{}, store.Hint(ErrNever, "no month has that day, such as 31 February")
	}
	return at.UTC(), nil
}

// parse reads the rule for a clock without a zone. H stands for a value that
// differs among integrations, in each field for itself.
func (r Rule) parse() (*cron.SpecSchedule, error) {
	text := strings.TrimSpace(r.Cron)
	switch {
	case strings.HasPrefix(text, "@every"):
		return nil, store.Hint(errors.New("an interval is no cron rule"), "every: with ticks of one minute")
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return nil, store.Hint(errors.New("the zone stands in a key of its own"), "timezone: "+zoneOf(text))
	}
	// As in crontab: a day fits if either of its two fields does, when both say
	// something.
	parser, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.Hash | cron.DowOrDom)
	if err != nil {
		return nil, fmt.Errorf("cron: %w", err)
	}
	parser = parser.WithMaxSearchYears(searchYears)
	var out *cron.SpecSchedule
	fields := []string{"minute", "hour", "day", "month", "weekday"}
	if !strings.ContainsAny(text, "Hh") {
		fields = fields[:1] // nothing differs: what is read for one field is that of all
	}
	for _, field := range fields {
		parsed, err := parser.ParseWithHashKey("TZ=UTC "+text, fieldKey(field, r.UID))
		if err != nil {
			return nil, store.Hint(err, `minute, hour, day, month and weekday, such as "30 6 * * 1-5"`)
		}
		spec, ok := parsed.(*cron.SpecSchedule)
		if !ok {
			return nil, errors.New("not a rule of five fields")
		}
		switch field {
		case "minute":
			out = spec
		case "hour":
			out.Hour = spec.Hour
		case "day":
			out.Dom = spec.Dom
		case "month":
			out.Month = spec.Month
		case "weekday":
			out.Dow = spec.Dow
		}
	}
	return out, nil
}

// fieldKey returns what H is drawn from. The parser's own hash carries the likeness
// of two keys into its low digits, so that minute and hour would go together.
func fieldKey(field, uid string) string {
	sum := sha256.Sum256([]byte(field + " of " + uid))
	return hex.EncodeToString(sum[:])
}

// zoneOf returns the zone of a rule that begins with one.
func zoneOf(text string) string {
	_, rest, _ := strings.Cut(text, "=")
	zone, _, _ := strings.Cut(rest, " ")
	return zone
}

// nextLocal goes from one local time that fits to the next.
func nextLocal(spec *cron.SpecSchedule, t time.Time) time.Time {
	for wall := clock(t); ; {
		if wall = spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := instant(wall, t.Location()); at.After(t) {
			return at
		}
	}
}

// nextPassing goes from one instant that fits to the next, through each stretch of
// time in which the zone keeps its distance from UTC.
func nextPassing(spec *cron.SpecSchedule, t time.Time) time.Time {
	for {
		wall := clock(t)
		next := spec.Next(wall)
		if next.IsZero() {
			return time.Time{}
		}
		at := t.Add(next.Sub(wall))
		_, end := t.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return at
		}
		_, offset := end.Zone()
		before := end.Add(time.Duration(offset) * time.Second).UTC().Add(-1)
		if next = spec.Next(before); next.IsZero() {
			return time.Time{}
		}
		at = end.Add(next.Sub(before) - 1)
		if _, after := end.ZoneBounds(); after.IsZero() || at.Before(after) {
			return at
		}
		t = end
	}
}

// clock returns what a clock on the wall shows at t, as if it were UTC.
func clock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant returns when a clock on the wall of loc shows the time first, and the
// end of the gap if it never does.
func instant(wall time.Time, loc *time.Location) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, loc)
	start, end := at.ZoneBounds()
	if shown := clock(at); !shown.Equal(wall) { // in a gap: at lies to one side of it
		if shown.After(wall) && !start.IsZero() {
			return start
		}
		return end
	}
	if start.IsZero() {
		return at
	}
	_, now := at.Zone()
	_, before := start.Add(-1).Zone()
	if earlier := at.Add(time.Duration(now-before) * time.Second); earlier.Before(start) && clock(earlier).Equal(wall) {
		return earlier
	}
	return at
}
