package sqlite

import (
	"context"
	"time"
)

// Bounds of what a chore deletes in one transaction. Whoever comes behind it waits
// for it.
const (
	portionRows = 500
	portionTime = 20 * time.Millisecond
	sliceRows   = 25
)

// chore is update for what has time: it waits until nothing else does.
func (db *DB) chore(ctx context.Context, fn func(ctx context.Context, t *tx) error) error {
	return db.submitTo(ctx, db.write.chores, &op{run: fn, done: make(chan error, 1)})
}

// remover deletes up to n rows and returns how many there were.
type remover func(ctx context.Context, t *tx, n int) (int64, error)

// portion has del delete, as a chore, until nothing is left, or enough for one
// transaction is gone; more is true then.
func (db *DB) portion(ctx context.Context, del remover) (more bool, err error) {
	err = db.chore(ctx, func(ctx context.Context, t *tx) error {
		more = true
		began := db.opts.Now()
		for rows := int64(0); rows < portionRows && db.opts.Now().Sub(began) < portionTime; {
			n, err := del(ctx, t, sliceRows)
			if err != nil {
				return err
			}
			if n < sliceRows {
				more = false
				return nil
			}
			rows += n
		}
		return nil
	})
	return more, err
}

// any reports whether a query gives a row. A chore with nothing to do then takes no
// turn of the writer.
func (db *DB) any(ctx context.Context, query string, args ...any) (found bool, err error) {
	err = db.list(ctx, query, args, func(scanner) error {
		found = true
		return nil
	})
	return found, err
}
