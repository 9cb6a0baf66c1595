package store

import (
	"encoding/json"
	"time"
)

// CallEventType says what happened.
type CallEventType string

// The types of call events.
const (
	CallStarted   CallEventType = "call.started"
	CallConnected CallEventType = "call.connected"
	CallUpdated   CallEventType = "call.updated"
	CallEnded     CallEventType = "call.ended"
	CallWrapup    CallEventType = "call.wrapup"
	SMSSent       CallEventType = "sms.sent"
	TicketCreate  CallEventType = "ticket.create"
	ContactCreate CallEventType = "contact.create"
)

// Writes reports whether what the event runs may change the remote system.
func (t CallEventType) Writes() bool { return t != CallStarted }

// Calls reports whether the event is of a call, and not of a message or a form.
func (t CallEventType) Calls() bool {
	return t != SMSSent && t != TicketCreate && t != ContactCreate
}

// Logs reports whether the event may change the log of its call: such events wait
// for each other, even for one whose outcome is unknown.
func (t CallEventType) Logs() bool {
	switch t {
	case CallConnected, CallUpdated, CallEnded, CallWrapup:
		return true
	case CallStarted, SMSSent, TicketCreate, ContactCreate:
	}
	return false
}

// CallState is how far a call has got.
type CallState string

// The states of calls.
const (
	CallRinging CallState = "ringing"
	CallTalking CallState = "connected"
	CallHeld    CallState = "held"
	CallOver    CallState = "ended"
	CallClosed  CallState = "closed" // wrapped up, or too old: it takes no more events
)

// EventState is how far an event has got.
type EventState string

// The states of events.
const (
	EventQueued  EventState = "queued"  // nothing of it has arrived; it waits for its turn or its next attempt
	EventRunning EventState = "running" // a write may be on its way
	EventDone    EventState = "done"
	EventSkipped EventState = "skipped" // there is nothing to do for it
	EventFailed  EventState = "failed"  // refused, or given up
	EventUnknown EventState = "unknown" // a write may have arrived: it is not sent again blindly (I08)
)

// Final reports whether the state does not change by itself any more. Of an unknown
// one a person, or the remote system, has to tell what became of it.
func (s EventState) Final() bool {
	return s == EventDone || s == EventSkipped || s == EventFailed
}

