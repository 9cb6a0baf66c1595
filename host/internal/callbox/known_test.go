package callbox

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// write is a step of a chain that writes.
func write(key string, bad *store.HookError) store.HookStep {
	return store.HookStep{Way: store.WayChain, Name: key, Key: key, Write: true, Error: bad}
}

// A log that was made is the log of its call, whatever becomes of the steps after it:
// the call's later events complete it, and make no second one.
//
// rows: G24, G25
func TestALogThatWasMadeIsNotForgotten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bad := map[string]*store.HookError{
			"failed": refused(sdk.ClassRemote, store.OutcomeFailed), "unknown": refused(sdk.ClassTransient, store.OutcomeUnknown),
			"queued": refused(sdk.ClassTransient, store.OutcomeNotSent),
		}
		given := map[string]string{}
		w.hooks.run = func(_ context.Context, job Job) Result {
			call := job.Call.External
			if job.Event.Type == store.CallEnded {
				given[call] = job.Call.Log.ID
				return Result{}
			}
			if job.Event.Attempts > 1 {
				require.Equal(t, "log", job.Done[0].Key)
				return Result{Steps: []store.HookStep{write("tag", nil)}, Answer: job.Answer}
			}
			return Result{Steps: []store.HookStep{write("log", nil), write("tag", bad[call])}, Answer: sdk.CallAnswer{ID: "L-" + call}, Err: bad[call]}
		}
		for call := range bad {
			sent := w.send(fire(store.CallConnected, call), "", time.Minute)
			require.Equal(t, store.EventState(call), sent.Event.State)
			c, _ := w.call(call)
			require.Equal(t, "L-"+call, c.Log.ID)
			if call == "unknown" {
				_, err := w.box.Resolve(t.Context(), sent.Event.ID, store.ResolveDrop, store.CallLog{})
				require.NoError(t, err)
			}
			w.send(fire(store.CallEnded, call), "", 0)
		}
		w.settled(time.Hour)
		require.Equal(t, map[string]string{"failed": "L-failed", "unknown": "L-unknown", "queued": "L-queued"}, given)
		_, events := w.call("queued")
		require.Equal(t, store.EventDone, events[0].State, "its own log does not keep an event from going on")
		w.sound()
	})
}

// What was made is not forgotten by an attempt that sent nothing.
//
// rows: F31, G25
func TestAnAttemptThatSentNothingWipesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := sdk.CallAnswer{ID: "T", URL: "https://crm.example/T", Contacts: []sdk.CallContact{{ID: "c-1"}}, Context: map[string]json.RawMessage{"ticket": []byte(`{"n":1}`)}}
		w.hooks.run = func(_ context.Context, job Job) Result {
			down := refused(sdk.ClassTransient, store.OutcomeNotSent)
			switch job.Event.Attempts {
			case 1:
				return Result{Steps: []store.HookStep{write("ticket", nil), write("tag", down)}, Answer: first, Err: down}
			case 2:
				return Result{Err: down}
			}
			require.Equal(t, first, job.Answer)
			return Result{}
		}
		w.send(fire(store.TicketCreate, "a"), "", 0)
		w.settled(time.Hour)
		_, events := w.call("a")
		require.Equal(t, 3, events[0].Attempts)
		var got sdk.CallAnswer
		require.NoError(t, json.Unmarshal(events[0].Answer, &got))
		require.Equal(t, sdk.CallAnswer{ID: first.ID, URL: first.URL, Contacts: first.Contacts}, got)
	})
}

// The chain of a write that was found to have arrived goes on with the steps after it.
//
// rows: F31
func TestStepsAfterAWriteThatWasFoundAreDone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		lost := refused(sdk.ClassTransient, store.OutcomeUnknown)
		done := []string{}
		w.hooks.run = func(_ context.Context, job Job) Result {
			switch {
			case job.Ask:
				return Result{Answer: sdk.CallAnswer{ID: "L"}, Asks: true}
			case job.Event.Attempts == 1:
				return Result{Steps: []store.HookStep{write("log", lost)}, Err: lost, Asks: true}
			}
			for _, s := range job.Done {
				done = append(done, s.Key)
			}
			return Result{Steps: []store.HookStep{write("tag", nil)}, Asks: true}
		}
		require.Equal(t, store.EventUnknown, w.send(fire(store.CallConnected, "a"), "", time.Minute).Event.State)
		require.Eventually(t, func() bool {
			_, events := w.call("a")
			return events[0].State == store.EventDone
		}, time.Hour, time.Second)
		require.Equal(t, []string{"a call.connected", "a call.connected asked", "a call.connected"}, w.hooks.ran())
		require.Equal(t, []string{"log"}, done, "it is not done again")
		c, _ := w.call("a")
		require.Equal(t, "L", c.Log.ID)
		w.sound()
	})
}

// What a remote system says of fields and of single steps may repeat what it was sent.
//
// rows: O43
func TestWhatARemoteSystemSaysIsKeptWithoutSecrets(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.opts.Redact = func(s string) string { return strings.ReplaceAll(s, "canary", "***") }
		w.hooks.run = func(context.Context, Job) Result {
			step := write("ticket", nil)
			step.Warnings = []string{"the key canary is old"}
			return Result{
				Steps: []store.HookStep{step}, Answer: sdk.CallAnswer{FieldErrors: map[string]string{"title": "canary is no title"}},
				Err: refused(sdk.ClassRemote, store.OutcomeFailed),
			}
		}
		sent := w.send(fire(store.TicketCreate, "c1"), "", time.Minute)
		raw, err := json.Marshal(sent.Event)
		require.NoError(t, err)
		require.Contains(t, string(sent.Event.Answer), "*** is no title")
		require.Equal(t, []string{"the key *** is old"}, sent.Event.Steps[0].Warnings)
		require.NotContains(t, string(raw), "canary")
		w.sound()
	})
}
