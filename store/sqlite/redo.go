package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// RetryStream lets a stream that ended in error wait for another try, with its
// attempts anew. Its run, if that is over, is pending again. It returns
// store.ErrConflict for a stream in another state, or if another run has taken
// the place of its run.
func (db *DB) RetryStream(ctx context.Context, id int64) (store.Stream, error) {
	st, err := db.redo(ctx, id, func(s store.StreamState) bool { return s == store.StreamError })
	if err != nil {
		return store.Stream{}, fmt.Errorf("retry stream %d: %w", id, err)
	}
	return st, nil
}

// ProcessStream has a stream worked on now: one that failed as RetryStream does, one
// that waits without its wait. With force one that is processed or was skipped is
// worked on from its first page again, from the cursor that its partition has; its
// run is pending again. It returns store.ErrConflict for one that is being worked
// on, for one that is done without force, and as RetryStream does.
func (db *DB) ProcessStream(ctx context.Context, id int64, force bool) (store.Stream, error) {
	st, err := db.redo(ctx, id, func(s store.StreamState) bool {
		switch s {
		case store.StreamProcessing:
			return false
		case store.StreamProcessed, store.StreamCancelled:
			return force
		default:
			return true
		}
	})
	if err != nil {
		return store.Stream{}, fmt.Errorf("process stream %d: %w", id, err)
	}
	return st, nil
}

// redo has a stream worked on again whose state is one that may.
func (db *DB) redo(ctx context.Context, id int64, may func(store.StreamState) bool) (st store.Stream, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		if st, err = loadStream(ctx, t, id); err != nil {
			return err
		}
		done := st.State == store.StreamProcessed || st.State == store.StreamCancelled
		if !may(st.State) || done && st.Type.System() {
			return fmt.Errorf("stream %d (%s) is %s: %w", id, st.Type, st.State, store.ErrConflict)
		}
		r, err := loadRun(ctx, t, st.RunID)
		if err != nil {
			return err
		}
		i, err := integrationByID(ctx, t, r.IntegrationID)
		if err != nil {
			return err
		}
		if err := mayRun(i, store.RunRequest{}); err != nil {
			return err
		}
		over := r.State.Terminal()
		if over {
			if err := r.mayTakeBack(ctx, t, done); err != nil {
				return err
			}
		}
		if err := r.wait(ctx, t, st); err != nil {
			return err
		}
		if over {
			err = r.pend(ctx, t)
		} else {
			err = r.save(ctx, t)
		}
		if err != nil {
			return err
		}
		if st, err = loadStream(ctx, t, id); err != nil {
			return err
		}
		return nudge(ctx, t, r.IntegrationID, r.Class, t.ms, prioOf(store.RunManual))
	})
	return st, err
}

// mayTakeBack returns store.ErrConflict if a run that is over stays so: because it
// was cancelled, because it is processed and nothing was forced, or because another
// one has taken its place.
func (r *run) mayTakeBack(ctx context.Context, t *tx, forced bool) error {
	if r.State == store.RunCancelled || r.State == store.RunProcessed && !forced {
		return fmt.Errorf("run %d is %s: %w", r.ID, r.State, store.ErrConflict)
	}
	return r.mayReopen(ctx, t)
}

// wait makes the stream wait for a claim that is due. One that was done starts at
// its first page.
func (r *run) wait(ctx context.Context, t *tx, st store.Stream) error {
	query := waitQuery
	if st.State == store.StreamProcessed || st.State == store.StreamCancelled {
		query = againQuery
	}
	var phase int
	if err := t.get(ctx, query, []any{st.ID, t.ms}, &phase); err != nil {
		return err
	}
	t.writes++
	r.move(st.Type, st.State, store.StreamPending)
	r.phase = min(r.phase, phase)
	if st.State != store.StreamProcessed {
		return nil
	}
	_, err := t.exec(ctx, `
		UPDATE connector_statuses
		SET    n_processed = n_processed - 1
		WHERE  run_id = $1 AND connector = $2`, r.ID, st.Connector)
	if err != nil {
		return fmt.Errorf("count for connector %s of run %d: %w", st.Connector, r.ID, err)
	}
	return nil
}

const (
	waitSet = `
	UPDATE    streams
	SET       state = 'pending', attempts = 0, interrupts = 0, crashes = 0, due_at = $2, updated_at = $2`
	waitWhere = `
	WHERE     id = $1
	RETURNING phase`

	waitQuery  = waitSet + waitWhere
	againQuery = waitSet + `, page = NULL, page_history = NULL, checkpoint = NULL, began = NULL, failure = NULL, processed_at = NULL` + waitWhere
)

// FailedStreams returns the ids of streams that ended in error, oldest first, of the
// newest runs of the integrations of a plugin, or of one: what a newer run has taken
// over is left out. It selects by f as documented there.
func (db *DB) FailedStreams(ctx context.Context, f store.FailedFilter) (ids []int64, err error) {
	err = db.list(ctx, `
		SELECT   s.id
		FROM     integrations i
		JOIN     runs r ON r.integration_id = i.id
		JOIN     streams s ON s.run_id = r.id
		WHERE    ($1 = '' OR i.plugin = $1) AND ($2 = 0 OR i.id = $2) AND i.removed_at IS NULL AND r.n_error > 0
		  AND    NOT EXISTS (
		           SELECT 1
		           FROM   runs n
		           WHERE  n.integration_id = r.integration_id AND n.class = r.class AND n.params_sum = r.params_sum
		             AND  n.id > r.id AND n.state <> 'cancelled')
		  AND    s.state = 'error' AND s.type IN ('root', 'child') AND s.id > $3
		ORDER BY s.id
		LIMIT    $4`, []any{f.Plugin, f.IntegrationID, f.After, limit(f.Limit, 100)}, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list failed streams: %w", err)
	}
	return ids, nil
}

// OpenStreams counts the streams that wait or are worked on, of the integrations of
// a plugin, or of one.
func (db *DB) OpenStreams(ctx context.Context, plugin string, integrationID int64) (n int64, err error) {
	err = db.get(ctx, `
		SELECT coalesce(sum(r.n_pending + r.n_processing + r.n_delayed), 0)
		FROM   runs r JOIN integrations i ON i.id = r.integration_id
		WHERE  r.state IN ('pending', 'processing', 'delayed') AND ($1 = '' OR i.plugin = $1) AND ($2 = 0 OR i.id = $2)`,
		[]any{plugin, integrationID}, func(s scanner) error { return s.Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("count open streams: %w", err)
	}
	return n, nil
}
