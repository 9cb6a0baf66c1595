package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// AcceptEvent stores an event, and makes its call if it is the first one. An event
// whose key is known is answered with what became of it; store.ErrConflict is another
// event with the key, or a call that takes none any more, store.ErrLimit one event too
// many.
func (b *Inbox) AcceptEvent(ctx context.Context, n store.NewCallEvent) (out store.AcceptedEvent, err error) {
	if n.Integration == "" || n.External == "" || len(n.External) > store.MaxExternalCallID || n.UID == "" || len(n.Key) > store.MaxIdempotencyKey {
		return out, fmt.Errorf("accept event: %w", store.ErrInvalid)
	}
	if len(n.Body) > store.MaxCallEventBytes {
		return out, fmt.Errorf("accept event of %d bytes, over %d: %w", len(n.Body), store.MaxCallEventBytes, store.ErrLimit)
	}
	err = b.update(ctx, func(ctx context.Context, t *tx) error {
		out = store.AcceptedEvent{}
		known, err := replayed(ctx, t, n, &out)
		if err != nil || known {
			return err
		}
		return accept(ctx, t, n, &out)
	})
	if err != nil {
		return out, fmt.Errorf("accept %s of call %s: %w", n.Type, n.External, err)
	}
	if !out.Replayed {
		b.watchers.tell(out.Call.ID)
	}
	return out, nil
}

