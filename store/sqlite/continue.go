package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// stuckAfter is how long a run may be under way without a sign of life before
// ContinueRun takes its lane away; a call of a plugin lives at most ten minutes.
const stuckAfter = 15 * time.Minute

// ContinueRun goes on with a run. One that ended partial or in error is pending
// again with its failed streams, and with those that were never worked on because
// it ended early; their attempts start anew. One that is delayed, or waits with its
// streams, is due now. The lane of one that shows no sign of life is taken away
// from its holder. It returns store.ErrConflict for a run that is processed or
// cancelled, or whose place another one has taken.
func (db *DB) ContinueRun(ctx context.Context, id int64) (store.Run, error) {
	var (
		r    *run
		open bool
	)
	err := db.update(ctx, func(ctx context.Context, t *tx) (err error) {
		if r, err = loadRun(ctx, t, id); err != nil {
			return err
		}
		i, err := integrationByID(ctx, t, r.IntegrationID)
		if err != nil {
			return err
		}
		if err := mayRun(i, store.RunRequest{}); err != nil {
			return err
		}
		open = !r.State.Terminal()
		switch r.State {
		case store.RunPartial, store.RunError:
			err = r.reopen(ctx, t)
		case store.RunPending, store.RunProcessing, store.RunDelayed:
			err = r.hurry(ctx, t)
		default:
			err = fmt.Errorf("run %d is %s: %w", id, r.State, store.ErrConflict)
		}
		if err != nil {
			return err
		}
		return nudge(ctx, t, r.IntegrationID, r.Class, t.ms, store.PrioInteractive)
	})
	if err == nil && open {
		err = db.hurryStreams(ctx, r)
	}
	if err != nil {
		return store.Run{}, fmt.Errorf("continue run %d: %w", id, err)
	}
	return r.Run, nil
}

// reopen moves a run that ended back to pending, with the streams that are worth
// another try. A stream that a person skipped stays so: it has the reason. They are
// one transaction, as cancelStreams is and with its bound: a run that is pending with
// streams that are cancelled could end before they are back.
func (r *run) reopen(ctx context.Context, t *tx) error {
	if err := r.mayReopen(ctx, t); err != nil {
		return err
	}
	var n int
	for from, which := range map[store.StreamState]string{
		store.StreamError:     "state = 'error'",
		store.StreamCancelled: "state = 'cancelled' AND failure IS NULL",
	} {
		if err := t.change(ctx, `
			UPDATE    streams
			SET       state = 'pending', attempts = 0, interrupts = 0, crashes = 0, due_at = $2, updated_at = $2
			WHERE     run_id = $1 AND state IN ('error', 'cancelled') AND `+which+`
			RETURNING type, phase`, []any{r.ID, t.ms}, func(s scanner) error {
			var (
				typ   store.StreamType
				phase int
			)
			err := s.Scan(&typ, &phase)
			r.move(typ, from, store.StreamPending)
			r.phase = min(r.phase, phase)
			n++
			return err
		}); err != nil {
			return fmt.Errorf("retry streams of run %d: %w", r.ID, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("run %d has nothing left to do: %w", r.ID, store.ErrConflict)
	}
	return r.pend(ctx, t)
}

// mayReopen returns store.ErrConflict if another run has taken the place of r.
func (r *run) mayReopen(ctx context.Context, t *tx) error {
	id, err := openRun(ctx, t, store.RunRequest{IntegrationID: r.IntegrationID, Class: r.Class, ParamsSum: r.ParamsSum})
	if err == nil && id != 0 {
		err = fmt.Errorf("run %d is open in its place: %w", id, store.ErrConflict)
	}
	return err
}

// pend makes a run that ended wait for its lane again.
func (r *run) pend(ctx context.Context, t *tx) error {
	r.State, r.Failure = store.RunPending, nil
	r.DelayedUntil, r.DelayReason, r.EndedAt = time.Time{}, "", time.Time{}
	if _, err := t.exec(ctx, "UPDATE runs SET limit_from = read, aged_from = $2 WHERE id = $1", r.ID, t.ms); err != nil {
		return fmt.Errorf("limits of run %d: %w", r.ID, err)
	}
	if err := r.reopenStatuses(ctx, t); err != nil {
		return err
	}
	return r.save(ctx, t)
}

// hurry makes an open run due now; hurryStreams does so with its streams.
func (r *run) hurry(ctx context.Context, t *tx) error {
	stuck := t.now.Sub(r.UpdatedAt) > stuckAfter
	if err := hurryCircuits(ctx, t, r.IntegrationID); err != nil {
		return err
	}
	r.DelayedUntil, r.DelayReason = time.Time{}, ""
	if err := r.save(ctx, t); err != nil {
		return err
	}
	if stuck && r.State == store.RunProcessing {
		return revoke(ctx, t, r.IntegrationID, r.Class)
	}
	return nil
}

// hurryStreams makes the streams due that wait, a portion in each transaction, so
// that a run with very many of them holds up nobody. It looks for them beside the
// writer.
func (db *DB) hurryStreams(ctx context.Context, r *run) error {
	for after := int64(0); ; {
		var ids []any
		if err := db.list(ctx, `
			SELECT   id
			FROM     streams INDEXED BY streams_run
			WHERE    run_id = $1 AND id > $2 AND state IN ('pending', 'delayed') AND due_at > $3
			ORDER BY id
			LIMIT    $4`, []any{r.ID, after, db.opts.Now().UnixMilli(), portionRows}, func(s scanner) error {
			err := s.Scan(&after)
			ids = append(ids, after)
			return err
		}); err != nil {
			return fmt.Errorf("waiting streams of run %d: %w", r.ID, err)
		}
		if len(ids) == 0 {
			return nil
		}
		if err := db.update(ctx, func(ctx context.Context, t *tx) error {
			args := append([]any{t.ms, t.ms, t.ms}, ids...)
			if _, err := t.exec(ctx, `
				UPDATE streams
				SET    due_at = ?, updated_at = ?
				WHERE  state IN ('pending', 'delayed') AND due_at > ? AND id IN (`+holes(len(ids))+`)`, args...); err != nil {
				return fmt.Errorf("hurry streams of run %d: %w", r.ID, err)
			}
			return nudge(ctx, t, r.IntegrationID, r.Class, t.ms, store.PrioInteractive)
		}); err != nil {
			return err
		}
	}
}
