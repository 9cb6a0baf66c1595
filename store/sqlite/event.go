package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// Events returns what happened after the event of that id, oldest first; 100 if
// limit is zero.
func (db *DB) Events(ctx context.Context, after int64, n int) ([]store.Event, error) {
	var out []store.Event
	err := db.list(ctx, eventColumns+`WHERE    id > $1
		ORDER BY id
		LIMIT    $2`, []any{after, limit(n, 100)}, func(s scanner) error {
		e, err := scanEvent(s)
		out = append(out, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return out, nil
}

// RecentEvents returns the events that f selects, the newest first.
func (db *DB) RecentEvents(ctx context.Context, f store.EventFilter) ([]store.Event, error) {
	// Two texts, so that each has its index.
	where := `WHERE integration_id = $1`
	if f.IntegrationID == 0 {
		where = `WHERE $1 = 0`
	}
	before := f.Before
	if before == 0 {
		before = 1 << 62
	}
	var out []store.Event
	err := db.list(ctx, eventColumns+where+` AND id < $2 AND ($3 = '' OR kind = $3 OR kind LIKE $3 || '.%')
		ORDER BY id DESC
		LIMIT    $4`, []any{f.IntegrationID, before, f.Kind, limit(f.Limit, 100)}, func(s scanner) error {
		e, err := scanEvent(s)
		out = append(out, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return out, nil
}

const eventColumns = `
		SELECT   id, at, kind, coalesce(integration_id, 0), coalesce(run_id, 0), data
		FROM     events
		`

func scanEvent(s scanner) (store.Event, error) {
	var (
		e    store.Event
		at   int64
		data nullString
	)
	if err := s.Scan(&e.ID, &at, &e.Kind, &e.IntegrationID, &e.RunID, &data); err != nil {
		return e, err
	}
	e.At = fromMillis(at)
	if data.Valid {
		e.Data = []byte(data.String)
	}
	return e, nil
}

// addEvent writes an event in the transaction that makes it so.
func addEvent(ctx context.Context, t *tx, kind string, integration, run int64, data any) error {
	var body any
	if data != nil {
		s, err := encode(data)
		if err != nil {
			return fmt.Errorf("event %s: %w", kind, err)
		}
		body = s
	}
	_, err := t.exec(ctx, `
		INSERT INTO events (at, kind, integration_id, run_id, data)
		VALUES ($1, $2, $3, $4, $5)`, t.ms, kind, key(integration), key(run), body)
	if err != nil {
		return fmt.Errorf("event %s: %w", kind, err)
	}
	return nil
}
