package screen

import (
	"context"
	"errors"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// Scope is what one screen is for.
type Scope struct {
	Tenant      string
	Integration string // its name, without the tenant's
	Call        string // the external id
	Agent       string // who looks at it
	Origin      string // of the page that embeds the screen; empty: none may
}

// Calls is where calls are kept.
type Calls interface {
	// Call returns a call as it is now. ErrGone says that there is no such call, or
	// none any more, ErrMoved that the agent of the scope had it and has it no more.
	Call(ctx context.Context, s Scope) (Call, error)
	// Watch returns a channel that tells of changes until ctx ends; one that nobody
	// took yet stands for all that came after it.
	Watch(ctx context.Context, s Scope) (<-chan struct{}, error)
	// Act does what the agent asked for. That the CRM refuses is an Outcome, not an
	// error.
	Act(ctx context.Context, s Scope, a Act) (Outcome, error)
}

// ErrGone is the answer to who asks for a call that is not there.
var ErrGone = errors.New("the call is not there any more")

// ErrMoved is the answer to an agent whose call another has now.
var ErrMoved = errors.New("another agent has the call now")

// movedText tells the agent of it.
const movedText = "Another agent has this call now."

// State is how far a call is.
type State string

// The states of a call.
const (
	StateRinging   State = "ringing"
	StateConnected State = "connected"
	StateHeld      State = "held"
	StateEnded     State = "ended"
	StateClosed    State = "closed" // wrapped up
)

// Call is what a screen shows.
type Call struct {
	State       State
	Direction   string // in or out
	From, To    string
	Disposition string // how it ended, such as NO_ANSWER
	StartedAt   time.Time
	ConnectedAt time.Time
	EndedAt     time.Time
	WrapupAt    time.Time // when the agent was done with it

	Matches []Match // who it may be
	Chosen  string  // the id of the one it is
	// Looking reports whether the CRM was not heard yet; Notice says why it has
	// nothing to show, in words for the agent.
	Looking bool
	Notice  string
	Screen  sdk.Screen
	Events  []Event // oldest first
}

// Match is a contact of the CRM.
type Match struct {
	ID, Name, Phone, Email, Company string
	URL                             string // of its page in the CRM
}

// Event is something that happened in a call.
type Event struct {
	At   time.Time
	Text string
}

// Act is what an agent asks for.
type Act struct {
	Kind   sdk.ScreenAction // or ChooseMatch
	Values map[string]string
	// Key is the same for the same request: one that is sent twice is to have one
	// effect.
	Key string
}

// ChooseMatch says which of several matches is the one: Values has its id.
const ChooseMatch sdk.ScreenAction = "match.choose"

// OutcomeState is what became of an Act.
type OutcomeState string

// The states of an outcome.
const (
	OutcomeDone    OutcomeState = "done"
	OutcomeQueued  OutcomeState = "queued"  // it is kept and will be done
	OutcomeUnknown OutcomeState = "unknown" // it may have been done; a person has to look
	OutcomeRefused OutcomeState = "refused"
)

// Outcome is what became of an Act.
type Outcome struct {
	State   OutcomeState
	ID, URL string            // of what was made
	Message string            // for the agent
	Fields  map[string]string // what is wrong with single fields
}
