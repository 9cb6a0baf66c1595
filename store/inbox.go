package store

import (
	"encoding/json"
	"time"
)

// Bounds of calls.
const (
	MaxCallEvents       = 1000      // of one call
	MaxCallEventBytes   = 64 << 10  // of one event
	MaxCallBytes        = 1 << 20   // of the events of one call
	MaxCallContextBytes = 256 << 10 // of what hooks leave in one call
	MaxCallScreenBytes  = 256 << 10
	MaxOpenCalls        = 200_000
	MaxExternalCallID   = 128
	MaxIdempotencyKey   = 255
)

// How long things of calls are kept.
const (
	// KeepIdempotencyKeys is how long the same key has the same answer.
	KeepIdempotencyKeys = 24 * time.Hour
	// CloseAfterWrapup is how long a call that was wrapped up takes events.
	CloseAfterWrapup = 15 * time.Minute
	// CloseIdleCalls is how long a call takes events in which nothing happens.
	CloseIdleCalls = 24 * time.Hour
)

// NewCallEvent is an event to be stored.
type NewCallEvent struct {
	Integration string // uid
	Tenant      string
	Name        string // of the integration
	External    string // id of the call
	UID         string // chosen by the caller; see CallEvent
	Type        CallEventType
	Body        json.RawMessage
	Details     CallDetails // what the body tells of the call
	State       CallState   // that the call has then; empty: as it is
	// Writes says that what the event runs may change the remote system.
	Writes bool
	// Skip says that nothing runs at the event.
	Skip bool
	// Key and Sum tell a replay from another event with the same key. No key, no
	// replay.
	Key string
	Sum []byte
	// Same is what is made once by all events that have it; empty: the event makes its own.
	Same string
	// Begin has the event claimed with its storing, if it is its turn.
	Begin bool
}

// AcceptedEvent is an event that was stored.
type AcceptedEvent struct {
	Call     Call
	Event    CallEvent
	Replayed bool // it was there already
	Begun    bool // it is claimed: the caller works on it
}

// DueCall names a call with an event to be worked on.
type DueCall struct {
	ID          int64
	Integration string // uid
	External    string
}

// ClaimedEvent is an event whose turn it is.
type ClaimedEvent struct {
	Call  Call
	Event CallEvent
	// Ask is set for one whose outcome is unknown: the remote system is to be asked.
	Ask bool
}

// EventOutcome is what became of an attempt.
type EventOutcome struct {
	EventID  int64
	Attempts int // as claimed: one that was claimed again since is ErrStale
	State    EventState
	Steps    []HookStep // all of them
	Answer   json.RawMessage
	Error    *HookError
	DueAt    time.Time // of the next attempt, or question; zero: none
	// What changes of the call; nil leaves it.
	Log     *CallLog
	Context json.RawMessage
	Screen  json.RawMessage
	// Next has the next event of the call claimed, if it is its turn.
	Next bool
}

// EventResolution is what a person says of an event.
type EventResolution string

// The resolutions.
const (
	ResolveRetry EventResolution = "retry" // it is sent again
	ResolveMade  EventResolution = "made"  // it arrived
	ResolveDrop  EventResolution = "drop"  // nothing more is done for it
)

// CallFilter selects calls. Zero fields select all.
type CallFilter struct {
	Integration string // uid
	Tenant      string
	Open        bool // those alone of which something is to be done
	Unknown     bool // those alone of which something waits for a person
	Before      int64
	Limit       int // 100 if zero
}

// CallCounts are how many there are.
type CallCounts struct {
	Live    int64 // calls that take events
	Open    int64 // calls of which something is to be done
	Unknown int64 // calls of which something waits for a person
}