// replayed looks for the event of the same key.
func replayed(ctx context.Context, t *tx, n store.NewCallEvent, out *store.AcceptedEvent) (bool, error) {
	if n.Key == "" {
		return false, nil
	}
	var (
		sum []byte
		id  int64
	)
	err := t.get(ctx, "SELECT sum, event_id FROM idempotency WHERE integration = $1 AND key = $2 AND expires_at > $3",
		[]any{n.Integration, n.Key, t.ms}, &sum, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !bytes.Equal(sum, n.Sum) {
		return false, store.Hint(fmt.Errorf("%w: another event had the idempotency key %q", store.ErrConflict, n.Key),
			"give each event a key of its own; the same key is for the same event sent again")
	}
	out.Replayed = true
	if out.Event, err = oneEvent(ctx, t, id); err != nil {
		return false, err
	}
	out.Call, err = oneCall(ctx, t, out.Event.CallID)
	return true, err
}

// accept stores an event that is new.
func accept(ctx context.Context, t *tx, n store.NewCallEvent, out *store.AcceptedEvent) error {
	c, bytes, err := callFor(ctx, t, n)
	if err != nil {
		return err
	}
	switch {
	case c.State == store.CallClosed:
		return store.Hint(fmt.Errorf("%w: call %s is closed", store.ErrConflict, n.External), "a new call needs an id that no other had")
	case c.Events >= store.MaxCallEvents:
		return fmt.Errorf("%w: call %s has %d events", store.ErrLimit, n.External, c.Events)
	case bytes+int64(len(n.Body)) > store.MaxCallBytes:
		return fmt.Errorf("%w: the events of call %s have over %d bytes", store.ErrLimit, n.External, store.MaxCallBytes)
	}
	e := store.CallEvent{
		UID: n.UID, CallID: c.ID, Seq: c.Events + 1, Type: n.Type, Body: n.Body, State: store.EventQueued, ReceivedAt: fromMillis(t.ms), Same: n.Same,
	}
	late := n.Type == store.CallConnected && !c.EndedAt.IsZero()
	switch {
	case late: // the log was completed already, and would be begun a second time
		e.State = store.EventSkipped
		e.Error = &store.HookError{Class: "remote", Code: "out_of_order", Message: "the call has ended already", Outcome: store.OutcomeNotSent}
	case n.Skip:
		e.State = store.EventSkipped
	case n.Begin && c.Open == 0 && (c.Unknown == 0 || !n.Type.Logs()):
		e.State, e.Attempts, out.Begun = store.EventRunning, 1, true
	default:
		e.DueAt = e.ReceivedAt
	}
	if e.State.Final() {
		e.FinishedAt = e.ReceivedAt
	}
	if err := insertEvent(ctx, t, n, &e); err != nil {
		return err
	}
	c.Take(n.Details)
	if n.State != "" && !late {
		c.State = n.State
	}
	closeIn := store.CloseIdleCalls
	if n.Type == store.CallWrapup || c.WrappedUp {
		c.WrappedUp, closeIn = true, store.CloseAfterWrapup
	}
	if err := updateCall(ctx, t, c, int64(len(n.Body)), closeIn); err != nil {
		return err
	}
	if err := settleCall(ctx, t, c.ID); err != nil {
		return err
	}
	out.Event = e
	out.Call, err = oneCall(ctx, t, c.ID)
	return err
}

// callFor returns the call of the event, which it makes if it is the first one.
func callFor(ctx context.Context, t *tx, n store.NewCallEvent) (c store.Call, bytes int64, err error) {
	var id int64
	err = t.get(ctx, "SELECT id, bytes FROM calls WHERE integration = $1 AND external = $2", []any{n.Integration, n.External}, &id, &bytes)
	if err == nil {
		c, err = oneCall(ctx, t, id)
		return c, bytes, err
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return c, 0, err
	}
	changed, err := t.exec(ctx, "UPDATE meta SET value = value + 1 WHERE name = 'open_calls' AND value < $1", store.MaxOpenCalls)
	if err == nil && changed == 0 {
		err = store.Hint(fmt.Errorf("%w: %d calls are open", store.ErrLimit, store.MaxOpenCalls), "send call.wrapup at the end of calls")
	}
	if err != nil {
		return c, 0, err
	}
	c = store.Call{Integration: n.Integration, Tenant: n.Tenant, Name: n.Name, External: n.External, State: store.CallRinging}
	if !n.Type.Calls() { // it has no more to come
		c.State = store.CallOver
	}
	details, err := encode(c.CallDetails)
	if err != nil {
		return c, 0, err
	}
	err = t.get(ctx, `
		INSERT INTO calls (integration, tenant, name, external, state, details, close_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
		RETURNING id`, []any{c.Integration, c.Tenant, c.Name, c.External, string(c.State), details, t.ms + store.CloseIdleCalls.Milliseconds(), t.ms}, &c.ID)
	return c, 0, err
}

func insertEvent(ctx context.Context, t *tx, n store.NewCallEvent, e *store.CallEvent) error {
	why, err := encodeHookError(e.Error)
	if err != nil {
		return err
	}
	err = t.get(ctx, `
		INSERT INTO call_events (uid, call_id, seq, type, state, writes, body, attempts, error, due_at, received_at, finished_at, same)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		RETURNING id`,
		[]any{e.UID, e.CallID, e.Seq, string(e.Type), string(e.State), flag(n.Writes), string(n.Body), e.Attempts, why, millis(e.DueAt), t.ms, millis(e.FinishedAt), text(n.Same)}, &e.ID)
	if err != nil || n.Key == "" {
		return err
	}
	_, err = t.exec(ctx, `
		INSERT INTO idempotency (integration, key, sum, event_id, expires_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (integration, key) DO UPDATE
		SET sum = excluded.sum, event_id = excluded.event_id, expires_at = excluded.expires_at`,
		n.Integration, n.Key, n.Sum, e.ID, t.ms+store.KeepIdempotencyKeys.Milliseconds())
	return err
}

// updateCall writes what an event told of its call.
func updateCall(ctx context.Context, t *tx, c store.Call, bytes int64, closeIn time.Duration) error {
	details, err := encode(c.CallDetails)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		UPDATE calls
		SET    state = $1, details = $2, events = events + 1, bytes = bytes + $3, close_at = $4, version = version + 1, updated_at = $5
		WHERE  id = $6`, string(c.State), details, bytes, t.ms+closeIn.Milliseconds(), t.ms, c.ID)
	return err
}
