package sqlite

import (
	"context"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// setClock is a clock that stands until it is moved on.
type setClock struct{ ms atomic.Int64 }

func newClock(at time.Time) *setClock {
	c := &setClock{}
	c.ms.Store(at.UnixMilli())
	return c
}

func (c *setClock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

func (c *setClock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// openInbox opens a store with its inbox.
func openInbox(t *testing.T, opts Options) (*DB, *Inbox) {
	t.Helper()
	db, err := Open(t.Context(), opts)
	require.NoError(t, err)
	b, err := db.OpenInbox(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db, b
}

// event is one of call c1 of integration i1.
func event(typ store.CallEventType, uid string) store.NewCallEvent {
	return store.NewCallEvent{
		Integration: "i1", Tenant: "acme", Name: "crm", External: "c1", UID: uid, Type: typ, Body: []byte(`{"type":"` + string(typ) + `"}`),
		Writes: typ.Writes(),
	}
}

// The same key and event have one effect, another event with the key is refused, and
// after a day the key is free.
//
// rows: F22, K16
func TestInboxKnowsAnEventByItsKey(t *testing.T) {
	t.Parallel()
	clock := newClock(time.Now())
	_, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true, Now: clock.now})
	n := event(store.TicketCreate, "u1")
	n.Key, n.Sum = "k", []byte{1}
	first, err := b.AcceptEvent(t.Context(), n)
	require.NoError(t, err)
	require.False(t, first.Replayed)
	n.UID = "u2"
	again, err := b.AcceptEvent(t.Context(), n)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, first.Event.ID, again.Event.ID)
	n.Sum = []byte{2}
	_, err = b.AcceptEvent(t.Context(), n)
	require.ErrorIs(t, err, store.ErrConflict)
	clock.pass(store.KeepIdempotencyKeys + time.Second)
	later, err := b.AcceptEvent(t.Context(), n)
	require.NoError(t, err)
	require.NotEqual(t, first.Event.ID, later.Event.ID)
}

// The events of a call are claimed in their order, one at a time, and those of another
// call beside them.
//
// rows: K12, G29
func TestInboxLaneOfACall(t *testing.T) {
	t.Parallel()
	_, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true})
	ctx := t.Context()
	connected, err := b.AcceptEvent(ctx, event(store.CallConnected, "u1"))
	require.NoError(t, err)
	n := event(store.CallEnded, "u2")
	n.State, n.Details.EndedAt, n.Begin = store.CallOver, time.Now(), true
	ended, err := b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	require.False(t, ended.Begun, "it is not its turn")
	first, ok, err := b.ClaimEvent(ctx, connected.Call.ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, connected.Event.ID, first.Event.ID)
	_, ok, err = b.ClaimEvent(ctx, connected.Call.ID)
	require.NoError(t, err)
	require.False(t, ok, "one is at work")
	other := event(store.CallConnected, "u3")
	other.External, other.Begin = "c2", true
	beside, err := b.AcceptEvent(ctx, other)
	require.NoError(t, err)
	require.True(t, beside.Begun)
	call, next, ok, err := b.FinishEvent(ctx, store.EventOutcome{
		EventID: first.Event.ID, Attempts: 1, State: store.EventDone, Log: &store.CallLog{ID: "L1"}, Context: []byte(`{"a":1}`), Next: true,
	})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, ended.Event.ID, next.Event.ID)
	require.Equal(t, "L1", next.Call.Log.ID)
	require.JSONEq(t, `{"a":1}`, string(call.Context))
	_, _, _, err = b.FinishEvent(ctx, store.EventOutcome{EventID: first.Event.ID, Attempts: 1, State: store.EventDone})
	require.ErrorIs(t, err, store.ErrStale)
	late := event(store.CallConnected, "u4")
	skipped, err := b.AcceptEvent(ctx, late)
	require.NoError(t, err)
	require.Equal(t, store.EventSkipped, skipped.Event.State, "it would begin a second log")
}

