package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

// readTime bounds a read: a long one keeps the log from being written back.
const readTime = 5 * time.Second

// hotRead is a statement that is read all the time.
type hotRead struct {
	*sql.Stmt
	// short says that it looks at a few rows by an index, whatever the store holds.
	// To watch a context would take as long.
	short bool
}

// list calls fn for each row of a query. It reads a state that was committed.
func (db *DB) list(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	hot := db.hot[query]
	if hot.short {
		ctx = context.WithoutCancel(ctx)
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTime)
		defer cancel()
	}
	stmt, err := hot.Stmt, error(nil)
	if stmt == nil {
		if stmt, err = db.again(ctx, query); err != nil {
			return db.readError(err)
		}
	}
	var rows *sql.Rows
	if stmt != nil {
		rows, err = stmt.QueryContext(ctx, args...)
	} else {
		rows, err = db.read.QueryContext(ctx, query, args...)
	}
	if err != nil {
		return db.readError(err)
	}
	return db.readError(drain(rows, fn))
}

// prepareHot prepares what the scheduler, its workers and the readers of the feed
// ask all the time: to compile such a statement takes longer than to run it.
func (db *DB) prepareHot(ctx context.Context) error {
	db.hot = make(map[string]hotRead)
	short := []string{
		anyDueLaneQuery, laneHeadQuery, tenantLaneQuery, lostLaneQuery, dueLaneQuery, backLaneQuery, nextLaneQuery, candidatesQuery, nextKeyQuery, runQuery, preprocessedQuery, integrationQuery, integrationByUIDQuery, integrationByNameQuery, servicesQuery, tokenBySumQuery,
	}
	for _, query := range slices.Concat(short, []string{sourceQuery, sourcesQuery, feedQuery, memberFeedQuery, recordQuery, overlaidQuery}) {
		stmt, err := db.read.PrepareContext(ctx, query)
		if err != nil {
			return errors.Join(fmt.Errorf("prepare %.60q: %w", query, driverError(err)), db.closeHot())
		}
		db.hot[query] = hotRead{Stmt: stmt, short: slices.Contains(short, query)}
	}
	return nil
}

func (db *DB) closeHot() error {
	var errs []error
	for _, stmt := range db.hot {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// get reads one row. It returns store.ErrNotFound if there is none.
func (db *DB) get(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	found := false
	err := db.list(ctx, query, args, func(s scanner) error {
		found = true
		return fn(s)
	})
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// readError gives the error of a read its kind.
func (db *DB) readError(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-db.quit:
		return store.ErrClosed
	default:
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return db.sight(driverError(err))
}

// limit returns n, or what stands for zero.
func limit(n, zero int) int {
	if n <= 0 {
		return zero
	}
	return n
}