// CallDetails are what events tell of their call.
type CallDetails struct {
	LegID       string    `json:"leg_id,omitempty"`
	Agent       string    `json:"agent,omitempty"`
	Direction   string    `json:"direction,omitempty"`
	From        string    `json:"from,omitempty"`
	To          string    `json:"to,omitempty"`
	Number      string    `json:"number,omitempty"` // of the other side
	Result      string    `json:"result,omitempty"`
	Disposition string    `json:"disposition,omitempty"`
	Recording   string    `json:"recording,omitempty"`
	Duration    int       `json:"duration,omitempty"` // seconds
	StartedAt   time.Time `json:"started_at,omitzero"`
	ConnectedAt time.Time `json:"connected_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	WrappedUp   bool      `json:"wrapped_up,omitempty"`
	// Contact is the id of the one that the other side is, if somebody said so.
	Contact string `json:"contact,omitempty"`
}

// Take takes over what a later event tells. What it does not tell stays; when the call
// started stays as it was told first.
func (d *CallDetails) Take(e CallDetails) {
	for _, v := range []struct{ to, from *string }{
		{&d.LegID, &e.LegID},
		{&d.Agent, &e.Agent},
		{&d.Direction, &e.Direction},
		{&d.From, &e.From},
		{&d.To, &e.To},
		{&d.Number, &e.Number},
		{&d.Result, &e.Result},
		{&d.Disposition, &e.Disposition},
		{&d.Recording, &e.Recording},
		{&d.Contact, &e.Contact},
	} {
		if *v.from != "" {
			*v.to = *v.from
		}
	}
	for _, v := range []struct{ to, from *time.Time }{
		{&d.StartedAt, &e.StartedAt}, {&d.ConnectedAt, &e.ConnectedAt}, {&d.EndedAt, &e.EndedAt},
	} {
		if v.to.IsZero() {
			*v.to = *v.from
		}
	}
	if e.Duration != 0 {
		d.Duration = e.Duration
	}
	d.WrappedUp = d.WrappedUp || e.WrappedUp
}

// CallLog is the log of a call in the remote system.
type CallLog struct {
	ID  string `json:"id,omitempty"`
	URL string `json:"url,omitempty"`
}

// Call is a call of an integration, or what else has events under one id: a message,
// a form.
type Call struct {
	ID          int64
	Integration string // uid
	Tenant      string // name
	Name        string // of the integration, when the call began
	External    string // the id that the sender of the events knows it by
	State       CallState
	CallDetails
	Log CallLog
	// Context is what hooks left, by name: an object of JSON.
	Context json.RawMessage
	// Screen is what the newest lookup answered, as sdk.CallAnswer in JSON.
	Screen    json.RawMessage
	CreatedAt time.Time
	UpdatedAt time.Time
	ClosedAt  time.Time
	Version   int64 // raised with each change
	Events    int   // of it
	Open      int   // of them, those that wait or are at work
	Unknown   int   // of them, those that wait for a person
}

// CallEvent is an event as it is stored.
type CallEvent struct {
	ID       int64
	UID      string // the idempotency key of what it does at the remote system
	CallID   int64
	Seq      int // within the call, from 1
	Type     CallEventType
	State    EventState
	Body     json.RawMessage // sdk.CallEvent
	Attempts int
	// Steps are what was done for it, in their order.
	Steps []HookStep
	// Answer is what the hook answered: sdk.CallAnswer.
	Answer     json.RawMessage
	Error      *HookError // of the newest attempt
	DueAt      time.Time  // of the next attempt; zero: none
	ReceivedAt time.Time
	FinishedAt time.Time
	// Same is what is made once by all events that have it; empty: each makes its own.
	Same string
}

// HookWay says who ran a hook.
type HookWay string

// The ways.
const (
	WayPlugin  HookWay = "plugin"  // a function of the integration's plugin
	WayChain   HookWay = "chain"   // the endpoints that the template declares for it
	WayTrigger HookWay = "trigger" // an endpoint whose trigger the event is
)

// HookStep is one thing that was done for an event: a plugin's function, or a call of
// an endpoint.
type HookStep struct {
	Way  HookWay `json:"way"`
	Name string  `json:"name"` // of the function or the endpoint
	// Key tells steps of one endpoint apart: the name that the answer is kept under,
	// with [n] if it is one of a list.
	Key     string        `json:"key,omitempty"`
	Attempt int           `json:"attempt"`
	Write   bool          `json:"write,omitempty"` // it may change the remote system
	Skipped string        `json:"skipped,omitempty"`
	Status  int           `json:"status,omitempty"` // of HTTP
	Took    time.Duration `json:"took"`
	Cached  bool          `json:"cached,omitempty"` // it was known from a moment ago
	// Warnings say what of it could not be used.
	Warnings []string   `json:"warnings,omitempty"`
	Error    *HookError `json:"error,omitempty"`
}

// Arrived reports whether the step did what it was for.
func (s HookStep) Arrived() bool { return s.Error == nil && s.Skipped == "" }

// The outcomes of a step that failed.
const (
	OutcomeNotSent = "not_sent" // it never arrived
	OutcomeFailed  = "failed"   // the remote system refused it
	OutcomeUnknown = "unknown"  // it may have arrived
)

// Codes of a HookError of what nobody finished.
const (
	CodeInterrupted = "interrupted" // its host ended
	CodeRestored    = "restored"    // it waited in a backup, and may have been done since
)

// UnknownWrite is a write for a call of which nobody knows whether it arrived.
type UnknownWrite struct {
	Event       int64         `json:"event"` // as hook resolve takes it
	Call        string        `json:"call"`  // its external id
	Type        CallEventType `json:"type"`
	Code        string        `json:"code,omitempty"`
	Message     string        `json:"message,omitempty"`
	Integration string        `json:"-"` // uid
}

// HookError is why a hook or a step of it failed. Its texts hold no secret.
type HookError struct {
	Class      string            `json:"class"` // as sdk.Class
	Code       string            `json:"code"`
	Message    string            `json:"message,omitempty"`
	Hint       string            `json:"hint,omitempty"`
	Outcome    string            `json:"outcome"`
	Status     int               `json:"status,omitempty"`
	RetryAfter time.Duration     `json:"retry_after,omitempty"`
	Fields     map[string]string `json:"fields,omitempty"` // what is wrong with single fields
	// Again says that it may be sent again although it may have arrived.
	Again bool `json:"again,omitempty"`
}

// Error returns the code and the message.
func (e *HookError) Error() string { return e.Code + ": " + e.Message }
