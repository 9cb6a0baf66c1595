package callbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// A lookup that is too slow is answered in time, by name.
//
// rows: G23
func TestLookupTimesOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks.run = func(ctx context.Context, _ Job) Result {
			<-ctx.Done()
			return Result{Err: refused(sdk.ClassTransient, store.OutcomeNotSent)}
		}
		begin := time.Now()
		sent, err := w.box.Send(t.Context(), crm(), Request{Event: fire(store.CallStarted, "a")})
		require.NoError(t, err)
		require.Equal(t, CodeLookupTimeout, sent.Event.Error.Code)
		require.Equal(t, 3*time.Second+slack, time.Since(begin))
	})
}

// The lookup of a call is under way before its event is stored, and the event is stored
// before anybody is answered.
//
// rows: K16, G23
func TestLookupBeginsBesideTheStoring(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		inbox := &gatedInbox{Inbox: w.inbox, gate: make(chan struct{})}
		box := New(inbox, w.hooks, Options{})
		defer box.stop()
		looked := make(chan struct{})
		w.hooks.run = func(context.Context, Job) Result {
			close(looked)
			return Result{Answer: sdk.CallAnswer{Contacts: []sdk.CallContact{{ID: "1"}}}}
		}
		answered := make(chan Sent, 1)
		var failed error
		go func() {
			sent, err := box.Send(t.Context(), crm(), Request{Event: fire(store.CallStarted, "a")})
			failed = err
			answered <- sent
		}()
		select {
		case <-looked:
		case <-time.After(time.Minute):
			t.Fatal("no lookup is under way before its event is stored")
		}
		synctest.Wait()
		select {
		case <-answered:
			t.Fatal("answered before it was stored")
		default:
		}
		close(inbox.gate)
		require.Len(t, (<-answered).Answer.Contacts, 1)
		require.NoError(t, failed)
	})
}

// gatedInbox stores nothing before its gate is open.
type gatedInbox struct {
	Inbox
	gate chan struct{}
}

func (g *gatedInbox) AcceptEvent(ctx context.Context, n store.NewCallEvent) (store.AcceptedEvent, error) {
	<-g.gate
	return g.Inbox.AcceptEvent(ctx, n)
}

// A write that did not arrive waits in its place and is sent again with its key; one
// that may have arrived is asked about, and waits for a person if nobody can be asked.
//
// rows: F31, I08, G25
func TestWritesThatFail(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		down, keys := true, map[string]int{}
		w.hooks.run = func(_ context.Context, job Job) Result {
			keys[job.Payload().IdempotencyKey]++
			if down {
				return Result{Err: refused(sdk.ClassTransient, store.OutcomeNotSent)}
			}
			return Result{Answer: sdk.CallAnswer{ID: "L"}}
		}
		connected := w.send(fire(store.CallConnected, "a"), "", time.Minute)
		require.Equal(t, store.EventQueued, connected.Event.State)
		w.send(fire(store.CallEnded, "a"), "", 0)
		<-time.After(10 * time.Second)
		down = false
		w.settled(10 * time.Minute)
		_, events := w.call("a")
		require.Equal(t, store.EventDone, events[0].State)
		require.Greater(t, events[0].Attempts, 2)
		require.Equal(t, events[0].Attempts, keys[events[0].UID], "each attempt has the same key")
		require.Equal(t, 1, keys[events[1].UID], "what comes after it waits for it")
		w.sound()
	})
}

// A write that never arrives is given up at last, and what waited behind it goes on.
//
// rows: F31, G25
func TestAWriteIsGivenUpAtLast(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.stop()
		w.opts.GiveUp = time.Minute
		w.start()
		w.hooks.run = func(_ context.Context, job Job) Result {
			if job.Event.Type == store.CallConnected {
				bad := refused(sdk.ClassTransient, store.OutcomeNotSent)
				bad.Fields = map[string]string{"subject": "is too short"}
				return Result{Err: bad}
			}
			return Result{Answer: sdk.CallAnswer{ID: "L"}}
		}
		w.send(fire(store.CallConnected, "a"), "", time.Second)
		w.send(fire(store.CallEnded, "a"), "", 0)
		w.settled(time.Hour)
		_, events := w.call("a")
		require.Equal(t, store.EventFailed, events[0].State)
		require.Equal(t, "given_up", events[0].Error.Code)
		require.Equal(t, map[string]string{"subject": "is too short"}, events[0].Error.Fields)
		require.Equal(t, store.EventDone, events[1].State)
		w.sound()
	})
}

