package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// CancelRun stops an open run, at once however many streams it has. Its streams are
// cancelled, the lane and the generation move on, so that what is under way writes
// nothing, and the lane is free and due. Of very many streams the rest is written in
// portions by Purge; they read as cancelled until then. It returns store.ErrConflict
// for a run that is over.
func (db *DB) CancelRun(ctx context.Context, id int64, reason string) (store.Run, error) {
	var r *run
	err := db.update(ctx, func(ctx context.Context, t *tx) (err error) {
		if r, err = loadRun(ctx, t, id); err != nil {
			return err
		}
		if r.State.Terminal() {
			return fmt.Errorf("run %d is %s: %w", id, r.State, store.ErrConflict)
		}
		if err := r.cancel(ctx, t, reason); err != nil {
			return err
		}
		return revoke(ctx, t, r.IntegrationID, r.Class)
	})
	if err != nil {
		return store.Run{}, fmt.Errorf("cancel run %d: %w", id, err)
	}
	return r.Run, nil
}

// cancelRuns cancels the open runs of an integration.
func cancelRuns(ctx context.Context, t *tx, integrationID int64, class, reason string) error {
	return cancelRunsIn(ctx, t, integrationID, class, reason, "")
}

// cancelRunsIn is cancelRuns for those that the condition selects.
func cancelRunsIn(ctx context.Context, t *tx, integrationID int64, class, reason, condition string) error {
	var ids []int64
	err := t.each(ctx, `
		SELECT id
		FROM   runs
		WHERE  integration_id = $1 AND class = $2 AND state IN ('pending', 'processing', 'delayed')`+condition,
		[]any{integrationID, class}, func(s scanner) error {
			var id int64
			err := s.Scan(&id)
			ids = append(ids, id)
			return err
		})
	if err != nil {
		return fmt.Errorf("open runs of integration %d: %w", integrationID, err)
	}
	for _, id := range ids {
		r, err := loadRun(ctx, t, id)
		if err != nil {
			return err
		}
		if err := r.cancel(ctx, t, reason); err != nil {
			return err
		}
	}
	return nil
}

// cancelAtOnce is how many streams, and cursors that wait aside, are written when a
// run is cancelled; purgeCancelled does the others.
const cancelAtOnce = 500

func (r *run) cancel(ctx context.Context, t *tx, reason string) error {
	for _, query := range ofCancelled() {
		n, err := t.exec(ctx, query, r.ID, cancelAtOnce, t.ms)
		if err != nil {
			return fmt.Errorf("cancel run %d: %w", r.ID, err)
		}
		r.cancelling = r.cancelling || n == cancelAtOnce
	}
	if r.cancelling {
		if _, err := t.exec(ctx, "INSERT INTO cancelling_runs (run_id) VALUES ($1)", r.ID); err != nil {
			return fmt.Errorf("cancel run %d: %w", r.ID, err)
		}
	}
	if err := r.cancelBusy(ctx, t); err != nil {
		return err
	}
	r.Failure = &store.Failure{Point: "cancel", Class: "cancelled", Code: "cancelled", Message: reason, At: fromMillis(t.ms)}
	return r.end(ctx, t, store.RunCancelled)
}

// ofCancelled are the statements that write, up to $2 rows at a time, what waits of a
// run that is cancelled at $3.
func ofCancelled() []string { return []string{cancelWaitingQuery, forgetAsideQuery} }

const (
	cancelWaitingQuery = `
	UPDATE streams
	SET    state = 'cancelled', failure = NULL, updated_at = $3
	WHERE  id IN (SELECT id FROM streams INDEXED BY streams_due WHERE run_id = $1 AND state IN ('pending', 'delayed') LIMIT $2)`
	forgetAsideQuery = `
	UPDATE cursors
	SET    next = NULL, next_run = NULL, updated_at = $3
	WHERE  rowid IN (SELECT rowid FROM cursors WHERE next_run = $1 LIMIT $2)`
)

