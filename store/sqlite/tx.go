package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// tx is a write transaction, and the statements that the connection keeps
// prepared. It is the writer's alone.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	bulks map[string]bulk
	bound []driver.NamedValue // reused by each execBulk

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

func (t *tx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := t.stmts[query]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.60q: %w", query, err)
	}
	t.stmts[query] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed. ctx must not be
// one that can be cancelled: watching it costs as much as the statement.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // close closes it
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	t.writes += n
	return n, err
}

// bulk is a statement of the driver, prepared past database/sql.
type bulk interface {
	driver.Stmt
	driver.StmtExecContext
}

// execBulk is exec for a statement with a thousand values, each an int64, a
// string, a []byte or nil. database/sql would copy and look at every one of them.
func (t *tx) execBulk(ctx context.Context, query string, args []any) (n int64, err error) {
	for len(t.bound) < len(args) {
		t.bound = append(t.bound, driver.NamedValue{Ordinal: len(t.bound) + 1})
	}
	bound := t.bound[:len(args)]
	for i, arg := range args {
		bound[i].Value = arg
	}
	err = t.conn.Raw(func(c any) error {
		s, ok := t.bulks[query]
		if !ok {
			if s, err = prepareBulk(ctx, c, query); err != nil {
				return err
			}
			t.bulks[query] = s
		}
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

// prepareBulk prepares a statement on c, the driver's connection.
func prepareBulk(ctx context.Context, c any, query string) (bulk, error) {
	conn, ok := c.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("prepare %.60q: %w", query, driver.ErrSkip)
	}
	s, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.60q: %w", query, err)
	}
	b, ok := s.(bulk)
	if !ok {
		return nil, errors.Join(fmt.Errorf("prepare %.60q: %w", query, driver.ErrSkip), s.Close())
	}
	return b, nil
}

// row runs a query for one row.
func (t *tx) row(ctx context.Context, query string, args ...any) (*sql.Row, error) {
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // close closes it
	if err != nil {
		return nil, err
	}
	return s.QueryRowContext(ctx, args...), nil
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
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // close closes it
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return drain(rows, fn)
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
		errs = append(errs, s.Close())
	}
	for _, s := range t.bulks {
		errs = append(errs, t.conn.Raw(func(any) error { return s.Close() }))
	}
	t.stmts, t.bulks = nil, nil
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
