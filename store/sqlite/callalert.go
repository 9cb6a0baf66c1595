package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// lookBack is how many of an integration's events are looked through for one that was
// told already.
const lookBack = 1000

// TellUnknown writes the event that nobody knows whether a write for a call arrived. It
// is written once, however often it is told: who was killed between this and ToldUnknown
// tells it again.
func (db *DB) TellUnknown(ctx context.Context, w store.UnknownWrite) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		var id, told int64
		err := t.get(ctx, "SELECT id FROM integrations WHERE uid = $1", []any{w.Integration}, &id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // it was deleted, and its calls are
		}
		if err != nil {
			return err
		}
		err = t.get(ctx, `
			SELECT count(*)
			FROM   (SELECT kind, data FROM events WHERE integration_id = $1 ORDER BY id DESC LIMIT $2)
			WHERE  kind = 'call.unknown' AND json_extract(data, '$.event') = $3`, []any{id, lookBack, w.Event}, &told)
		if err != nil || told > 0 {
			return err
		}
		return addEvent(ctx, t, "call.unknown", id, 0, w)
	})
	if err != nil {
		return fmt.Errorf("tell of event %d of call %s: %w", w.Event, w.Call, err)
	}
	return nil
}

// UntoldUnknown returns writes of which nobody knows whether they arrived and that
// nobody was told of, the oldest first.
func (b *Inbox) UntoldUnknown(ctx context.Context, limit int) (out []store.UnknownWrite, err error) {
	err = b.list(ctx, `
		SELECT e.id, e.type, c.integration, c.external, coalesce(json_extract(e.error, '$.code'), ''), coalesce(json_extract(e.error, '$.message'), '')
		FROM   call_events e JOIN calls c ON c.id = e.call_id
		WHERE  e.state = 'unknown' AND e.told = 0
		ORDER  BY e.id
		LIMIT  $1`, []any{limit}, func(s scanner) error {
		var w store.UnknownWrite
		err := s.Scan(&w.Event, &w.Type, &w.Integration, &w.Call, &w.Code, &w.Message)
		out = append(out, w)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list unknown writes: %w", err)
	}
	return out, nil
}

// ToldUnknown notes that a person can know of a write that is unknown.
func (b *Inbox) ToldUnknown(ctx context.Context, event int64) error {
	err := b.chore(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, "UPDATE call_events SET told = 1 WHERE id = $1", event)
		return err
	})
	if err != nil {
		return fmt.Errorf("note event %d as told: %w", event, err)
	}
	return nil
}