// A process that ends leaves what it only read to be done again, and what it may have
// written unknown: the events behind it wait.
//
// rows: K16, F31, I08
func TestInboxAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, b := openInbox(t, Options{Path: dir, NoSync: true})
	ctx := t.Context()
	n := event(store.CallStarted, "u1")
	n.Begin = true
	_, err := b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	n = event(store.CallConnected, "u2")
	n.External, n.Begin = "c2", true
	written, err := b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	n = event(store.CallEnded, "u3")
	n.External = "c2"
	_, err = b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	db, b = openInbox(t, Options{Path: dir, NoSync: true})
	require.EqualValues(t, 2, b.Epoch())
	due, _, err := b.DueCalls(ctx, 10)
	require.NoError(t, err)
	require.Len(t, due, 2)
	read, ok, err := b.ClaimEvent(ctx, due[0].ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, store.CallStarted, read.Event.Type)
	asked, ok, err := b.ClaimEvent(ctx, written.Call.ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, asked.Ask)
	require.Equal(t, written.Event.ID, asked.Event.ID)
	call, _, ok, err := b.FinishEvent(ctx, store.EventOutcome{
		EventID: asked.Event.ID, Attempts: asked.Event.Attempts, State: store.EventUnknown, Error: asked.Event.Error, Next: true,
	})
	require.NoError(t, err)
	require.False(t, ok, "nothing of the log goes on before somebody tells")
	require.Equal(t, 1, call.Unknown)
	exam, err := db.Examine(ctx, true)
	require.NoError(t, err)
	require.NoError(t, exam.Err())

	_, err = b.ResolveEvent(ctx, asked.Event.ID, store.ResolveMade, nil, store.CallLog{ID: "L9"})
	require.NoError(t, err)
	next, ok, err := b.ClaimEvent(ctx, written.Call.ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, store.CallEnded, next.Event.Type)
	require.Equal(t, "L9", next.Call.Log.ID)
}

// A write that may have arrived and waits to be sent again is found.
//
// rows: I08
func TestInboxInvariantsNameABlindRetry(t *testing.T) {
	t.Parallel()
	db, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true})
	ctx := t.Context()
	n := event(store.TicketCreate, "u1")
	n.Begin = true
	e, err := b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	_, _, _, err = b.FinishEvent(ctx, store.EventOutcome{
		EventID: e.Event.ID, Attempts: 1, State: store.EventQueued, DueAt: time.Now().Add(time.Hour),
		Error: &store.HookError{Code: "timeout", Outcome: store.OutcomeUnknown},
	})
	require.NoError(t, err)
	exam, err := db.Examine(ctx, true)
	require.NoError(t, err)
	require.ErrorContains(t, exam.Err(), "inbox: I08 unknown: event 1 of call 1")
}

// A backup has the inbox beside it. Restored, what waited in it is not done blindly, and
// what was there can be had back.
//
// rows: K16, F31
func TestInboxIsBackedUpAndRestored(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	db, b := openInbox(t, Options{Path: dir, NoSync: true})
	ctx := t.Context()
	_, err := b.AcceptEvent(ctx, event(store.TicketCreate, "u1"))
	require.NoError(t, err)
	file := filepath.Join(out, "copy.db")
	_, err = db.Backup(ctx, file)
	require.NoError(t, err)
	exam, err := Examine(ctx, file+"-inbox", true)
	require.NoError(t, err)
	require.NoError(t, exam.Err())
	n := event(store.TicketCreate, "u2")
	n.External = "c2"
	_, err = b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	done, err := Restore(ctx, dir, file, time.Now())
	require.NoError(t, err)
	require.Len(t, done.Kept, 2)
	db, b = openInbox(t, Options{Path: dir, NoSync: true})
	calls, err := b.Calls(ctx, store.CallFilter{})
	require.NoError(t, err)
	require.Len(t, calls, 1)
	require.Equal(t, 1, calls[0].Unknown)
	require.NoError(t, db.Close())

	_, err = Restore(ctx, dir, done.Kept[0], time.Now().Add(time.Second))
	require.NoError(t, err)
	_, b = openInbox(t, Options{Path: dir, NoSync: true})
	calls, err = b.Calls(ctx, store.CallFilter{})
	require.NoError(t, err)
	require.Len(t, calls, 2)
}

// rows: X01
func TestCallsAreListedByTenant(t *testing.T) {
	t.Parallel()
	_, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true})
	for i, tenant := range []string{"acme", "globex", "acme"} {
		n := event(store.CallStarted, strconv.Itoa(i))
		n.Tenant, n.Integration, n.External = tenant, "i-"+tenant, strconv.Itoa(i)
		_, err := b.AcceptEvent(t.Context(), n)
		require.NoError(t, err)
	}
	list := func(f store.CallFilter) (out []string) {
		calls, err := b.Calls(t.Context(), f)
		require.NoError(t, err)
		for _, c := range calls {
			out = append(out, c.External)
		}
		return out
	}
	require.Equal(t, []string{"2", "1", "0"}, list(store.CallFilter{}))
	require.Equal(t, []string{"2", "0"}, list(store.CallFilter{Tenant: "acme"}))
	require.Equal(t, []string{"2"}, list(store.CallFilter{Tenant: "acme", Limit: 1}))
	require.Empty(t, list(store.CallFilter{Tenant: "acme", Integration: "i-globex"}))
}