// rows: F31, I08
func TestUnknownWriteIsNeverSentAgainBlindly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		lost := true
		w.hooks.run = func(_ context.Context, job Job) Result {
			if job.Event.Type == store.CallConnected && lost {
				return Result{Err: refused(sdk.ClassTransient, store.OutcomeUnknown)}
			}
			return Result{Answer: sdk.CallAnswer{ID: "L"}}
		}
		sent := w.send(fire(store.CallConnected, "a"), "", time.Minute)
		require.Equal(t, store.EventUnknown, sent.Event.State)
		w.send(fire(store.CallEnded, "a"), "", 0)
		require.Equal(t, store.EventDone, w.send(fire(store.TicketCreate, "a"), "", time.Minute).Event.State, "a ticket does not wait for the log")
		<-time.After(time.Hour)
		require.Equal(t, []string{"a call.connected", "a ticket.create"}, w.hooks.ran())
		w.sound()
		_, err := w.box.Resolve(t.Context(), sent.Event.ID, store.ResolveMade, store.CallLog{ID: "L9"})
		require.NoError(t, err)
		w.settled(time.Minute)
		require.Equal(t, "a call.ended", w.hooks.ran()[2])
		c, events := w.call("a")
		require.Equal(t, "L", c.Log.ID, "the hook that completed it said so last")
		require.Equal(t, store.EventDone, events[0].State)
		w.sound()
	})
}

// A plugin that knows its keys tells what became of a lost write: it arrived, or is sent
// again.
//
// rows: F31
func TestLookupTellsWhatBecameOfAWrite(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		arrived := map[string]bool{"a": true}
		first := map[string]bool{}
		w.hooks.run = func(_ context.Context, job Job) Result {
			call := job.Call.External
			switch {
			case job.Ask && arrived[call]:
				require.Equal(t, sdk.HookSavePreLogCRM, job.Payload().Hook)
				return Result{Answer: sdk.CallAnswer{ID: "found"}, Asks: true}
			case job.Ask:
				return Result{Asks: true}
			case !first[call]:
				first[call] = true
				return Result{Err: refused(sdk.ClassTransient, store.OutcomeUnknown), Asks: true}
			}
			return Result{Answer: sdk.CallAnswer{ID: "again"}, Asks: true}
		}
		for call, want := range map[string]string{"a": "found", "b": "again"} {
			require.Equal(t, store.EventUnknown, w.send(fire(store.CallConnected, call), "", time.Minute).Event.State)
			require.Eventually(t, func() bool {
				c, events := w.call(call)
				return events[0].State == store.EventDone && c.Log.ID == want
			}, time.Minute, 100*time.Millisecond)
		}
		require.NotContains(t, w.hooks.ran()[1:2], "a call.connected")
		w.sound()
	})
}

// What is wrong with an event is told by field, and nothing is stored.
//
// rows: G29
func TestBadEventsAreRefusedByField(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			event sdk.CallEvent
			field string
		}{
			"type":      {sdk.CallEvent{Type: "call.begun", CallID: "a"}, "type"},
			"call id":   {sdk.CallEvent{Type: "call.wrapup"}, "call_id"},
			"direction": {sdk.CallEvent{Type: "call.started", CallID: "a", From: "1"}, "direction"},
			"number":    {sdk.CallEvent{Type: "call.started", CallID: "a", Direction: "in"}, "from"},
			"result":    {sdk.CallEvent{Type: "call.ended", CallID: "a", Result: "DONE"}, "result"},
			"update":    {sdk.CallEvent{Type: "call.updated", CallID: "a"}, "update"},
			"transfer":  {sdk.CallEvent{Type: "call.updated", CallID: "a", Update: "transfer"}, "transfer_to"},
			"form":      {sdk.CallEvent{Type: "ticket.create", CallID: "a"}, "fields"},
			"text":      {sdk.CallEvent{Type: "sms.sent", CallID: "a", Direction: "out", To: "1"}, "text"},
			"time":      {sdk.CallEvent{Type: "call.wrapup", CallID: "a", At: time.Now().Add(time.Hour)}, "at"},
			"recording": {sdk.CallEvent{Type: "call.ended", CallID: "a", Result: "BUSY", Recording: "javascript:alert(1)"}, "recording"},
			"control":   {sdk.CallEvent{Type: "call.wrapup", CallID: "a\n"}, "call_id"},
		} {
			_, err := w.box.Send(t.Context(), crm(), Request{Event: c.event})
			var bad *InvalidError
			require.ErrorAs(t, err, &bad, name)
			require.Contains(t, bad.Fields, c.field, name)
			require.ErrorIs(t, err, store.ErrInvalid)
		}
		n, err := w.inbox.CallCounts(t.Context())
		require.NoError(t, err)
		require.Zero(t, n.Live)
	})
}

