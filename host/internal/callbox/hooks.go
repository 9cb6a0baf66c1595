package callbox

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Hooks run what an integration has for the events of calls: a function of its plugin,
// or the endpoints of its template.
type Hooks interface {
	// Plan tells what runs at an event. It asks nobody outside.
	Plan(ctx context.Context, in store.Integration, t store.CallEventType) Plan
	// Run runs the hook of a job and whatever the event triggers besides. It returns
	// when ctx ends.
	Run(ctx context.Context, job Job) Result
}

// Plan is what runs at an event of an integration.
type Plan struct {
	// Way is of the hook; empty if no hook runs.
	Way store.HookWay
	// Runs are the plugin, or the endpoints in their order, Triggers those that the
	// event triggers besides.
	Runs, Triggers []string
	// Writes says that something of it may change the remote system.
	Writes bool
	// Unknown says that nobody can tell yet what runs: the plugin has not said what it is.
	Unknown bool
	// Lookup is how long a lookup may take.
	Lookup time.Duration
	// Same returns what a form makes once for its integration, however often it is sent;
	// nil: each makes its own.
	Same func(form map[string]any) string
}

// Nothing reports whether nothing runs.
func (p Plan) Nothing() bool { return !p.Unknown && len(p.Runs) == 0 && len(p.Triggers) == 0 }

// Job is an event whose turn it is.
type Job struct {
	Call  store.Call // as the events before it left it
	Event store.CallEvent
	Body  sdk.CallEvent // of Event, with what others told of the call
	Hook  string        // such as sdk.HookSaveLogCRM; empty: what the event triggers alone
	// Done are the steps of earlier attempts that arrived or were left out, and Answer
	// what those attempts answered: what arrived must not be done again.
	Done   []store.HookStep
	Answer sdk.CallAnswer
	// Lost are the writes of earlier attempts whose answers were lost.
	Lost []store.HookStep
	// Cut says that the newest attempt was cut off by the end of its host.
	Cut bool
	// Save keeps the steps of this attempt before the last of them, a write, is sent: if
	// the host is killed it is known which one was on its way. Nothing may be sent if it
	// fails.
	Save func(ctx context.Context, steps []store.HookStep, answer sdk.CallAnswer) error
	// Ask is set to ask what became of the write that Hook is, whose answer was lost.
	Ask bool
}

// Payload returns what the hook is given.
func (j Job) Payload() sdk.CallHook {
	out := sdk.CallHook{Event: j.Body, IdempotencyKey: j.Event.UID, Attempt: j.Event.Attempts, Context: contextOf(j.Call)}
	if j.Ask {
		out.Hook = j.Hook
	}
	if j.Call.Log.ID != "" {
		out.Log = &sdk.CallLog{ID: j.Call.Log.ID, URL: j.Call.Log.URL}
	}
	out.Contact = contactOf(j.Call)
	return out
}

// contactOf returns who the other side of a call is: the contact that was chosen, else
// the only one that was found; nil if that is not known.
func contactOf(c store.Call) *sdk.CallContact {
	var found sdk.CallAnswer
	_ = json.Unmarshal(c.Screen, &found) // none yet, or the host's own
	if c.Contact == "" && len(found.Contacts) == 1 {
		return &found.Contacts[0]
	}
	for i := range found.Contacts {
		if found.Contacts[i].ID == c.Contact {
			return &found.Contacts[i]
		}
	}
	if c.Contact == "" {
		return nil
	}
	return &sdk.CallContact{ID: c.Contact} // the sender knows one that no lookup found
}

// Result is what came of a job.
type Result struct {
	Steps  []store.HookStep // of this attempt, without those of Job.Done
	Answer sdk.CallAnswer
	// Err is why the job is not done. Its outcome counts for the whole: unknown if any
	// write may have arrived and not been answered.
	Err *store.HookError
	// Asks says that it can be asked later what became of a write.
	Asks bool
	// Lost are the writes that a question found to have arrived: those of Job.Lost, or if
	// of what was cut off no more was known, the one that it can have been.
	Lost []store.HookStep
	// Skip says why nothing was done.
	Skip string
}

// Hook returns the hook that events of a type run; empty if they run none.
func Hook(t store.CallEventType) string {
	switch t {
	case store.CallStarted:
		return sdk.HookGetDataIframe
	case store.CallConnected:
		return sdk.HookSavePreLogCRM
	case store.CallEnded:
		return sdk.HookSaveLogCRM
	case store.SMSSent:
		return sdk.HookCreateSMSNote
	case store.TicketCreate:
		return sdk.HookCreateTicket
	case store.ContactCreate:
		return sdk.HookCreateContact
	case store.CallUpdated, store.CallWrapup:
	}
	return ""
}
