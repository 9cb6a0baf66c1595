package config

import (
	"time"

	"github.com/jackfield/jackfield/store"
)

// The bounds of what may be kept: less than what a person needs to look at it, or
// more than a clock is worth, is a mistake.
const (
	shortestKept = time.Hour
	longestKept  = 100 * 366 * 24 * time.Hour
)

// retention reads how long what is over is kept.
func (l *loader) retention(o object, otherwise store.Retention) store.Retention {
	r, ok := o.src.object(o.at("retention"), "retention", retentionKeys()...)
	if !ok {
		return otherwise
	}
	return store.Retention{
		Runs:    r.kept("runs", otherwise.Runs),
		Deleted: r.kept("deleted", otherwise.Deleted),
		Events:  r.kept("events", otherwise.Events),
	}
}

func retentionKeys() []string { return []string{"runs", "deleted", "events"} }

// kept reads a time for which something is kept; 0 is for ever.
func (o object) kept(key string, otherwise time.Duration) time.Duration {
	n, ok := o.scalar(key, "a time", "!!str", "!!int")
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil || d != 0 && (d < shortestKept || d > longestKept) {
		o.src.failAt(CodeBadValue, n, "such as 720h, which is 30 days; at least 1h; 0 keeps it for ever", "%s: %q is not a time to keep it", join(o.path, key), short(n.Value))
		return otherwise
	}
	return d
}