// A host that stops and comes back goes on with every call: each has one log, completed
// once, though the remote system fails a fifth of the requests and is away for a while.
//
// rows: K16, F31, G24, G25
func TestNoLogIsLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		calls := 100
		if testing.Short() {
			calls = 30
		}
		remote := &fakeRemote{logs: map[string]string{}, ended: map[string]int{}, chance: rand.New(rand.NewPCG(1, 2))}
		w.hooks.run = remote.run
		for i := range calls {
			call := fmt.Sprintf("c%03d", i)
			w.send(fire(store.CallConnected, call), "k1-"+call, 0)
			w.send(fire(store.CallEnded, call), "k2-"+call, 0)
			switch i {
			case calls / 3:
				remote.away(true)
			case calls / 2:
				w.stop()
				w.start()
			case 2 * calls / 3:
				remote.away(false)
			}
		}
		require.Eventually(t, func() bool { // what is unknown is asked about
			n, err := w.inbox.CallCounts(t.Context())
			require.NoError(t, err)
			return n.Open+n.Unknown == 0
		}, time.Hour, time.Second)
		require.Len(t, remote.ended, calls)
		require.Len(t, remote.logs, calls)
		for call, times := range remote.ended {
			require.Equal(t, 1, times, call)
		}
		w.sound()
	})
}

// fakeRemote keeps logs by idempotency key, as a good CRM does.
type fakeRemote struct {
	mu     sync.Mutex
	logs   map[string]string // by key: the call
	ended  map[string]int
	seen   map[string]bool
	gone   bool
	chance *rand.Rand
}

func (f *fakeRemote) away(gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = gone
}

func (f *fakeRemote) run(_ context.Context, job Job) Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := job.Payload()
	if f.gone {
		return Result{Err: refused(sdk.ClassTransient, store.OutcomeNotSent), Asks: true}
	}
	if job.Ask {
		if call, ok := f.logs[h.IdempotencyKey]; ok {
			return Result{Answer: sdk.CallAnswer{ID: "log-" + call}, Asks: true}
		}
		if f.seen[h.IdempotencyKey] {
			return Result{Answer: sdk.CallAnswer{ID: "log-" + job.Call.External}, Asks: true}
		}
		return Result{Asks: true}
	}
	kind := f.chance.IntN(10)
	if kind == 0 { // it did not arrive
		return Result{Err: refused(sdk.ClassTransient, store.OutcomeUnknown), Asks: true}
	}
	if job.Event.Type == store.CallConnected {
		f.logs[h.IdempotencyKey] = job.Call.External
	} else {
		f.ended[job.Call.External]++
		if f.seen == nil {
			f.seen = map[string]bool{}
		}
		f.seen[h.IdempotencyKey] = true
	}
	if kind == 1 { // it arrived, and its answer did not
		return Result{Err: refused(sdk.ClassTransient, store.OutcomeUnknown), Asks: true}
	}
	return Result{Answer: sdk.CallAnswer{ID: "log-" + job.Call.External}, Asks: true}
}

// brokenInbox cannot claim while it is broken.
type brokenInbox struct {
	Inbox
	broken atomic.Bool
	claims atomic.Int64
}

func (b *brokenInbox) ClaimEvent(ctx context.Context, call int64) (store.ClaimedEvent, bool, error) {
	if b.broken.Load() && b.claims.Add(1) < 1_000 { // a busy loop ends, and is seen by its number
		return store.ClaimedEvent{}, false, errors.New("the disk is full")
	}
	return b.Inbox.ClaimEvent(ctx, call)
}

// An event that cannot be claimed is tried again in seconds, and not in a busy loop.
//
// rows: F31
func TestClaimErrorsRest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		down := true
		w.hooks.run = func(context.Context, Job) Result {
			if down {
				return Result{Err: refused(sdk.ClassTransient, store.OutcomeNotSent)}
			}
			return Result{}
		}
		w.send(fire(store.CallEnded, "a"), "", 0)
		synctest.Wait()
		w.stop() // the event waits for its next attempt
		w.start()
		w.stop()
		down = false

		var err error
		w.db, err = sqlite.Open(context.Background(), sqlite.Options{Path: w.dir, NoSync: true})
		require.NoError(t, err)
		w.inbox, err = w.db.OpenInbox(context.Background())
		require.NoError(t, err)
		inbox := &brokenInbox{Inbox: w.inbox}
		inbox.broken.Store(true)
		var mu sync.Mutex
		var said bytes.Buffer
		w.opts.Log = hclog.New(&hclog.LoggerOptions{Output: &said, Mutex: &mu})
		w.box = New(inbox, w.hooks, w.opts)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.box.Run(ctx) }()
		w.stop = func() {
			cancel()
			require.NoError(t, <-done)
			require.NoError(t, w.db.Close())
		}
		<-time.After(time.Minute)
		require.Positive(t, inbox.claims.Load())
		require.LessOrEqual(t, inbox.claims.Load(), int64(13))
		mu.Lock()
		require.Equal(t, 1, strings.Count(said.String(), "claim call event"), "it is said once: %s", said.String())
		mu.Unlock()
		inbox.broken.Store(false)
		w.settled(time.Minute)
	})
}
