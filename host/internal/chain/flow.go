package chain

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// The hooks, and the events that they answer.
const (
	GetDataIframe       = "getDataIframe"       // call.started
	SavePreLogCRM       = "savePreLogCRM"       // call.connected
	SaveLogCRM          = "saveLogCRM"          // call.ended
	CreateSMSNote       = "createSMSNote"       // sms.sent
	HandleCreateTicket  = "handleCreateTicket"  // ticket.create
	HandleCreateContact = "handleCreateContact" // contact.create
)

// HookOf returns the hook of an event; empty if it has none.
func HookOf(event string) string {
	switch event {
	case "call.started":
		return GetDataIframe
	case "call.connected":
		return SavePreLogCRM
	case "call.ended":
		return SaveLogCRM
	case "sms.sent":
		return CreateSMSNote
	case "ticket.create":
		return HandleCreateTicket
	case "contact.create":
		return HandleCreateContact
	}
	return ""
}

// Target is an integration of a template, with the way to its remote system. It is
// safe for concurrent use.
type Target interface {
	// ID is that of the integration, which no other has, ever.
	ID() string
	// Flow returns what is declared for an event.
	Flow(event string) Flow
	// Call calls an endpoint. An error that is an *Error says what is known of the
	// request.
	Call(ctx context.Context, endpoint string, g Given) (Answer, error)
	// Fingerprint tells the request of an endpoint from others, and no more.
	Fingerprint(endpoint string, g Given) (string, error)
	// Number returns a phone number as E.164, or as it is.
	Number(number string) string
}

// Given is what an expression or an endpoint is given. It is read alone.
type Given struct {
	Call    map[string]any
	Context map[string]any
	Body    map[string]any
	Item    any
}

// Expression is a compiled expression. It changes nothing.
type Expression func(Given) (any, error)

// Answer is what an endpoint answered. It is read alone.
type Answer struct {
	Status   int
	Body     any
	Items    []Item
	Warnings []string
}

// Item is one thing of an answer, in the words of its shape.
type Item struct {
	Shape  string
	Values map[string]string
	Extra  map[string]any
}

// Flow is what a template declares for an event. Its zero value does nothing.
type Flow struct {
	Steps []Step
	// Triggers are endpoints that are called at this event and that no step names.
	Triggers []Step
	// ID, URL, Route and Reject say what the hook answers; nil: ID and URL are those
	// of the last thing that a step answered.
	ID, URL, Route, Reject Expression
	// Screen makes the screen from what there is, with warnings about what it could
	// not show; nil: there is none.
	Screen func(Given) (*sdk.Screen, []string)
	// Deadline bounds the whole flow; 0: who calls it does.
	Deadline time.Duration
	// Options and User are the names and values that the template declares.
	Options map[string]bool
	User    []string
}

// Empty reports whether there is nothing to do: no endpoint and no screen.
func (f Flow) Empty() bool {
	return len(f.Steps) == 0 && len(f.Triggers) == 0 && f.Screen == nil && f.Route == nil && f.Reject == nil
}

// Step is one endpoint of a flow.
type Step struct {
	Name     string // that the answer is kept under; empty: it is not kept
	Endpoint string
	When     Expression // nil: always
	ForEach  Expression // nil: once
	Optional bool       // the flow goes on if it fails
	Reads    bool       // it changes nothing at the remote system
	Contacts bool       // it answers contacts
}

// key tells steps of one event apart.
func (s Step) key() string {
	if s.Name == "" {
		return "trigger " + s.Endpoint
	}
	return s.Name
}
