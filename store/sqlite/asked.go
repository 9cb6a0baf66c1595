package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// askedMost is how many queries are remembered: those of the chores and of the look
// for what must never be are fewer, and some of people come on top.
const askedMost = 128

// asked are the queries that were read before, by their text. To compile one takes as
// long as running it in a small store: what is asked a second time is kept prepared.
// The statements of a connection go with it, when nobody reads (see
// Options.ReaderIdle).
type asked struct {
	mu     sync.Mutex
	stmts  map[string]*sql.Stmt // nil: asked once
	closed bool
}

// again returns the statement of a query that is asked again, nil for one that is not
// kept. The caller does not close it.
func (db *DB) again(ctx context.Context, query string) (*sql.Stmt, error) {
	stmt, second := db.asked.find(query)
	if stmt != nil || !second {
		return stmt, nil
	}
	// It waits for a connection, and those who have one may want to know of others.
	stmt, err := db.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return db.asked.keep(query, stmt)
}

// find returns the statement of a query, and whether to make it. It remembers the query.
func (a *asked) find(query string) (stmt *sql.Stmt, second bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	stmt, second = a.stmts[query]
	if !second && len(a.stmts) < askedMost {
		if a.stmts == nil {
			a.stmts = make(map[string]*sql.Stmt)
		}
		a.stmts[query] = nil
	}
	return stmt, second
}

// keep returns the statement of a query that is kept: the first of those that were
// made at once.
func (a *asked) keep(query string, stmt *sql.Stmt) (*sql.Stmt, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, stmt.Close()
	}
	if kept := a.stmts[query]; kept != nil {
		return kept, stmt.Close()
	}
	a.stmts[query] = stmt
	return stmt, nil
}

// close closes what is kept. Nothing is kept after it.
func (a *asked) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	var errs []error
	for _, stmt := range a.stmts {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}
