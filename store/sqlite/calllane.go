package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// laneEvent is what the order of a call's events depends on.
type laneEvent struct {
	id    int64
	typ   store.CallEventType
	state store.EventState
	due   moment
}

// turn returns the event of a call whose turn it is, if any is to be worked on by
// itself: the first that waits, or is to be asked about. Behind one whose outcome is
// unknown nothing goes on that may change the same log. None is returned while one is
// at work.
func turn(ctx context.Context, t *tx, call int64) (next laneEvent, counts [2]int, err error) {
	var ask laneEvent
	blocked, decided := false, false
	err = t.each(ctx, `
		SELECT id, type, state, due_at
		FROM   call_events
		WHERE  call_id = $1 AND state IN ('queued', 'running', 'unknown')
		ORDER  BY seq`, []any{call}, func(s scanner) error { // MaxCallEvents at most
		var e laneEvent
		if err := s.Scan(&e.id, &e.typ, &e.state, &e.due); err != nil {
			return err
		}
		if e.state == store.EventUnknown {
			counts[1]++
			blocked = blocked || e.typ.Logs()
			if e.due.Valid && ask.id == 0 {
				ask = e
			}
			return nil
		}
		counts[0]++
		switch {
		case decided:
		case e.state == store.EventRunning:
			decided = true
		case !blocked || !e.typ.Logs():
			next, decided = e, true
		}
		return nil
	})
	if working := decided && next.id == 0; !working && ask.id != 0 && (next.id == 0 || ask.due.Int64 <= next.due.Int64) {
		next = ask
	}
	return next, counts, err
}

// settleCall makes the counters of a call, and when it is due, those of its events.
func settleCall(ctx context.Context, t *tx, call int64) error {
	next, counts, err := turn(ctx, t, call)
	if err != nil {
		return err
	}
	var due any
	if next.id != 0 {
		due = next.due.Int64
	}
	_, err = t.exec(ctx, "UPDATE calls SET open = $1, unknown = $2, due_at = $3 WHERE id = $4", counts[0], counts[1], due, call)
	return err
}

// claimTurn claims the event of a call whose turn it is, if it is due.
func claimTurn(ctx context.Context, t *tx, call int64) (out store.ClaimedEvent, ok bool, err error) {
	next, _, err := turn(ctx, t, call)
	if err != nil || next.id == 0 || !next.due.come(t.ms) {
		return out, false, err
	}
	out.Ask = next.state == store.EventUnknown
	if out.Ask { // a question changes nothing: it may be asked twice
		_, err = t.exec(ctx, "UPDATE call_events SET attempts = attempts + 1 WHERE id = $1", next.id)
	} else {
		_, err = t.exec(ctx, "UPDATE call_events SET state = 'running', attempts = attempts + 1, due_at = NULL WHERE id = $1", next.id)
	}
	if err == nil {
		_, err = t.exec(ctx, "UPDATE calls SET due_at = NULL WHERE id = $1", call)
	}
	if err == nil {
		out.Event, err = oneEvent(ctx, t, next.id)
	}
	if err == nil {
		out.Call, err = oneCall(ctx, t, call)
	}
	return out, err == nil, err
}

// ClaimEvent claims the event of a call whose turn it is; false if none is due.
func (b *Inbox) ClaimEvent(ctx context.Context, call int64) (out store.ClaimedEvent, ok bool, err error) {
	err = b.update(ctx, func(ctx context.Context, t *tx) error {
		var err error
		out, ok, err = claimTurn(ctx, t, call)
		return err
	})
	if err != nil {
		return out, false, fmt.Errorf("claim event of call %d: %w", call, err)
	}
	return out, ok, nil
}

// FinishEvent stores what became of an attempt. It answers store.ErrStale if the event
// was claimed by another, or decided by a person, meanwhile.
func (b *Inbox) FinishEvent(ctx context.Context, o store.EventOutcome) (call store.Call, next store.ClaimedEvent, more bool, err error) {
	err = b.always(ctx, func(ctx context.Context, t *tx) error {
		more, next = false, store.ClaimedEvent{}
		id, err := finishEvent(ctx, t, o)
		if err != nil {
			return err
		}
		if err = settleCall(ctx, t, id); err != nil {
			return err
		}
		if o.Next {
			if next, more, err = claimTurn(ctx, t, id); err != nil {
				return err
			}
		}
		call, err = oneCall(ctx, t, id)
		return err
	})
	if err != nil {
		return call, next, false, fmt.Errorf("finish event %d: %w", o.EventID, err)
	}
	b.watchers.tell(call.ID)
	return call, next, more, nil
}

