package store

import "time"

// RunKind says why a run was started.
type RunKind string

// The kinds of runs.
const (
	RunOnboarding RunKind = "onboarding"
	RunCheck      RunKind = "check"
	RunManual     RunKind = "manual"
)

// Run is one processing of an integration.
type Run struct {
	ID            int64
	IntegrationID int64
	Tenant        string
	Integration   string // name
	Plugin        string
	Class         string
	Kind          RunKind
	State         RunState
	Connectors    []string
	Params        map[string]string
	// ParamsSum tells parameterised runs apart; empty for an ordinary run. At
	// most one run of each sum is open per integration and class.
	ParamsSum     string
	Force         bool // ignores cursors; replaces them when it succeeds
	AcceptDeletes bool // a person wants what is gone deleted, whatever its share
	CreatedAt     time.Time
	StartedAt     time.Time
	PlannedAt     time.Time // in the transaction that applies the last segment of GetStreams
	DelayedUntil  time.Time
	DelayReason   string // why it waits until then
	EndedAt       time.Time
	UpdatedAt     time.Time
	// StuckSince is its last sign of life before it was helped on because it made
	// no progress; zero as soon as something of it is applied again.
	StuckSince   time.Time
	Preprocessed []byte
	Failure      *Failure
	Stats        RunStats
	Streams      StreamCounts
}

// RunStats count what a run did. Read = Added + Updated + Deleted + Unchanged +
// Stale.
type RunStats struct {
	Read      int64 // records that arrived
	Added     int64
	Updated   int64
	Deleted   int64
	Unchanged int64 // by hash
	Stale     int64 // older than what is stored, or repeated within one segment
	Warnings  int64
}

// StreamCounts are a run's streams by state, its system streams left out.
type StreamCounts struct {
	Pending, Processing, Delayed, Processed, Error, Cancelled int64
}

// Total returns the number of streams.
func (c StreamCounts) Total() int64 {
	return c.Pending + c.Processing + c.Delayed + c.Processed + c.Error + c.Cancelled
}

// Failure is why something did not work.
type Failure struct {
	Point   string    `json:"point"` // preprocess, get_streams, process_stream, postprocess, apply, ...
	Class   string    `json:"class"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Cause   string    `json:"cause,omitempty"` // chain or stack, for authors
	Attempt int       `json:"attempt"`
	Plugin  string    `json:"plugin,omitempty"` // version
	At      time.Time `json:"at"`
	// Request is the request to the remote system that failed, if the plugin told.
	Request *Request `json:"request,omitempty"`
	// Details are what the plugin told besides. They hold no secret.
	Details map[string]string `json:"details,omitempty"`
}

// Request is what is kept of a request that failed. It holds no secret.
type Request struct {
	Method   string        `json:"method,omitempty"`
	URL      string        `json:"url,omitempty"` // without query, fragment and user information
	Status   int           `json:"status,omitempty"`
	Duration time.Duration `json:"duration,omitempty"` // nanoseconds
	Host     string        `json:"host,omitempty"`
}

// RunRequest asks for a run.
type RunRequest struct {
	IntegrationID int64
	Class         string
	Kind          RunKind
	Connectors    []string // the integration's enabled ones if empty
	Params        map[string]string
	ParamsSum     string
	Force         bool
	AcceptDeletes bool
	// Replace cancels the integration's open runs instead of waiting for them.
	Replace bool
	// NextCheckAt, if not zero, is stored with LastCheckAt = now: the schedule
	// asked for this run.
	Scheduled   bool
	NextCheckAt time.Time
}

// RunBegin moves a pending or delayed run to processing.
type RunBegin struct {
	Preprocess  bool // the plugin has it: the first stream is its call
	Postprocess bool // likewise, for the last
	// Order tells in which order connectors are worked on: those of a lower number
	// first, those of the same beside each other. One that is absent has 0.
	Order map[string]int
	// Allow asks the plugin before each connector's streams whether it may run.
	Allow bool
	// Complete tells which kinds of records a connector lists completely: what a
	// full run does not see of them is deleted at its end (K07).
	Complete map[string][]string
	// Gone are connectors that the plugin has no more: they are left out of the run, and
	// their cursors stay for when they are back (K17).
	Gone []Veto
	// DeleteGuard is the share of a kind's records above which nothing is deleted.
	DeleteGuard float64
}

// RunStart asks for a run by schedule that begins at once, under the lane's fence.
type RunStart struct {
	Lane    Lane
	Request RunRequest // of the lane's integration and class
	Begin   RunBegin
	Claim   bool // the first of its calls as well, if it is a new run
}

// RunStarted is what a RunStart has brought about.
type RunStarted struct {
	Run     Run
	Streams []Stream // claimed: one, or none
}

// RunFilter selects runs, newest first.
type RunFilter struct {
	Tenant        string
	IntegrationID int64
	State         RunState
	Stuck         bool // only those with StuckSince
	Limit         int  // 100 if zero
	Before        int64
}

// Warning is something a run skipped.
type Warning struct {
	RecordID string
	Message  string
	At       time.Time
}
