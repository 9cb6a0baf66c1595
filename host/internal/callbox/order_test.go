package callbox

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The events of a call run one after the other in the order in which they came, though
// the first is slow; those of another call run beside them.
//
// rows: G29, K12
func TestEventsOfACallRunInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		gate, reached := make(chan struct{}), make(chan struct{})
		w.hooks.run = func(_ context.Context, job Job) Result {
			if job.Call.External == "a" && job.Event.Type == store.CallConnected {
				close(reached)
				<-gate
			}
			return Result{Answer: sdk.CallAnswer{ID: "log-" + job.Call.External}}
		}
		w.send(fire(store.CallConnected, "a"), "", 0)
		<-reached
		ended := w.send(fire(store.CallEnded, "a"), "", 0)
		require.Equal(t, store.EventQueued, ended.Event.State)
		require.Equal(t, store.EventDone, w.send(fire(store.CallConnected, "b"), "", time.Minute).Event.State, "another call waits for nothing")
		require.Equal(t, []string{"a call.connected", "b call.connected"}, w.hooks.ran())
		close(gate)
		w.settled(time.Minute)
		require.Equal(t, []string{"a call.connected", "b call.connected", "a call.ended"}, w.hooks.ran())
		_, events := w.call("a")
		require.False(t, events[1].FinishedAt.Before(events[0].FinishedAt))
		w.sound()
	})
}

// What comes after the end of a call does not begin its log a second time.
//
// rows: G29
func TestConnectedAfterEndedRunsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.send(fire(store.CallEnded, "a"), "", time.Minute)
		late := w.send(fire(store.CallConnected, "a"), "", time.Minute)
		require.Equal(t, store.EventSkipped, late.Event.State)
		require.Equal(t, "out_of_order", late.Event.Error.Code)
		require.Equal(t, []string{"a call.ended"}, w.hooks.ran())
	})
}

// The log that call.connected began is completed by call.ended; an event that is sent
// again does nothing, and gets the same answer. Without a log, call.ended makes one.
//
// rows: G24, G25, F22
func TestLogOfACall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		made, completed := 0, []string{}
		w.hooks.run = func(_ context.Context, job Job) Result {
			log := job.Payload().Log
			if log == nil {
				made++
				return Result{Answer: sdk.CallAnswer{ID: fmt.Sprintf("L%d", made), URL: "https://crm.example/1"}}
			}
			completed = append(completed, log.ID)
			return Result{Answer: sdk.CallAnswer{ID: log.ID}}
		}
		connected := fire(store.CallConnected, "a")
		connected.At = time.Now()
		first := w.send(connected, "", time.Minute)
		require.Equal(t, "L1", first.Answer.ID)
		again := w.send(connected, "", time.Minute)
		require.True(t, again.Replayed)
		require.Equal(t, first.Answer, again.Answer)
		require.Equal(t, store.EventSkipped, w.send(fire(store.CallConnected, "a"), "", time.Minute).Event.State, "there is a log already")
		require.Equal(t, "L1", w.send(fire(store.CallEnded, "a"), "k", time.Minute).Answer.ID)
		require.Equal(t, "L1", w.send(fire(store.CallEnded, "a"), "k", time.Minute).Answer.ID)
		require.Equal(t, []string{"L1"}, completed)
		c, _ := w.call("a")
		require.Equal(t, "https://crm.example/1", c.Log.URL)
		require.Equal(t, 93, c.Duration)
		require.Equal(t, "L2", w.send(fire(store.CallEnded, "b"), "", time.Minute).Answer.ID)

		other := fire(store.CallEnded, "a")
		other.Result = "FAILED"
		_, err := w.box.Send(t.Context(), crm(), Request{Event: other, Key: "k"})
		require.ErrorIs(t, err, store.ErrConflict)
		w.sound()
	})
}

// Later hooks read what earlier ones left; null takes it away.
//
// rows: G34
func TestContextOfACall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks.run = func(_ context.Context, job Job) Result {
			if job.Event.Type == store.CallStarted {
				return Result{Answer: sdk.CallAnswer{
					Contacts: []sdk.CallContact{{ID: "7"}}, Context: map[string]json.RawMessage{"contact": json.RawMessage(`{"id":7}`), "gone": json.RawMessage(`1`)},
				}}
			}
			require.JSONEq(t, `{"id":7}`, string(job.Payload().Context["contact"]))
			return Result{Answer: sdk.CallAnswer{ID: "L", Context: map[string]json.RawMessage{"gone": json.RawMessage(`null`)}}}
		}
		require.Len(t, w.send(fire(store.CallStarted, "a"), "", time.Minute).Answer.Contacts, 1)
		w.settled(time.Minute)
		w.send(fire(store.CallConnected, "a"), "", time.Minute)
		c, _ := w.call("a")
		require.JSONEq(t, `{"contact":{"id":7}}`, string(c.Context))
		require.JSONEq(t, `{"contacts":[{"id":"7"}]}`, string(c.Screen))
	})
}

// A message and a form have their hooks, which get what was sent, and what the remote
// system refuses comes back by field.
//
// rows: G26, G27, G28
func TestMessagesAndForms(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var notes []sdk.CallEvent
		w.hooks.run = func(_ context.Context, job Job) Result {
			switch job.Hook {
			case sdk.HookCreateSMSNote:
				notes = append(notes, job.Body)
				return Result{Answer: sdk.CallAnswer{ID: "N1"}}
			case sdk.HookCreateTicket:
				bad := refused(sdk.ClassRemote, store.OutcomeFailed)
				bad.Fields = map[string]string{"subject": "is too short"}
				return Result{Answer: sdk.CallAnswer{FieldErrors: bad.Fields}, Err: bad}
			default:
				return Result{Answer: sdk.CallAnswer{ID: "C1", URL: "https://crm.example/c1"}}
			}
		}
		sms := w.send(fire(store.SMSSent, "m1"), "", time.Minute)
		require.Equal(t, "N1", sms.Answer.ID)
		require.Len(t, notes, 1)
		require.Equal(t, "+4930123", notes[0].Number)
		require.Equal(t, "hello", notes[0].Text)
		require.False(t, notes[0].At.IsZero())
		ticket := w.send(fire(store.TicketCreate, "a"), "", time.Minute)
		require.Equal(t, store.EventFailed, ticket.Event.State)
		require.Equal(t, map[string]string{"subject": "is too short"}, ticket.Answer.FieldErrors)
		contact := w.send(fire(store.ContactCreate, "a"), "", time.Minute)
		require.Equal(t, "C1", contact.Answer.ID)
		require.Equal(t, "https://crm.example/c1", contact.Answer.URL)
		w.sound()
	})
}