// cancelStreams cancels what is not done of a run that may be continued: all of it in
// one transaction, since its watermarks depend on which connectors have none left, and
// since the run may be continued at once. It is bounded by store.MaxStreamsPerRun
// alone: 100,000 streams hold up the writer for one to three seconds.
func (r *run) cancelStreams(ctx context.Context, t *tx) error {
	if _, err := t.exec(ctx, `
		UPDATE streams
		SET    state = 'cancelled', failure = NULL, updated_at = $2
		WHERE  run_id = $1 AND state IN ('pending', 'delayed')`, r.ID, t.ms); err != nil {
		return fmt.Errorf("cancel streams of run %d: %w", r.ID, err)
	}
	return r.cancelBusy(ctx, t)
}

// cancelBusy cancels the streams that are worked on, as many as calls are under way,
// and counts those that wait as cancelled too.
func (r *run) cancelBusy(ctx context.Context, t *tx) error {
	if _, err := t.exec(ctx, `
		UPDATE streams
		SET    state = 'cancelled', failure = NULL, updated_at = $2
		WHERE  run_id = $1 AND state = 'processing'`, r.ID, t.ms); err != nil {
		return fmt.Errorf("cancel streams of run %d: %w", r.ID, err)
	}
	if err := endProbes(ctx, t, r.IntegrationID); err != nil {
		return err
	}
	n := &r.Streams
	n.Cancelled += n.Pending + n.Processing + n.Delayed
	n.Pending, n.Processing, n.Delayed = 0, 0, 0
	return nil
}

// purgeCancelled writes a portion of what runs have that were cancelled with very
// many streams. It may be interrupted anywhere: to readers nothing changes.
func (db *DB) purgeCancelled(ctx context.Context, _ store.Retention) (bool, error) {
	if found, err := db.any(ctx, cancellingQuery); err != nil || !found {
		return false, err
	}
	return db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
		var id int64
		if err := t.each(ctx, cancellingQuery, nil, func(s scanner) error {
			return s.Scan(&id)
		}); err != nil || id == 0 {
			return 0, err
		}
		rows, err := cancelWaiting(ctx, t, id, n)
		if err == nil && rows < int64(n) {
			rows, err = t.exec(ctx, forgetAsideQuery, id, n, t.ms)
		}
		if err != nil || rows == int64(n) {
			return rows, err
		}
		return int64(n), cancelled(ctx, t, id) // and there may be another
	})
}

const cancellingQuery = `
	SELECT   c.run_id
	FROM     cancelling_runs c JOIN runs r ON r.id = c.run_id
	WHERE    r.state = 'cancelled'
	ORDER BY c.run_id
	LIMIT    1`

// cancelWaiting cancels up to n streams of a run and counts them for their
// connectors.
func cancelWaiting(ctx context.Context, t *tx, runID int64, n int) (rows int64, err error) {
	counts := map[string]int64{}
	if err := t.change(ctx, cancelWaitingQuery+" RETURNING connector, type", []any{runID, n, t.ms}, func(s scanner) error {
		var (
			connector string
			typ       store.StreamType
		)
		err := s.Scan(&connector, &typ)
		rows++
		if !typ.System() {
			counts[connector]++
		}
		return err
	}); err != nil {
		return 0, fmt.Errorf("cancel streams of run %d: %w", runID, err)
	}
	for connector, n := range counts {
		if _, err := t.exec(ctx, "UPDATE connector_statuses SET n_cancelled = n_cancelled + $3 WHERE run_id = $1 AND connector = $2",
			runID, connector, n); err != nil {
			return 0, fmt.Errorf("count for connector %s of run %d: %w", connector, runID, err)
		}
	}
	return rows, nil
}

// cancelled ends the cancelling of a run: it is known now which of its connectors had
// nothing left to do.
func cancelled(ctx context.Context, t *tx, runID int64) error {
	if _, err := t.exec(ctx, "DELETE FROM cancelling_runs WHERE run_id = $1", runID); err != nil {
		return fmt.Errorf("cancel run %d: %w", runID, err)
	}
	r, err := loadRun(ctx, t, runID)
	if err != nil {
		return err
	}
	parts, err := statusesOf(ctx, t.each, runID)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Code == store.ConnectorCancelled && p.Cancelled == 0 {
			if p.Code = r.codeOf(p, trouble{failed: p.Failed}); p.Code == store.ConnectorCompleted {
				p.Message = ""
			}
		}
	}
	return r.closeStatuses(ctx, t, parts)
}
