package store

import "slices"

// RunState is where a run is.
type RunState string

// The states of a run. Processed, partial, error and cancelled are terminal;
// partial and error can be continued.
const (
	RunPending    RunState = "pending"    // waits for its lane
	RunProcessing RunState = "processing" // its streams are being worked on
	RunDelayed    RunState = "delayed"    // waits for a time, or for a run that goes first
	RunProcessed  RunState = "processed"  // every stream is processed
	RunPartial    RunState = "partial"    // some streams are processed, others are not
	RunError      RunState = "error"      // none is processed, or the run could not be planned
	RunCancelled  RunState = "cancelled"  // stopped by a person or by a change of configuration
)

// StreamState is where a stream is.
type StreamState string

// The states of a stream. Processed, error and cancelled are terminal.
const (
	StreamPending    StreamState = "pending"    // waits to be claimed
	StreamProcessing StreamState = "processing" // claimed
	StreamDelayed    StreamState = "delayed"    // waits for its next attempt or a rate limit
	StreamProcessed  StreamState = "processed"  // done
	StreamError      StreamState = "error"      // dead after its last attempt
	StreamCancelled  StreamState = "cancelled"  // its run was cancelled, or it was skipped
)

// IntegrationState is what keeps an integration working, or from it.
type IntegrationState string

// The states of an integration.
const (
	IntegrationActive          IntegrationState = "active"
	IntegrationDisabled        IntegrationState = "disabled" // by its file or a command, or gone from its file
	IntegrationParked          IntegrationState = "parked"   // its plugin is missing
	IntegrationNeedsReconnect  IntegrationState = "needs-reconnect"
	IntegrationWaitingApproval IntegrationState = "waiting-approval"
	IntegrationError           IntegrationState = "error"
)

// RunTransitions returns the legal moves of a run. The SQL trigger, the model
// test and the documentation are checked against this table.
func RunTransitions() map[RunState][]RunState {
	return map[RunState][]RunState{
		RunPending:    {RunProcessing, RunCancelled, RunError},
		RunProcessing: {RunDelayed, RunPending, RunProcessed, RunPartial, RunError, RunCancelled},
		RunDelayed:    {RunProcessing, RunPending, RunProcessed, RunPartial, RunError, RunCancelled},
		RunPartial:    {RunPending},
		RunError:      {RunPending},
		RunProcessed:  {RunPending}, // only by a person who has one of its streams worked on again
		RunCancelled:  {},
	}
}

// StreamTransitions returns the legal moves of a stream, likewise. A next page
// is the move from processing to pending.
func StreamTransitions() map[StreamState][]StreamState {
	return map[StreamState][]StreamState{
		StreamPending:    {StreamProcessing, StreamCancelled},
		StreamProcessing: {StreamPending, StreamDelayed, StreamProcessed, StreamError, StreamCancelled},
		StreamDelayed:    {StreamProcessing, StreamPending, StreamCancelled},
		StreamError:      {StreamPending, StreamCancelled},
		StreamProcessed:  {StreamPending}, // only by a person
		StreamCancelled:  {StreamPending}, // only by continuing a run that ended before the stream was worked on
	}
}

// Terminal reports whether nothing more happens to the run by itself.
func (s RunState) Terminal() bool {
	return slices.Contains([]RunState{RunProcessed, RunPartial, RunError, RunCancelled}, s)
}

// Terminal reports whether nothing more happens to the stream by itself.
func (s StreamState) Terminal() bool {
	return slices.Contains([]StreamState{StreamProcessed, StreamError, StreamCancelled}, s)
}
