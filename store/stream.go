package store

import "time"

// StreamType tells the run's own calls from the plugin's streams (K01).
type StreamType string

// The types of streams.
const (
	StreamPreprocess  StreamType = "preprocess"
	StreamPlan        StreamType = "plan"  // GetStreams
	StreamAllow       StreamType = "allow" // asks whether a connector may run
	StreamRoot        StreamType = "root"  // emitted by GetStreams
	StreamChild       StreamType = "child"
	StreamSweep       StreamType = "sweep" // deletes what a full sync did not see; the store's own work
	StreamPostprocess StreamType = "postprocess"
)

// System reports whether the stream is one of the run's own calls.
func (t StreamType) System() bool { return t != StreamRoot && t != StreamChild }

// Stream is one unit of a run's work.
type Stream struct {
	ID            int64
	RunID         int64
	IntegrationID int64
	ParentID      int64 // 0 for root and system streams
	Type          StreamType
	Ident         string // unique in the run and connector
	Connector     string
	Partition     string
	LimitKey      string
	State         StreamState
	Seq           int64 // raised by each applied segment
	Claim         int64 // raised by each claim
	Pages         int64
	Attempts      int // failures since the last progress
	Interrupts    int // claims that ended without an answer
	Crashes       int // processes that it had to itself and that ended (K11)
	DueAt         time.Time
	Data          []byte
	Page          []byte
	Checkpoint    []byte
	Began         []byte // StreamEnd.Began of the last call of this page that ended with it
	LastRecord    string
	LastRecordAt  time.Time
	Failure       *Failure
	CreatedAt     time.Time
	UpdatedAt     time.Time
	ProcessedAt   time.Time
	Stats         RunStats

	// Probe, if not nil, is the circuit that this claim tries (set by the claim).
	Probe *Circuit

	// Read with a claim, for the call.
	Cursor     []byte               // of the partition
	Watermarks map[string]time.Time // of the integration, by connector
	Results    []ConnectorStatus    // of the connectors before the one that is asked whether it may run
}

// NewStream is a stream to add to a run. One whose (connector, ident) the run
// has already is ignored.
type NewStream struct {
	Ident     string
	Connector string
	Partition string
	LimitKey  string
	Data      []byte
}

// StreamFilter selects streams, in the order they were made.
type StreamFilter struct {
	RunID         int64
	IntegrationID int64
	Connector     string
	State         StreamState
	System        bool // with the run's own calls
	Limit         int  // 100 if zero
	After         int64
}

// Caps on what a run may make (F24). Passing one is ErrLimit with its name.
const (
	MaxStreamsPerRun    = 1_000_000
	MaxStreamDepth      = 32
	MaxPagesPerStream   = 100_000
	MaxStreamsPerResult = 1_000
	PageHistory         = 64 // page tokens remembered to find a loop
	MaxStreamDataBytes  = 64 << 10
	MaxWarningsKept     = 100 // of a run; all are counted
)

// FailedFilter selects streams that ended in error and that nothing has taken the
// place of. Zero fields select all.
type FailedFilter struct {
	Plugin        string
	IntegrationID int64
	Limit         int // 100 if zero
	After         int64
}
