package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite/internal/failpoint"
)

// settle commits and answers ops.
func (w *writer) settle(ctx context.Context, ops []*op) {
	if err := w.tx.flush(ctx); err != nil {
		w.retry(ctx, ops, err)
		return
	}
	if err := w.verify(ctx); err != nil {
		w.retry(ctx, ops, err)
		return
	}
	failpoint.Hit("commit")
	err := w.commit(ctx)
	failpoint.Hit("committed")
	if err != nil {
		err = w.unsure(ctx, ops, driverError(err))
	}
	if err == nil {
		if w.onDone != nil {
			w.onDone(time.Since(w.begun), len(ops))
		}
		w.pos, w.reserved = w.tx.pos, w.tx.reserved
		w.position.Store(w.pos)
		w.count()
		if len(ops) > 0 {
			ops[0].after = w.tx.after // one tells for all
		}
	}
	w.answer(ops, err)
	failpoint.Hit("answered")
}

// verify tells who looks at each step what the transaction would break.
func (w *writer) verify(ctx context.Context) error {
	if len(w.tx.touched) == 0 {
		return nil
	}
	found, err := w.tx.verify(ctx)
	if err == nil {
		w.onStep(found)
	}
	return err
}

// unsure decides whether a commit that failed has happened, and returns nil if it
// has. SQLite may report an error after the log was written. If nobody can tell,
// the store fails.
func (w *writer) unsure(ctx context.Context, ops []*op, cause error) error {
	if err := w.rollback(ctx); err != nil {
		cause = errors.Join(cause, err)
	}
	if errors.Is(cause, store.ErrFull) {
		return cause // the log has no room for the end of the transaction: it is none
	}
	if errors.Is(cause, store.ErrIO) || errors.Is(cause, store.ErrDamaged) {
		// What the system has of the file and what the disk has may differ from now
		// on: a look from here would see the one, the next start sees the other.
		w.fail(fmt.Errorf("commit: %w: %w", store.ErrOutcomeUnknown, cause))
		return w.failure()
	}
	var mark *landmark
	for _, o := range ops {
		if o.mark != nil {
			mark = o.mark
		}
	}
	if mark != nil {
		// A look by the same connection could be at its own cache.
		seq, err := w.look(ctx, mark)
		if err == nil && seq == mark.seq {
			return nil
		}
		if err == nil {
			return fmt.Errorf("commit: %w", cause)
		}
		cause = errors.Join(cause, err)
	}
	w.fail(fmt.Errorf("commit: %w: %w", store.ErrOutcomeUnknown, cause))
	return w.failure()
}

// look opens the database anew and reads the seq of the stream of mark.
func (w *writer) look(ctx context.Context, mark *landmark) (seq int64, err error) {
	after, pos, reserved := w.tx.after, w.tx.pos, w.tx.reserved
	if err := w.close(); err != nil {
		return 0, fmt.Errorf("close database: %w", driverError(err))
	}
	if err := w.connect(ctx); err != nil {
		return 0, err
	}
	w.tx.after, w.tx.pos, w.tx.reserved = after, pos, reserved
	row, err := w.tx.row(ctx, "SELECT seq FROM streams WHERE id = $1", mark.stream)
	if err != nil {
		return 0, driverError(err)
	}
	if err := row.Scan(&seq); err != nil {
		return 0, fmt.Errorf("look at stream %d: %w", mark.stream, driverError(err))
	}
	return seq, nil
}
