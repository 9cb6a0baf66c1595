package callbox

import (
	"context"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Hooks run what an integration has for the events of calls: a function of its plugin,
// or the endpoints of its template.
type Hooks interface {
	// Run runs the hook of a job and whatever the event triggers besides. It returns
	// when ctx ends.
	Run(ctx context.Context, job Job) Result
}

// Job is an event whose turn it is.
type Job struct {
	Call  store.Call // as the events before it left it
	Event store.CallEvent
	Body  sdk.CallEvent // of Event
	Hook  string        // such as sdk.HookSaveLogCRM; empty: what the event triggers alone
	// Done are the steps of earlier attempts that arrived, with their answer so far:
	// they must not be done again.
	Done   []store.HookStep
	Answer sdk.CallAnswer
	// Ask is set to ask what became of the write that Hook is, whose answer was lost.
	Ask bool
}

// Result is what came of a job.
type Result struct {
	Steps  []store.HookStep // of this attempt, without those of Job.Done
	Answer sdk.CallAnswer
	// Err is why the job is not done. Its outcome counts for the whole: unknown if any
	// write may have arrived and not been answered.
	Err *store.HookError
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
