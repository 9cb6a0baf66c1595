package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Purge removes one portion of what is kept longer than r says, in small
// transactions that wait for all other work, and reports whether there is more. It
// may be interrupted at any point; the next call goes on.
func (db *DB) Purge(ctx context.Context, r store.Retention) (more bool, err error) {
	if err := db.markFeed(ctx); err != nil {
		return false, fmt.Errorf("purge: %w", err)
	}
	// Traces first: the step behind looks through those of an integration that was
	// deleted, so it comes when they are gone and not before each portion of them.
	for _, step := range []func(context.Context, store.Retention) (bool, error){
		db.purgeTraces, db.purgeRemoved, db.purgeTenants, db.purgeRuns, db.purgeCancelled, db.purgeLeaving, db.purgeSeen, db.purgeEvents, db.purgeExpired,
	} {
		more, err := step(ctx, r)
		if err != nil {
			return false, fmt.Errorf("purge: %w", err)
		}
		if more {
			return true, nil
		}
	}
	return false, nil
}

// before returns the time before which something is kept no longer; false if it is
// kept for ever.
func (db *DB) before(keep time.Duration) (int64, bool) {
	return db.opts.Now().Add(-keep).UnixMilli(), keep > 0
}

// purgeRuns lets runs leave that ended long ago. A run goes first, so that nobody
// continues what is half gone; its streams and the rest of it follow (K08).
func (db *DB) purgeRuns(ctx context.Context, r store.Retention) (bool, error) {
	before, ok := db.before(r.Runs)
	if !ok {
		return false, nil
	}
	const old = "SELECT id FROM runs WHERE ended_at < $1 ORDER BY ended_at, id LIMIT "
	if found, err := db.any(ctx, old+"1", before); err != nil || !found {
		return false, err
	}
	return db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
		return dropRuns(ctx, t, "SELECT id FROM runs WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2 + 0", before, n)
	})
}

// dropRuns removes the rows of runs that a query selects and keeps in mind that
// theirs are to follow.
func dropRuns(ctx context.Context, t *tx, query string, args ...any) (int64, error) {
	var ids []int64
	if err := t.each(ctx, query, args, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return 0, fmt.Errorf("find runs: %w", err)
	}
	for _, id := range ids {
		if _, err := t.exec(ctx, "INSERT INTO leaving_runs (run_id) VALUES ($1)", id); err != nil {
			return 0, fmt.Errorf("remove run %d: %w", id, err)
		}
		if err := forgetStatuses(ctx, t, id); err != nil {
			return 0, err
		}
		for _, table := range []string{"runs WHERE id", "cancelling_runs WHERE run_id"} {
			if _, err := t.exec(ctx, "DELETE FROM "+table+" = $1", id); err != nil {
				return 0, fmt.Errorf("remove run %d: %w", id, err)
			}
		}
	}
	return int64(len(ids)), nil
}

// ofRun are the statements that remove, up to $2 rows at a time, what belongs to a
// run. They are kept prepared, and so their limit is an expression.
func ofRun() []string {
	return []string{
		"DELETE FROM streams  WHERE id IN (SELECT id FROM streams  WHERE run_id = $1 LIMIT $2 + 0)",
		"DELETE FROM warnings WHERE id IN (SELECT id FROM warnings WHERE run_id = $1 LIMIT $2 + 0)",
		"DELETE FROM run_data WHERE run_id = $1 AND $2 > 0",
		"DELETE FROM sweeps   WHERE run_id = $1 AND $2 > 0",
		`UPDATE cursors
		 SET    next = NULL, next_run = NULL
		 WHERE  rowid IN (SELECT rowid FROM cursors WHERE next_run = $1 LIMIT $2 + 0)`,
	}
}

// purgeLeaving removes what is left of the runs that are gone.
func (db *DB) purgeLeaving(ctx context.Context, _ store.Retention) (bool, error) {
	if found, err := db.any(ctx, "SELECT run_id FROM leaving_runs LIMIT 1"); err != nil || !found {
		return false, err
	}
	return db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
		var id int64
		if err := t.each(ctx, "SELECT run_id FROM leaving_runs ORDER BY run_id LIMIT 1", nil, func(s scanner) error {
			return s.Scan(&id)
		}); err != nil || id == 0 {
			return 0, err
		}
		left := int64(n)
		for _, query := range ofRun() {
			gone, err := t.exec(ctx, query, id, left)
			if err != nil {
				return 0, err
			}
			if left -= gone; left <= 0 {
				return int64(n), nil // and there may be more
			}
		}
		_, err := t.exec(ctx, "DELETE FROM leaving_runs WHERE run_id = $1", id)
		return int64(n), err // and there may be another
	})
}

// markEvery is how far apart marks of the feed are.
const markEvery = time.Hour

