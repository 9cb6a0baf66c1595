package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// ResolveEvent stores what a person says of an event that is unknown or has failed, or,
// to drop it, that waits. A log that was made is that of its call from then on. Any
// other state is store.ErrConflict.
func (b *Inbox) ResolveEvent(ctx context.Context, id int64, how store.EventResolution, answer json.RawMessage, log store.CallLog) (e store.CallEvent, err error) {
	err = b.update(ctx, func(ctx context.Context, t *tx) error {
		var err error
		if e, err = oneEvent(ctx, t, id); err != nil {
			return err
		}
		if err := resolve(&e, how, answer); err != nil {
			return err
		}
		// Whoever is at work on it comes too late.
		if _, err = t.exec(ctx, "UPDATE call_events SET attempts = attempts + 1 WHERE id = $1", id); err != nil {
			return err
		}
		if err = saveEvent(ctx, t, e); err != nil {
			return err
		}
		o := store.EventOutcome{}
		if how == store.ResolveMade && e.Type.Logs() && log.ID != "" {
			o.Log = &log
		}
		if err = changeCall(ctx, t, e.CallID, o); err != nil {
			return err
		}
		if err = settleCall(ctx, t, e.CallID); err != nil {
			return err
		}
		e, err = oneEvent(ctx, t, id)
		return err
	})
	if err != nil {
		return e, fmt.Errorf("resolve event %d: %w", id, err)
	}
	b.watchers.tell(e.CallID)
	return e, nil
}

// resolve makes of e what a person says.
func resolve(e *store.CallEvent, how store.EventResolution, answer json.RawMessage) error {
	waits := e.State == store.EventQueued && how == store.ResolveDrop
	if e.State != store.EventUnknown && e.State != store.EventFailed && !waits {
		return fmt.Errorf("%w: event %d is %s", store.ErrConflict, e.ID, e.State)
	}
	switch how {
	case store.ResolveRetry:
		e.State, e.Error = store.EventQueued, nil
	case store.ResolveMade:
		e.State, e.Error = store.EventDone, nil
		if answer != nil {
			e.Answer = answer
		}
	case store.ResolveDrop:
		e.State = store.EventSkipped
	default:
		return fmt.Errorf("resolution %q: %w", how, store.ErrInvalid)
	}
	e.DueAt = time.Time{}
	return nil
}
