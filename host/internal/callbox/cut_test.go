package callbox

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// cut ends a host in the middle of an event of a call, as a kill does, after its hook
// kept what was done, and begins another one.
func (w *world) cut(call string, steps []store.HookStep, a sdk.CallAnswer) {
	w.t.Helper()
	w.stop()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: w.dir, NoSync: true})
	require.NoError(w.t, err)
	inbox, err := db.OpenInbox(ctx)
	require.NoError(w.t, err)
	acc, err := inbox.AcceptEvent(ctx, store.NewCallEvent{
		Integration: "i1", Tenant: "acme", Name: "crm", External: call, UID: "u-" + call, Type: store.CallConnected, Writes: true, Begin: true,
		Body: json.RawMessage(`{"type": "call.connected", "call_id": "` + call + `"}`),
	})
	require.NoError(w.t, err)
	require.True(w.t, acc.Begun)
	if steps != nil {
		box := New(inbox, w.hooks, w.opts)
		job, _, ok := box.job(store.ClaimedEvent{Call: acc.Call, Event: acc.Event})
		require.True(w.t, ok)
		require.NoError(w.t, job.Save(ctx, steps, a))
	}
	require.NoError(w.t, db.Close())
	w.start()
}

// An event that was cut off goes on behind the write that is found, and what was kept
// of it is not done again.
//
// rows: F31, I08
func TestAnEventThatWasCutOffGoesOnBehindWhatIsFound(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		cutOff := &store.HookError{Class: "system", Code: "interrupted", Outcome: store.OutcomeUnknown}
		var asked, done []Job
		w.hooks.run = func(_ context.Context, job Job) Result {
			if job.Ask {
				asked = append(asked, job)
				if job.Call.External == "nothing" { // nobody knows which: the one write of the flow
					return Result{Answer: sdk.CallAnswer{ID: "L"}, Asks: true, Lost: []store.HookStep{write("log", cutOff)}}
				}
				return Result{Answer: sdk.CallAnswer{ID: "L"}, Asks: true}
			}
			done = append(done, job)
			return Result{Asks: true}
		}
		for _, tc := range []struct {
			call  string
			steps []store.HookStep
			lost  int
			want  []string
		}{
			{"kept", []store.HookStep{write("note", nil), write("log", cutOff)}, 1, []string{"note", "log"}},
			{"nothing", nil, 0, []string{"log"}},
		} {
			asked, done = nil, nil
			w.cut(tc.call, tc.steps, sdk.CallAnswer{Context: map[string]json.RawMessage{"note": []byte(`{"n":1}`)}})
			require.Eventually(t, func() bool {
				_, events := w.call(tc.call)
				return events[0].State == store.EventDone
			}, time.Hour, time.Second)
			require.Len(t, asked, 1)
			require.Len(t, asked[0].Lost, tc.lost)
			require.Len(t, done, 1, "it goes on")
			keys := []string{}
			for _, s := range done[0].Done {
				keys = append(keys, s.Key)
			}
			require.Equal(t, tc.want, keys)
			if tc.steps != nil {
				require.JSONEq(t, `{"n":1}`, string(done[0].Answer.Context["note"]), "later steps read what was kept")
			}
			c, _ := w.call(tc.call)
			require.Equal(t, "L", c.Log.ID)
		}
		w.sound()
	})
}

// What is kept of an event is that of the attempt that has it.
//
// rows: F31, I08
func TestNobodyKeepsForAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks.run = func(ctx context.Context, job Job) Result {
			require.NoError(t, job.Save(ctx, []store.HookStep{write("log", nil)}, sdk.CallAnswer{ID: "L"}))
			_, events := w.call("a") //nolint:contextcheck // that of the test
			require.Equal(t, "log", events[0].Steps[0].Key)
			require.Contains(t, string(events[0].Answer), `"L"`)
			return Result{Steps: []store.HookStep{write("log", nil)}}
		}
		w.send(fire(store.CallConnected, "a"), "", time.Minute)
		_, events := w.call("a")
		require.Len(t, events[0].Steps, 1, "it takes the place of what was kept")
		err := w.inbox.SaveEvent(t.Context(), store.EventOutcome{EventID: events[0].ID, Attempts: 1})
		require.ErrorIs(t, err, store.ErrStale)
	})
}
