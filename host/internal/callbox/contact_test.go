package callbox

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The hooks of a call are told who the other side is: nobody as long as several match
// and none was chosen, then the one that was chosen, also in a later try of a log that
// had begun before; the only one that was found; one that the sender knows by itself.
//
// rows: G24, G25, G34
func TestHooksSeeTheContactThatWasChosen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		several := []sdk.CallContact{{ID: "7", Name: "Ann"}, {ID: "8", Name: "Bob", Company: "Acme"}}
		matches := map[string][]sdk.CallContact{"several": several, "one": several[:1], "none": nil}
		given := map[string][]*sdk.CallContact{}
		down := true
		w.hooks.run = func(_ context.Context, job Job) Result {
			call := job.Call.External
			if job.Event.Type == store.CallStarted {
				return Result{Answer: sdk.CallAnswer{Contacts: matches[call]}}
			}
			given[call] = append(given[call], job.Payload().Contact)
			if job.Event.Type == store.CallConnected && down {
				return Result{Err: refused(sdk.ClassTransient, store.OutcomeNotSent)}
			}
			return Result{Answer: sdk.CallAnswer{ID: "L"}}
		}
		chosen := func(call, id string) sdk.CallEvent {
			e := fire(store.CallUpdated, call)
			e.Update, e.Fields = UpdateContact, map[string]any{ContactField: id}
			return e
		}
		for call := range matches {
			w.send(fire(store.CallStarted, call), "", time.Minute)
			w.send(fire(store.CallConnected, call), "", 0)
		}
		<-time.After(500 * time.Millisecond) // the log was tried once, and waits
		w.send(chosen("several", "7"), "", 0)
		w.send(chosen("several", "8"), "", 0)
		w.send(chosen("none", "99"), "", 0)
		down = false
		for call := range matches {
			w.send(fire(store.CallEnded, call), "", 0)
		}
		w.settled(time.Hour)
		require.Equal(t, map[string][]*sdk.CallContact{
			"several": {nil, &several[1], &several[1]}, "one": {&several[0], &several[0], &several[0]}, "none": {nil, {ID: "99"}, {ID: "99"}},
		}, given)
		_, err := w.box.Send(t.Context(), crm(), Request{Event: sdk.CallEvent{Type: string(store.CallUpdated), CallID: "one", Update: UpdateContact}})
		require.ErrorContains(t, err, "fields: is required")
		w.sound()
	})
}
