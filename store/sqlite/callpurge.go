package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// PurgeCalls closes the calls that take events no more, and removes those that closed
// longer than keep ago and idempotency keys that are too old: a portion. More is true
// if there is more to do. A call with something to do, or that waits for a person, stays.
func (b *Inbox) PurgeCalls(ctx context.Context, keep time.Duration) (more bool, err error) {
	now := b.opts.Now()
	for _, part := range []struct {
		due string    // whether there is anything
		at  time.Time // that is older than this
		del func(ctx context.Context, t *tx) (int64, error)
	}{
		{"SELECT 1 FROM calls WHERE closed_at IS NULL AND close_at <= $1 LIMIT 1", now, closeCalls},
		{"SELECT 1 FROM idempotency WHERE expires_at <= $1 LIMIT 1", now, purgeKeys},
		{"SELECT 1 FROM calls WHERE closed_at <= $1 LIMIT 1", now.Add(-keep), func(ctx context.Context, t *tx) (int64, error) { return purgeClosed(ctx, t, keep) }},
	} {
		found := false
		if err := b.list(ctx, part.due, []any{part.at.UnixMilli()}, func(scanner) error { found = true; return nil }); err != nil {
			return false, fmt.Errorf("purge calls: %w", err)
		}
		if !found {
			continue
		}
		if err := b.chore(ctx, func(ctx context.Context, t *tx) error {
			n, err := part.del(ctx, t)
			more = more || n == sliceRows
			return err
		}); err != nil {
			return false, fmt.Errorf("purge calls: %w", err)
		}
		b.watchers.tellAll()
	}
	return more, nil
}

// closeCalls closes calls whose time has come. One of which something is still to be
// done gets a day more.
func closeCalls(ctx context.Context, t *tx) (int64, error) {
	closed, err := t.exec(ctx, `
		UPDATE calls
		SET    state = 'closed', closed_at = $1, version = version + 1, updated_at = $1
		WHERE  id IN (SELECT id FROM calls WHERE closed_at IS NULL AND close_at <= $1 AND open = 0 AND unknown = 0 ORDER BY close_at LIMIT $2)`, t.ms, sliceRows)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, "UPDATE meta SET value = value - $1 WHERE name = 'open_calls'", closed); err != nil {
		return 0, err
	}
	later, err := t.exec(ctx, `
		UPDATE calls
		SET    close_at = $1 + $2
		WHERE  id IN (SELECT id FROM calls WHERE closed_at IS NULL AND close_at <= $1 AND (open > 0 OR unknown > 0) ORDER BY close_at LIMIT $3)`,
		t.ms, store.CloseIdleCalls.Milliseconds(), sliceRows)
	return max(closed, later), err
}

func purgeKeys(ctx context.Context, t *tx) (int64, error) {
	return t.exec(ctx, `
		DELETE FROM idempotency
		WHERE  (integration, key) IN (SELECT integration, key FROM idempotency WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`, t.ms, sliceRows)
}

// purgeClosed removes calls with their events, which are MaxCallEvents a call at most.
func purgeClosed(ctx context.Context, t *tx, keep time.Duration) (int64, error) {
	return t.exec(ctx, `
		DELETE FROM calls
		WHERE  id IN (SELECT id FROM calls WHERE closed_at <= $1 ORDER BY closed_at LIMIT $2)`, t.ms-keep.Milliseconds(), sliceRows)
}
