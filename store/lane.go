package store

import "time"

// ClassPull is the lane class of runs. Others (push, export, call) come with
// what needs them.
const ClassPull = "pull"

// Priority classes of a lane, by what it has to do next; lower goes first.
const (
	PrioInteractive = 0 // asked for by a person
	PrioCheck       = 1 // by schedule
	PrioBulk        = 2 // onboarding
)

// Lane is an integration's share of one class of work. It is claimed by one
// host at a time.
type Lane struct {
	ID            int64
	IntegrationID int64
	TenantID      int64
	Class         string
	Key           string
	Plugin        string
	Prio          int
	WakeAt        time.Time // zero: never
	LeaseUntil    time.Time
	Owner         string // host epoch and a random token of the claim; empty: free
	Fence         int64  // raised by each claim and by whatever takes the lane away
	Nudges        int64  // as read by the claim
	Generation    int64  // of the integration, as read by the claim
}

// LaneClaim asks for due lanes.
type LaneClaim struct {
	Plugins []string // loaded by this host
	Prios   []int    // classes wanted; all if empty
	Limit   int
	Lease   time.Duration

	// PerTenant is how many lanes one tenant may have, those in Held counted. The
	// others of such a tenant are passed over, as if they were not due. Zero: no bound.
	PerTenant int
	Held      map[int64]int // lanes that the caller has already, by tenant

	// Next, if not nil, is set to what NextWake answers after the claim, where lanes
	// come of it. Where none do, nothing has changed, and it may be left as it is.
	Next *Due
}

// Due says when lanes can be claimed.
type Due struct {
	At    time.Time // of the first; zero: none ever can as things are
	Prios []int     // classes in which one may be claimed now, the most urgent first
	Later time.Time // of the first of another class; zero: none of them ever can
}

// LaneRef names a claim of a lane.
type LaneRef struct {
	ID    int64
	Owner string
	Fence int64
}

// Ref returns the claim that l stands for.
func (l Lane) Ref() LaneRef { return LaneRef{ID: l.ID, Owner: l.Owner, Fence: l.Fence} }