// SaveEvent keeps the steps and the answer of an event that is at work, as they are so
// far: what a host that is killed leaves of it. It answers store.ErrStale as FinishEvent
// does.
func (b *Inbox) SaveEvent(ctx context.Context, o store.EventOutcome) error {
	err := b.update(ctx, func(ctx context.Context, t *tx) error {
		steps, err := encode(o.Steps)
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, "UPDATE call_events SET steps = $1, answer = $2 WHERE id = $3 AND state = 'running' AND attempts = $4",
			steps, text(string(o.Answer)), o.EventID, o.Attempts)
		if err == nil && n != 1 {
			err = store.ErrStale
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("save event %d: %w", o.EventID, err)
	}
	return nil
}

func finishEvent(ctx context.Context, t *tx, o store.EventOutcome) (call int64, err error) {
	e, err := oneEvent(ctx, t, o.EventID)
	if err != nil {
		return 0, err
	}
	if e.State != store.EventRunning && e.State != store.EventUnknown || e.Attempts != o.Attempts {
		return 0, fmt.Errorf("event %d is %s at attempt %d: %w", e.ID, e.State, e.Attempts, store.ErrStale)
	}
	e.State, e.Steps, e.Answer, e.Error, e.DueAt = o.State, o.Steps, o.Answer, o.Error, o.DueAt
	if err := saveEvent(ctx, t, e); err != nil {
		return 0, err
	}
	return e.CallID, changeCall(ctx, t, e.CallID, o)
}

// saveEvent writes what changes of an event.
func saveEvent(ctx context.Context, t *tx, e store.CallEvent) error {
	steps, err := encode(e.Steps)
	if e.Steps == nil {
		steps = "[]"
	}
	if err != nil {
		return err
	}
	why, err := encodeHookError(e.Error)
	if err != nil {
		return err
	}
	var finished any
	if e.State.Final() {
		finished = t.ms
	}
	due := millis(e.DueAt)
	if e.State == store.EventQueued && due == nil {
		due = t.ms
	}
	_, err = t.exec(ctx, `
		UPDATE call_events
		SET    state = $1, steps = $2, answer = $3, error = $4, due_at = $5, finished_at = $6
		WHERE  id = $7`, string(e.State), steps, text(string(e.Answer)), why, due, finished, e.ID)
	return err
}

// changeCall writes what an outcome changes of its call.
func changeCall(ctx context.Context, t *tx, call int64, o store.EventOutcome) error {
	var log, url any
	if o.Log != nil {
		log, url = text(o.Log.ID), text(o.Log.URL)
	}
	_, err := t.exec(ctx, `
		UPDATE calls
		SET    log_id = coalesce($1, log_id), log_url = coalesce($2, log_url), context = coalesce($3, context),
		       screen = coalesce($4, screen), version = version + 1, updated_at = $5
		WHERE  id = $6`, log, url, text(string(o.Context)), text(string(o.Screen)), t.ms, call)
	return err
}

// DueCalls returns calls with an event to be worked on now, the longest due first, and
// when the next one after them is due, in milliseconds since 1970; zero: none is.
func (b *Inbox) DueCalls(ctx context.Context, limit int) (due []store.DueCall, next int64, err error) {
	now := b.opts.Now().UnixMilli()
	var at moment
	err = b.list(ctx, dueCallsQuery, []any{now, limit}, func(s scanner) error {
		var c store.DueCall
		err := s.Scan(&c.ID, &c.Integration, &c.External)
		due = append(due, c)
		return err
	})
	if err == nil {
		err = b.list(ctx, nextDueQuery, []any{now}, func(s scanner) error { return s.Scan(&at) })
	}
	if err != nil {
		return nil, 0, fmt.Errorf("due calls: %w", err)
	}
	return due, at.Int64, nil
}