// markFeed keeps in mind where the feed is now: records do not say when they were
// deleted, only where in the feed.
func (db *DB) markFeed(ctx context.Context) error {
	var position, at int64
	if err := db.list(ctx, "SELECT position, at FROM feed_marks ORDER BY position DESC LIMIT 1", nil, func(s scanner) error {
		return s.Scan(&position, &at)
	}); err != nil {
		return fmt.Errorf("read mark of the feed: %w", err)
	}
	now := db.opts.Now().UnixMilli()
	if position == db.write.position.Load() || at > now-markEvery.Milliseconds() && at <= now {
		return nil
	}
	return db.chore(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `
			INSERT INTO feed_marks (position, at)
			VALUES ($1, $2)
			ON CONFLICT (position) DO NOTHING`, t.pos, t.ms)
		return err
	})
}

// purgeTraces forgets what was deleted long ago. Where a reader goes on from before
// that is told to read anew.
func (db *DB) purgeTraces(ctx context.Context, r store.Retention) (bool, error) {
	before, ok := db.before(r.Deleted)
	if !ok {
		return false, nil
	}
	var upTo int64
	if err := db.list(ctx, "SELECT coalesce(max(position), 0) FROM feed_marks WHERE at < $1", []any{before}, func(s scanner) error {
		return s.Scan(&upTo)
	}); err != nil {
		return false, fmt.Errorf("read marks of the feed: %w", err)
	}
	found, err := db.any(ctx, `
		SELECT id FROM records WHERE deleted = 1 AND pos <= $1
		UNION ALL
		SELECT position FROM feed_marks WHERE position < $1
		LIMIT  1`, upTo)
	if err != nil || !found {
		return false, err
	}
	defer db.recount()
	return db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
		if _, err := t.exec(ctx, "DELETE FROM feed_marks WHERE position < $1", upTo); err != nil {
			return 0, fmt.Errorf("forget marks: %w", err)
		}
		return forget(ctx, t, upTo, n)
	})
}

// forget removes the rows of deleted records up to a position.
func forget(ctx context.Context, t *tx, upTo int64, n int) (gone int64, err error) {
	newest := make(map[int64]int64)
	err = t.change(ctx, `
		DELETE FROM records
		WHERE  id IN (
		       SELECT   id
		       FROM     records
		       WHERE    deleted = 1 AND pos <= $1
		       ORDER BY pos
		       LIMIT    $2)
		RETURNING integration_id, pos`, []any{upTo, n}, func(s scanner) error {
		var integration, pos int64
		err := s.Scan(&integration, &pos)
		newest[integration] = max(newest[integration], pos)
		gone++
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget deleted records: %w", err)
	}
	for integration, pos := range newest {
		if _, err := t.exec(ctx, "UPDATE integrations SET forgotten = $2 WHERE id = $1 AND forgotten < $2", integration, pos); err != nil {
			return 0, fmt.Errorf("forget deleted records: %w", err)
		}
	}
	return gone, nil
}

// purgeEvents looks at the oldest ones. One with a time ahead, after a jump of the
// clock, does not keep those behind it.
func (db *DB) purgeEvents(ctx context.Context, r store.Retention) (bool, error) {
	before, ok := db.before(r.Events)
	if !ok {
		return false, nil
	}
	const old = "SELECT id FROM (SELECT id, at FROM events ORDER BY id LIMIT 1000) AS oldest WHERE at < $1 ORDER BY id LIMIT "
	if found, err := db.any(ctx, old+"1", before); err != nil || !found {
		return false, err
	}
	return db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
		return t.exec(ctx, "DELETE FROM events WHERE id IN ("+old+"$2)", before, n)
	})
}

// throttleKept is how long a throttle that is over stays, so that it is seen what
// there was.
const throttleKept = time.Hour

// purgeExpired removes what has an end of its own.
func (db *DB) purgeExpired(ctx context.Context, _ store.Retention) (more bool, err error) {
	now := db.opts.Now()
	for _, e := range []struct {
		of, what string
		before   time.Time
	}{
		{"cache", "expires_at", now},
		{"throttles", "until", now.Add(-throttleKept)},
	} {
		old := "SELECT rowid FROM " + e.of + " WHERE " + e.what + " <= $1 LIMIT "
		if found, err := db.any(ctx, old+"1", e.before.UnixMilli()); err != nil || !found {
			if err != nil {
				return false, err
			}
			continue
		}
		some, err := db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
			return t.exec(ctx, "DELETE FROM "+e.of+" WHERE rowid IN ("+old+"$2)", e.before.UnixMilli(), n)
		})
		if err != nil {
			return false, fmt.Errorf("remove what is over of %s: %w", e.of, err)
		}
		more = more || some
	}
	return more, nil
}

// recount has Status count the records anew: rows are gone although the feed has
// not moved.
func (db *DB) recount() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.counted = recordCount{}
}
