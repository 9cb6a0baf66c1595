package callbox

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// contactForm returns a form of a contact with a number.
func contactForm(call, phone string) sdk.CallEvent {
	e := fire(store.ContactCreate, call)
	e.Fields = map[string]any{"name": "Bo of " + call, "phone": phone}
	return e
}

// The same number gives the same contact if that is declared: asked for twice, by several
// at once, after a failure, and after a restart. What nobody knows of is waited for. Other
// numbers, and a form without one, have contacts of their own.
//
// rows: G28
func TestANumberMakesOneContact(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks.plan.Same = func(form map[string]any) string { s, _ := form["phone"].(string); return s }
		gate, reached := make(chan struct{}), make(chan struct{}, 10)
		var next Result
		made := 0
		w.hooks.run = func(ctx context.Context, job Job) Result {
			if job.Call.External == "first" {
				reached <- struct{}{}
				select {
				case <-gate:
				case <-ctx.Done():
				}
			}
			if next.Err != nil {
				return next
			}
			made++
			return Result{Answer: sdk.CallAnswer{ID: fmt.Sprintf("C%d", made), URL: "https://crm.example/" + job.Call.External}, Asks: true}
		}
		ids := make(chan string, 10)
		send := func(call, phone string) {
			sent := w.send(contactForm(call, phone), "", time.Minute)
			ids <- fmt.Sprint(sent.Event.State, " ", sent.Answer.ID, " ", sent.Answer.URL)
		}
		go send("first", "+49301")
		<-reached
		for _, call := range []string{"second", "third"} {
			go send(call, "+49301")
		}
		synctest.Wait()
		require.Zero(t, made)
		close(gate)
		for range 3 {
			require.Equal(t, "done C1 https://crm.example/first", <-ids)
		}
		require.Equal(t, 1, made, "by three at once")
		w.stop()
		w.start()
		for i, phone := range []string{"+49301", "+49302", "", ""} {
			sent := w.send(contactForm(fmt.Sprint("later", i), phone), "", time.Minute)
			require.Equal(t, []string{"C1", "C2", "C3", "C4"}[i], sent.Answer.ID)
		}
		require.Equal(t, 4, made)

		next = Result{Err: refused(sdk.ClassRemote, store.OutcomeFailed)}
		require.Equal(t, store.EventFailed, w.send(contactForm("refused", "+49303"), "", time.Minute).Event.State)
		next = Result{}
		require.Equal(t, "C5", w.send(contactForm("again", "+49303"), "", time.Minute).Answer.ID, "what failed stands for none")

		next = Result{Err: refused(sdk.ClassTransient, store.OutcomeUnknown)}
		lost := w.send(contactForm("lost", "+49304"), "", time.Minute)
		require.Equal(t, store.EventUnknown, lost.Event.State)
		next = Result{}
		waits := w.send(contactForm("behind", "+49304"), "", time.Minute)
		require.Equal(t, store.EventQueued, waits.Event.State)
		require.Equal(t, "made_once", waits.Event.Error.Code)
		<-time.After(10 * time.Minute)
		require.Equal(t, 5, made, "nobody knows whether there is one")
		_, err := w.box.Resolve(t.Context(), lost.Event.ID, store.ResolveMade, store.CallLog{ID: "C9"})
		require.NoError(t, err)
		w.settled(time.Hour)
		_, events := w.call("behind")
		require.Contains(t, string(events[0].Answer), `"C9"`)
		require.Contains(t, events[0].Steps[len(events[0].Steps)-1].Skipped, "it was made before")
		require.Equal(t, 5, made)
		w.sound()
	})
}
