package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/jackfield/jackfield/store"
)

// readTime bounds a read: a long one keeps the log from being written back.
const readTime = 5 * time.Second

// list calls fn for each row of a query. It reads a state that was committed.
func (db *DB) list(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return db.readError(err)
	}
	return db.readError(drain(rows, fn))
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
	return driverError(err)
}

// limit returns n, or what stands for zero.
func limit(n, zero int) int {
	if n <= 0 {
		return zero
	}
	return n
}
