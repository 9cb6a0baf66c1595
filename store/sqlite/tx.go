package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// tx is a write transaction, and the statements that the connection keeps
// prepared. It is the writer's alone.
type tx struct {
	conn  *sql.Conn
	stmts map[string]statement
	bound []driver.NamedValue // reused by each statement
	found row                 // likewise

	now    time.Time
	ms     int64 // now
	writes int64 // rows changed
	after  after

	pos, reserved int64 // as in writer; the writer takes them over at the commit
	upserts       upserts
	steps         *steps  // nil: nobody looks at them
	touched       []int64 // runs that it moves, if somebody does
	work          work    // what applies have read and not yet written
}

// start makes t ready for the next transaction.
func (t *tx) start(now time.Time, pos, reserved int64) {
	t.now, t.ms = now, now.UnixMilli()
	t.writes = 0
	t.after = after{}
	t.pos, t.reserved = pos, reserved
	t.touched = t.touched[:0]
	t.work.reset()
}

// statement is one of the driver's, prepared past database/sql: that would copy and
// look at every value, and keep books of what the writer alone uses.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// with calls fn with the statement of the query and what args are for the driver.
func (t *tx) with(ctx context.Context, query string, args []any, fn func(s statement, bound []driver.NamedValue) error) error {
	for len(t.bound) < len(args) {
		t.bound = append(t.bound, driver.NamedValue{Ordinal: len(t.bound) + 1})
	}
	bound := t.bound[:len(args)]
	for i, arg := range args {
		switch arg.(type) {
		case nil, int64, string, []byte: // as a thousand values of a bulk are
			bound[i].Value = arg
			continue
		}
		value, err := driverValue(arg)
		if err != nil {
			return fmt.Errorf("value %d of %.60q: %w", i+1, query, err)
		}
		bound[i].Value = value
	}
	return t.conn.Raw(func(c any) error {
		s, ok := t.stmts[query]
		if !ok {
			var err error
			if s, err = prepare(ctx, c, query); err != nil {
				return err
			}
			t.stmts[query] = s
		}
		return fn(s, bound)
	})
}

// prepare prepares a statement on c, the driver's connection.
func prepare(ctx context.Context, c any, query string) (statement, error) {
	conn, ok := c.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("prepare %.60q: %w", query, driver.ErrSkip)
	}
	s, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.60q: %w", query, err)
	}
	out, ok := s.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("prepare %.60q: %w", query, driver.ErrSkip), s.Close())
	}
	return out, nil
}

// exec runs a statement and returns how many rows it changed. ctx must not be
// one that can be cancelled: watching it costs as much as the statement.
func (t *tx) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = t.with(ctx, query, args, func(s statement, bound []driver.NamedValue) error {
		res, err := s.ExecContext(ctx, bound)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	t.writes += n
	return n, err
}

// row runs a query for one row, which is to be scanned before t is used again. To
// scan it returns sql.ErrNoRows if there is none.
func (t *tx) row(ctx context.Context, query string, args ...any) (scanner, error) {
	var out row
	err := t.with(ctx, query, args, func(s statement, bound []driver.NamedValue) error {
		rows, err := s.QueryContext(ctx, bound)
		if err != nil {
			return err
		}
		found := t.room(rows)
		err = rows.Next(found)
		if err == nil {
			out = found
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
	return out, err
}

// room returns where a row of the result has its place.
func (t *tx) room(rows driver.Rows) row {
	n := len(rows.Columns())
	if n > len(t.found) {
		t.found = make(row, n)
	}
	return t.found[:n:n]
}

// get reads one row into dest. It returns sql.ErrNoRows if there is none.
func (t *tx) get(ctx context.Context, query string, args []any, dest ...any) error {
	row, err := t.row(ctx, query, args...)
	if err != nil {
		return err
	}
	return row.Scan(dest...)
}

// each runs a query and calls fn for each row. fn must not use t.
func (t *tx) each(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	return t.with(ctx, query, args, func(s statement, bound []driver.NamedValue) error {
		rows, err := s.QueryContext(ctx, bound)
		if err != nil {
			return err
		}
		found := t.room(rows)
		for err = rows.Next(found); err == nil; err = rows.Next(found) {
			if err = fn(found); err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
}

// change is each for a statement that changes the rows it returns.
func (t *tx) change(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	return t.each(ctx, query, args, func(s scanner) error {
		t.writes++
		return fn(s)
	})
}

func (t *tx) close() error {
	var errs []error
	for _, s := range t.stmts {
		errs = append(errs, t.conn.Raw(func(any) error { return s.Close() }))
	}
	t.stmts = nil
	return errors.Join(errs...)
}

// drain calls fn for each row and closes rows.
func drain(rows *sql.Rows, fn func(scanner) error) error {
	for rows.Next() {
		if err := fn(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