// A call takes so many events and bytes, and is closed and removed in its time; one that
// waits for a person stays.
//
// rows: K16, I11
func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	clock := newClock(time.Now())
	_, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true, Now: clock.now})
	ctx := t.Context()
	n := event(store.CallUpdated, "u0")
	n.Skip = true
	n.External = "many"
	many, err := b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	require.NoError(t, b.update(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, "UPDATE calls SET events = $1 WHERE id = $2", store.MaxCallEvents-1, many.Call.ID)
		return err
	}))
	n.UID = "last"
	_, err = b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	n.UID = "one too many"
	_, err = b.AcceptEvent(ctx, n)
	require.ErrorIs(t, err, store.ErrLimit)

	n.External = event(store.CallUpdated, "").External
	n.Body = append([]byte(`"`), append(make([]byte, store.MaxCallEventBytes-2), '"')...)
	for i := range store.MaxCallBytes / store.MaxCallEventBytes {
		n.UID = string(rune('a' + i))
		_, err := b.AcceptEvent(ctx, n)
		require.NoError(t, err)
	}
	n.UID = "over"
	_, err = b.AcceptEvent(ctx, n)
	require.ErrorIs(t, err, store.ErrLimit)
	n = event(store.TicketCreate, "w")
	n.External, n.Begin = "c2", true
	waits, err := b.AcceptEvent(ctx, n)
	require.NoError(t, err)
	_, _, _, err = b.FinishEvent(ctx, store.EventOutcome{EventID: waits.Event.ID, Attempts: 1, State: store.EventUnknown})
	require.NoError(t, err)

	clock.pass(store.CloseIdleCalls + time.Second)
	_, err = b.PurgeCalls(ctx, time.Hour)
	require.NoError(t, err)
	counts, err := b.CallCounts(ctx)
	require.NoError(t, err)
	require.Equal(t, store.CallCounts{Live: 1, Unknown: 1}, counts)
	n = event(store.CallUpdated, "late")
	_, err = b.AcceptEvent(ctx, n)
	require.ErrorIs(t, err, store.ErrConflict)
	clock.pass(2 * time.Hour)
	_, err = b.PurgeCalls(ctx, time.Hour)
	require.NoError(t, err)
	calls, err := b.Calls(ctx, store.CallFilter{})
	require.NoError(t, err)
	require.Len(t, calls, 1)
	require.Equal(t, "c2", calls[0].External)
}

// A call is answered while an import holds the writer of the store: its events are
// accepted, claimed, finished and read beside the open transaction, which is still open
// when that is done.
//
// rows: K16
func TestCallsAreAnsweredWhileAnImportHoldsTheStore(t *testing.T) {
	t.Parallel()
	db, b := openInbox(t, Options{Path: t.TempDir(), NoSync: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	open, release, applied := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	go func() {
		applied <- db.update(context.WithoutCancel(ctx), func(ctx context.Context, t *tx) error {
			for n := range 2_000 { // as a segment does
				if err := addEvent(ctx, t, "test.row", 0, 0, map[string]any{"n": n}); err != nil {
					return err
				}
			}
			close(open)
			<-release
			return nil
		})
	}()
	<-open
	behind := make(chan error, 1)
	go func() { // what is written behind the import is not there before it
		behind <- db.update(context.WithoutCancel(ctx), func(ctx context.Context, t *tx) error {
			return addEvent(ctx, t, "test.behind", 0, 0, nil)
		})
	}()
	for n := range 20 {
		e := event(store.CallConnected, strconv.Itoa(n))
		e.External, e.Begin = "c"+strconv.Itoa(n), n%2 == 0
		got, err := b.AcceptEvent(ctx, e)
		require.NoError(t, err)
		if !e.Begin {
			_, ok, err := b.ClaimEvent(ctx, got.Call.ID)
			require.NoError(t, err)
			require.True(t, ok)
		}
		_, _, _, err = b.FinishEvent(ctx, store.EventOutcome{EventID: got.Event.ID, Attempts: 1, State: store.EventDone, Log: &store.CallLog{ID: "L"}})
		require.NoError(t, err)
		done, err := b.CallEvent(ctx, got.Event.ID)
		require.NoError(t, err)
		require.Equal(t, store.EventDone, done.State)
	}
	require.Empty(t, applied, "the import holds the store yet")
	require.Empty(t, behind)
	free()
	require.NoError(t, <-applied)
	require.NoError(t, <-behind)
}
