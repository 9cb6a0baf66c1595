package sdk

import "time"

// RunKind says why a run was started.
type RunKind string

// The kinds of runs.
const (
	RunOnboarding RunKind = "onboarding" // the first one, or asked for
	RunCheck      RunKind = "check"      // by schedule
	RunManual     RunKind = "manual"     // by hand
)

// Run is one processing of an integration.
type Run struct {
	ID         string
	Kind       RunKind
	Onboarding bool
	Connectors []string // to process, in order; never one that is not enabled
	Params     map[string]string
	StartedAt  time.Time
	// Watermarks hold, by connector, the start of the last run that processed
	// every stream of it; a connector that never was is absent.
	Watermarks   map[string]time.Time
	Preprocessed []byte // what Preprocess returned
	// Service is what the plugin keeps for all of the tenant's integrations of it,
	// JSON by key, as it was when the host took up the run.
	Service map[string][]byte
}

// Stream is one unit of a run's work: a channel, a repository, a thread. Its ID
// is unique in the run. It must hold no secret.
type Stream struct {
	ID        string
	Connector string
	Data      []byte // opaque to the host, at most 64 KiB; kept on every page
	// Partition names the cursor that this stream owns, within its connector.
	// One stream of a run at most owns a partition. Empty: it owns none.
	Partition string
	// LimitKey is what the remote system's rate limit counts by; the
	// integration itself if empty.
	LimitKey string
}

// PlanCall is what GetStreams works on.
type PlanCall struct {
	Run        Run
	Checkpoint []byte // where an earlier call got to; nil at first
}

// StreamCall is what ProcessStream works on.
type StreamCall struct {
	Run        Run
	Stream     Stream
	Page       []byte // Outcome.NextPage of the page before; nil on the first
	Checkpoint []byte // the last one of this page; nil at its start
	Cursor     []byte // of the stream's partition; nil if there is none or the run is forced
	Attempt    int    // 0 on the first try
	// PageSize is how many records are wanted of this page, and at most between two
	// checkpoints; 0 leaves it to the plugin. Of a page that was too large the host
	// asks again from the last checkpoint, with a smaller size. See PageLimit.
	PageSize int
}

// PageLimit returns how many records to ask the remote system for: own, or fewer if
// the host wants that.
func (c StreamCall) PageLimit(own int) int {
	if c.PageSize <= 0 {
		return own
	}
	return min(own, c.PageSize)
}

// FinishedCall is what IsProcessingFinished is asked about.
type FinishedCall struct {
	Run                 Run
	Stream              Stream
	NextPage            []byte
	LastRecord          string
	LastRecordTimestamp time.Time
}

// AllowedCall is what Allowed is asked about.
type AllowedCall struct {
	Run       Run
	Connector string
	Results   []ConnectorResult // of the connectors of a lower order in this run
}

// ConnectorResult is how a connector's part of a run ended.
type ConnectorResult struct {
	Connector string
	Code      string // completed, partial, failed, skipped, cancelled
	Message   string // why, if it is not completed
	// What became of its records, and of its streams.
	Read, Added, Updated, Deleted, Unchanged int64
	Processed, Failed                        int64
}

// Verdict answers an AllowedCall. Its zero value lets the connector run.
type Verdict struct {
	Skip   bool
	Reason string // for people, if Skip is set
}

// Checkpoint ends a segment: what was emitted since the last one is applied in
// one transaction with it, and the stream resumes here. A call that begins where the
// failed one before it did, by its first checkpoint, has not resumed: what it sends
// does not reset the count of failures.
type Checkpoint struct {
	Data   []byte
	Cursor []byte // nil leaves the partition's cursor as it is
}

// Outcome is what is left to say when a call ends well. What was emitted since
// the last checkpoint is applied with it in one transaction.
type Outcome struct {
	NextPage            []byte // nil: the stream is done
	Cursor              []byte // nil leaves the partition's cursor as it is
	LastRecord          string
	LastRecordTimestamp time.Time
	// Sleep keeps the rest of the run waiting that long.
	Sleep time.Duration
	// RateLimit keeps the streams with its key waiting; this one too if it has a
	// next page.
	RateLimit *RateLimit
}

// RateLimit is a remote system's word that it wants no calls for a while. One of
// After and Until is set; a time in the past counts as the shortest wait.
type RateLimit struct {
	Key   string        // the stream's LimitKey if empty
	After time.Duration // from now
	Until time.Time     // the remote system's epoch
}
