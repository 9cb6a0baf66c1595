package chain

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Target is an integration of a template, with the way to its remote system. It is
// safe for concurrent use.
type Target interface {
	// ID is that of the integration, which no other has, ever.
	ID() string
	// Flow returns what is declared for a hook and an event.
	Flow(hook string, event store.CallEventType) Flow
	// Call calls an endpoint. An error that is a *store.HookError says what is known of
	// the request.
	Call(ctx context.Context, endpoint string, g Given) (Answer, error)
	// Fingerprint tells the request of an endpoint from others, and nothing else of it.
	Fingerprint(endpoint string, g Given) (string, error)
	// Number returns a phone number as E.164, or as it is.
	Number(number string) string
	// As returns a thing as an endpoint would have answered it that makes such things;
	// false if nobody can tell.
	As(endpoint string, it Item) (any, bool)
}

// Given is what an expression or an endpoint is given. It is only read.
type Given struct {
	Body    map[string]any
	Call    map[string]any
	Context map[string]any
	Item    any
}

// Expression is a compiled expression. It changes nothing.
type Expression func(Given) (any, error)

// Answer is what an endpoint answered. It is only read.
type Answer struct {
	Status   int
	Body     any
	Items    []Item
	Warnings []string
	Bare     bool // it lacks what the template says that it has, such as the list
}

// Item is one thing of an answer, in the words of its shape.
type Item struct {
	Shape  string
	Values map[string]string
	Extra  map[string]any
}

// Flow is what a template declares for a hook. Its zero value does nothing.
type Flow struct {
	Steps []Step
	// Triggers are endpoints that are called at the event and that no step names.
	Triggers []Step
	// ID, URL, Route and Reject say what the hook answers; nil: ID and URL are those
	// of the last thing that a step made which has the shape of what the hook makes
	// (or found, if it is asked what became of a write), and a call is neither routed
	// nor refused.
	ID, URL, Route, Reject Expression
	// Screen makes the screen from what there is, as JSON, with warnings about what it
	// could not show; nil: there is none.
	Screen func(Given) (json.RawMessage, []string)
	// Deadline bounds the whole flow; 0: who calls it does.
	Deadline time.Duration
	// Same returns what a form makes once, however often it is sent; nil: each makes its
	// own.
	Same func(form map[string]any) string
	// Options are the choices of people, User the names of what is read from pages.
	Options map[string]bool
	User    []string
}

// Empty reports whether there is nothing to do.
func (f Flow) Empty() bool {
	return len(f.Steps) == 0 && len(f.Triggers) == 0 && f.Screen == nil && f.Route == nil && f.Reject == nil
}

// Step is one endpoint of a flow.
type Step struct {
	Name     string // that the answer is kept under; empty: a trigger, it is not kept
	Endpoint string
	When     Expression // nil: always
	ForEach  Expression // nil: once
	Optional bool       // the flow goes on if it fails
	Reads    bool       // it changes nothing at the remote system
	Again    bool       // it may be sent again although it may have arrived
	Contacts bool       // it answers contacts
	Shape    string     // of what it answers; empty: none
}

// key tells the step from the others of its event.
func (s Step) key() string {
	if s.Name == "" {
		return "trigger:" + s.Endpoint
	}
	return s.Name
}

func (s Step) way() store.HookWay {
	if s.Name == "" {
		return store.WayTrigger
	}
	return store.WayChain
}
