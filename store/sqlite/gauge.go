package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackfield/jackfield/store"
)

// Gauges returns the numbers of the store that cost little to read: each is read
// from an index, and none takes longer because there are more records.
func (db *DB) Gauges(ctx context.Context) (store.Gauges, error) {
	g := store.Gauges{
		Runs: map[store.RunState]int64{}, Integrations: map[store.IntegrationState]int64{},
		Writes: len(db.write.queue), Chores: len(db.write.chores),
		Position: db.write.position.Load(), Full: db.room.full.Load(),
	}
	var pending, processing, delayed, processed, failed, cancelled int64
	err := errors.Join(
		countBy(ctx, db, "SELECT state, count(*) FROM runs GROUP BY state", g.Runs),
		countBy(ctx, db, "SELECT state, count(*) FROM integrations WHERE removed_at IS NULL GROUP BY state", g.Integrations),
		db.list(ctx, `SELECT coalesce(sum(n_pending), 0), coalesce(sum(n_processing), 0), coalesce(sum(n_delayed), 0),
			coalesce(sum(n_processed), 0), coalesce(sum(n_error), 0), coalesce(sum(n_cancelled), 0)
			FROM runs WHERE state IN ('pending', 'processing', 'delayed')`, nil, func(s scanner) error {
			return s.Scan(&pending, &processing, &delayed, &processed, &failed, &cancelled)
		}),
		db.list(ctx, "SELECT count(*) FROM lanes WHERE wake_at IS NOT NULL AND wake_at <= $1 AND owner IS NULL", []any{db.opts.Now().UnixMilli()},
			func(s scanner) error { return s.Scan(&g.LanesDue) }),
		db.list(ctx, "SELECT count(*) FROM lanes WHERE owner IS NOT NULL", nil, func(s scanner) error { return s.Scan(&g.LanesHeld) }),
	)
	if err != nil {
		return store.Gauges{}, fmt.Errorf("read gauges: %w", err)
	}
	g.Streams = map[store.StreamState]int64{
		store.StreamPending: pending, store.StreamProcessing: processing, store.StreamDelayed: delayed,
		store.StreamProcessed: processed, store.StreamError: failed, store.StreamCancelled: cancelled,
	}
	file := filepath.Join(db.path, databaseName)
	if g.Database, err = fileSize(file); err == nil {
		g.WAL, err = fileSize(file + "-wal")
	}
	if err != nil {
		return store.Gauges{}, fmt.Errorf("read gauges: %w", err)
	}
	return g, nil
}

// countBy adds the counts that a query answers by state.
func countBy[K ~string](ctx context.Context, db *DB, query string, to map[K]int64) error {
	return db.list(ctx, query, nil, func(s scanner) error {
		var (
			state K
			n     int64
		)
		err := s.Scan(&state, &n)
		to[state] = n
		return err
	})
}
