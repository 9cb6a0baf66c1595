package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackfield/jackfield/store"
)

// recordCount is a count of all records, which is dear, and for which position of
// the feed it holds.
type recordCount struct {
	known    bool
	position int64
	n        int64
}

// Status returns the store at a glance. Of a damaged one it returns what can be
// read, and says in Frozen what it is.
func (db *DB) Status(ctx context.Context) (store.Status, error) {
	st := store.Status{
		Path:          db.path,
		Epoch:         db.epoch,
		SchemaVersion: db.schema,
		Integrations:  make(map[store.IntegrationState]int64),
		Runs:          make(map[store.RunState]int64),
		Position:      db.write.position.Load(),
		Full:          db.room.full.Load(),
	}
	now := db.opts.Now().UnixMilli()
	one := func(to *int64) func(scanner) error {
		return func(s scanner) error { return s.Scan(to) }
	}
	err := errors.Join(
		db.list(ctx, "SELECT count(*) FROM tenants WHERE deleted_at IS NULL", nil, one(&st.Tenants)),
		db.list(ctx, "SELECT count(*) FROM integrations WHERE removed_at IS NOT NULL", nil, one(&st.Removed)),
		countBy(ctx, db, "SELECT state, count(*) FROM integrations WHERE removed_at IS NULL GROUP BY state", st.Integrations),
		countBy(ctx, db, "SELECT state, count(*) FROM runs GROUP BY state", st.Runs),
		db.list(ctx, "SELECT count(*) FROM lanes WHERE wake_at IS NOT NULL AND wake_at <= $1 AND owner IS NULL", []any{now}, one(&st.LanesDue)),
		db.list(ctx, "SELECT count(*) FROM lanes WHERE owner IS NOT NULL", nil, one(&st.LanesHeld)),
	)
	if err == nil {
		st.Records, err = db.countRecords(ctx, st.Position)
	}
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return store.Status{}, fmt.Errorf("status: %w", err)
	}
	if broken := db.broken.Load(); broken != nil {
		st.Frozen = (*broken).Error()
	}
	file := filepath.Join(db.path, databaseName)
	if st.DatabaseBytes, err = fileSize(file); err == nil {
		st.WALBytes, err = fileSize(file + "-wal")
	}
	if err != nil {
		return store.Status{}, fmt.Errorf("status: %w", err)
	}
	return st, nil
}

// countRecords counts anew only when something has changed.
func (db *DB) countRecords(ctx context.Context, position int64) (int64, error) {
	db.mu.Lock()
	counted := db.counted
	db.mu.Unlock()
	if counted.known && counted.position == position {
		return counted.n, nil
	}
	counted = recordCount{known: true, position: position}
	if err := db.list(ctx, "SELECT count(*) FROM records", nil, func(s scanner) error { return s.Scan(&counted.n) }); err != nil {
		return 0, err
	}
	db.mu.Lock()
	db.counted = counted
	db.mu.Unlock()
	return counted.n, nil
}

// fileSize looks at the name alone: to open and close a file of the database
// would drop SQLite's locks on it.
func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
