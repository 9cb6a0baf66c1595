package store

import "time"

// Retention says how long a store keeps what is over. A zero duration keeps it for
// ever.
type Retention struct {
	Runs    time.Duration `json:"runs"`    // runs that ended, with their streams and warnings
	Deleted time.Duration `json:"deleted"` // the traces that deleted records leave in the feed
	Events  time.Duration `json:"events"`
}

// DefaultDeleteGuard is the share of a kind's records above which a full sync
// deletes nothing, where nothing is said.
const DefaultDeleteGuard = 0.2

// DefaultRetention returns what holds where nothing is said.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Runs: 90 * day, Deleted: 30 * day, Events: 90 * day}
}
