package sdk

import (
	"encoding/json"
	"time"
)

// The hooks of calls: names that a manifest lists and Invoke answers. The payload of
// each is a CallHook, the result a CallAnswer.
const (
	// HookGetDataIframe is asked when a call starts: who calls, and what the screen
	// shows. It only reads.
	HookGetDataIframe = "getDataIframe"
	// HookSavePreLogCRM begins the log of a call that is connected.
	HookSavePreLogCRM = "savePreLogCRM"
	// HookSaveLogCRM completes the log of a call that ended, which is Log of the
	// payload, or makes one if there is none.
	HookSaveLogCRM = "saveLogCRM"
	// HookCreateSMSNote notes a message that was sent.
	HookCreateSMSNote = "createSMSNote"
	// HookCreateTicket makes a ticket of a form.
	HookCreateTicket = "handleCreateTicket"
	// HookCreateContact makes a contact of a form.
	HookCreateContact = "handleCreateContact"
	// HookLookup is asked what became of a write whose answer was lost: that of Hook
	// with the idempotency key of the payload. It only reads. An answer with an ID says
	// that the write arrived, one without that it did not.
	HookLookup = "lookup"
)

// CallHook is what a hook of a call is given.
type CallHook struct {
	Event CallEvent `json:"event"`
	// Hook is the one that HookLookup asks about.
	Hook string `json:"hook,omitempty"`
	// IdempotencyKey is the same however often the hook is called for this event.
	IdempotencyKey string `json:"idempotency_key"`
	// Attempt is 1 for the first one.
	Attempt int `json:"attempt"`
	// Log is what HookSavePreLogCRM made for this call.
	Log *CallLog `json:"log,omitempty"`
	// Contact is who the other side is: the contact that the agent chose of several, else
	// the only one that was found.
	Contact *CallContact `json:"contact,omitempty"`
	// Context is what hooks of earlier events of this call left, by name.
	Context map[string]json.RawMessage `json:"context,omitempty"`
	// Options are the choices of the template's listOptions.
	Options map[string]bool `json:"options,omitempty"`
}

// CallLog is a log in the remote system.
type CallLog struct {
	ID  string `json:"id"`
	URL string `json:"url,omitempty"`
}

// CallEvent is something that happened in a call. Number is that of the other side:
// who calls, or who is called.
type CallEvent struct {
	Type        string            `json:"type"` // such as call.started
	CallID      string            `json:"call_id"`
	LegID       string            `json:"leg_id,omitempty"`
	Agent       string            `json:"agent,omitempty"`
	Direction   string            `json:"direction,omitempty"` // in or out
	From        string            `json:"from,omitempty"`
	To          string            `json:"to,omitempty"`
	Number      string            `json:"number,omitempty"`
	At          time.Time         `json:"at"`                  // when it happened
	StartedAt   time.Time         `json:"started_at,omitzero"` // of the call
	ConnectedAt time.Time         `json:"connected_at,omitzero"`
	EndedAt     time.Time         `json:"ended_at,omitzero"`
	Result      string            `json:"result,omitempty"`   // of call.ended, such as COMPLETED
	Duration    int               `json:"duration,omitempty"` // seconds that people spoke
	Recording   string            `json:"recording,omitempty"`
	Disposition string            `json:"disposition,omitempty"`
	Update      string            `json:"update,omitempty"`      // of call.updated: hold, resume, transfer, note or contact
	TransferTo  string            `json:"transfer_to,omitempty"` // of a transfer
	Text        string            `json:"text,omitempty"`        // of a note or a message
	Fields      map[string]any    `json:"fields,omitempty"`      // of a form, or what the sender adds
	UserInfo    map[string]string `json:"user_info,omitempty"`   // read from the page of the CRM
}

// CallAnswer is what a hook of a call answers. What it leaves out is not there.
type CallAnswer struct {
	// Contacts are those that the number belongs to: none, one, or several to choose
	// from.
	Contacts []CallContact `json:"contacts,omitempty"`
	// Iframe is what the screen shows: a Screen.
	Iframe json.RawMessage `json:"iframe,omitempty"`
	// Route sends a call that rings elsewhere; Reject refuses it. One of both at most.
	Route  *CallRoute  `json:"route,omitempty"`
	Reject *CallReject `json:"reject,omitempty"`
	// ID and URL are of what was made: a log, a note, a ticket, a contact.
	ID  string `json:"id,omitempty"`
	URL string `json:"url,omitempty"`
	// FieldErrors say, by field, why the remote system did not make it.
	FieldErrors map[string]string `json:"field_errors,omitempty"`
	// Context is kept for the hooks of later events, by name; null removes a name.
	Context map[string]json.RawMessage `json:"context,omitempty"`
}

// CallContact is a person or a company of the remote system.
type CallContact struct {
	ID      string         `json:"id"`
	Name    string         `json:"name,omitempty"`
	Company string         `json:"company,omitempty"`
	Title   string         `json:"title,omitempty"`
	Phone   string         `json:"phone,omitempty"`
	Email   string         `json:"email,omitempty"`
	URL     string         `json:"url,omitempty"`
	Kind    string         `json:"kind,omitempty"`
	Extra   map[string]any `json:"extra,omitempty"`
}

// CallRoute says where a call goes.
type CallRoute struct {
	To string `json:"to"` // an extension, a queue or a number, as the sender of the event knows it
}

// CallReject says why a call is refused.
type CallReject struct {
	Reason string `json:"reason,omitempty"`
}
