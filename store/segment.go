package store

import "time"

// Segment is the unit of apply (K02): what a call returned between two
// checkpoints, with the checkpoint, or with the end of the call. It is one
// transaction, guarded by the lane's fence and the stream's claim and seq.
type Segment struct {
	Lane       LaneRef
	Generation int64 // of the integration, as the lane's claim read it
	RunID      int64
	StreamID   int64
	Claim      int64
	Seq        int64 // that the stream has now; one higher after

	Records  []Record
	Updates  []Update    // after the records, in their order
	Streams  []NewStream // children of the stream; roots if it is the plan
	Warnings []Warning
	// Patch, if not nil, replaces the integration's sealed patch.
	Patch []byte
	// Service is what changes of what the tenant's integrations of the plugin
	// share, by key; each value is sealed.
	Service map[string][]byte
	// Shapes are types of fields that are new, or changed in a forced run.
	Shapes Shapes
	// Cursor, if not nil, becomes the cursor of the stream's partition. In a
	// forced run it is kept aside until the run succeeds.
	Cursor []byte
	// Checkpoint becomes the stream's, nil included. An end with a next page
	// clears it whatever it says.
	Checkpoint []byte
	// Replays says that the call goes over what one before it did: that is no
	// progress, and the stream's failures stay counted (K11).
	Replays bool
	// Preprocessed, if not nil, becomes the run's.
	Preprocessed []byte
	// Throttles are rate limits to keep.
	Throttles []Throttle
	// Circuit, if not nil, is what became of the way to a remote system.
	Circuit *CircuitChange
	// End, if not nil, says what becomes of the stream: the call is over.
	End *StreamEnd
}

// StreamEnd is how a claim of a stream ends.
type StreamEnd struct {
	// State: processed; pending (next page, or interrupted and to be claimed
	// again); delayed (a failed attempt, or a rate limit); error.
	State StreamState
	// NextPage, with StreamPending or StreamDelayed, is the page to go on with.
	NextPage     []byte
	DueAt        time.Time // of pending and delayed; now if zero
	LastRecord   string
	LastRecordAt time.Time
	// Failure says why, for a failed attempt and for error. It counts as an
	// attempt when Attempt is set.
	Failure *Failure
	Attempt bool
	// Crash says that the claim ended with a process that the stream had to
	// itself. It is counted, until the stream makes progress (K11).
	Crash bool
	// Answered is false when the plugin gave no answer (it died, or the call was
	// given up): Interrupts keeps what the claim added to it.
	Answered bool
	// Began marks the first checkpoint of a call that did not end well, so that the
	// next one is known if it begins there too; nil leaves what is kept.
	Began []byte
	// SleepUntil delays the rest of the run, for SleepReason.
	SleepUntil  time.Time
	SleepReason string
	// AbortRun ends the run as error with Failure.
	AbortRun bool
	// Next, if not zero, is how many streams of the run the same transaction claims, as
	// ClaimStreams after it would. What it claims is the caller's, as the stream was.
	Next int
	// Release, if not nil, is the lane, to be given back in the same transaction, as
	// ReleaseLane after it would, if the run ends by this.
	Release *Lane
	// Veto, of a check that is processed, leaves a connector out of the run, and so does
	// that of another stream, which is then the first to be left.
	Veto *Veto
}

// Veto is why a connector does not take part in a run: its own word (O21), or that the
// plugin has it no more (K17).
type Veto struct {
	Connector string
	Reason    string
	Gone      bool // the plugin has it no more
}

// Throttle is a rate limit in force for all streams of a plugin with its key.
type Throttle struct {
	Plugin string
	Key    string
	Until  time.Time
}

// Applied tells what a segment did.
type Applied struct {
	Seq      int64 // of the stream, after
	Stats    RunStats
	Streams  int      // new ones that were added
	Run      RunState // after
	RunEnded bool     // by this segment
	Done     bool     // the claim of the stream is over
	Next     []Stream // claimed, as StreamEnd.Next asks
	Drained  bool     // fewer are due than StreamEnd.Next asks for
	Released bool     // the lane is given back, as StreamEnd.Release asks
	// LaneDue is when a lane that is given back can be claimed next, if it comes to
	// that before anything else does; zero: never.
	LaneDue  time.Time
	Position int64 // of the newest change of the feed, after
}
