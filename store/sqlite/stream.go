package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// streamColumns are those of streams that are read, streamValues those of one that is
// claimed, whose run is open: nothing of it is being cancelled.
const (
	streamColumns = streamHead + streamState + streamMiddle + `
	CASE WHEN ` + beingCancelled + ` THEN NULL ELSE failure END` + streamTail + `
	FROM streams s`
	streamValues = streamHead + "state" + streamMiddle + "failure" + streamTail

	// What waits of a run that is being cancelled is cancelled.
	beingCancelled = "s.state IN ('pending', 'delayed') AND EXISTS (SELECT 1 FROM cancelling_runs c WHERE c.run_id = s.run_id)"
	streamState    = "CASE WHEN " + beingCancelled + " THEN 'cancelled' ELSE s.state END"

	streamHead = `
	id, run_id, integration_id, coalesce(parent_id, 0), type, connector, ident, partition, limit_key, `
	streamMiddle = `,
	seq, claim, pages, attempts, interrupts, crashes, due_at, data, page, checkpoint, began, last_record, last_record_at,
	`
	streamTail = `, created_at, updated_at, processed_at, read, added, updated, deleted, unchanged, stale, warnings`
)

func scanStream(s scanner) (store.Stream, error) {
	var (
		st                    store.Stream
		due, created, updated int64
		lastRecord, failure   nullString
		lastAt, processed     moment
		n                     = &st.Stats
	)
	err := s.Scan(&st.ID, &st.RunID, &st.IntegrationID, &st.ParentID, &st.Type, &st.Connector, &st.Ident, &st.Partition, &st.LimitKey, &st.State,
		&st.Seq, &st.Claim, &st.Pages, &st.Attempts, &st.Interrupts, &st.Crashes, &due, &st.Data, &st.Page, &st.Checkpoint, &st.Began, &lastRecord, &lastAt,
		&failure, &created, &updated, &processed, &n.Read, &n.Added, &n.Updated, &n.Deleted, &n.Unchanged, &n.Stale, &n.Warnings)
	if err != nil {
		return store.Stream{}, err
	}
	if st.Type.System() {
		st.Connector = ""
	}
	st.DueAt, st.CreatedAt, st.UpdatedAt = fromMillis(due), fromMillis(created), fromMillis(updated)
	st.LastRecord, st.LastRecordAt, st.ProcessedAt = lastRecord.String, lastAt.time(), processed.time()
	st.Failure, err = decodeFailure(failure)
	return st, err
}

// Streams returns the streams that f selects, in the order they were made. A run
// or an integration has to be named.
func (db *DB) Streams(ctx context.Context, f store.StreamFilter) ([]store.Stream, error) {
	var out []store.Stream
	of := "s.run_id = $2 AND ($3 = 0 OR s.integration_id = $3)"
	switch {
	case f.RunID == 0 && f.IntegrationID == 0:
		return nil, fmt.Errorf("list streams of no run: %w", store.ErrInvalid)
	case f.RunID == 0:
		of = "$2 = 0 AND s.run_id IN (SELECT id FROM runs WHERE integration_id = $3)"
	}
	err := db.list(ctx, `SELECT`+streamColumns+`
		WHERE    s.id > $1 AND `+of+`
		  AND    ($4 = '' OR s.connector = $4) AND ($5 = '' OR `+streamState+` = $5) AND ($6 = 1 OR s.type IN ('root', 'child'))
		ORDER BY s.id
		LIMIT    $7`, []any{
		f.After, f.RunID, f.IntegrationID, f.Connector, string(f.State), flag(f.System), limit(f.Limit, 100),
	}, func(s scanner) error {
		st, err := scanStream(s)
		out = append(out, st)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	return out, nil
}

// Stream returns a stream.
func (db *DB) Stream(ctx context.Context, id int64) (st store.Stream, err error) {
	err = db.get(ctx, `SELECT`+streamColumns+` WHERE s.id = $1`, []any{id}, func(s scanner) (err error) {
		st, err = scanStream(s)
		return err
	})
	if err != nil {
		return store.Stream{}, fmt.Errorf("stream %d: %w", id, err)
	}
	return st, nil
}

func loadStream(ctx context.Context, t *tx, id int64) (store.Stream, error) {
	row, err := t.row(ctx, `SELECT`+streamColumns+` WHERE s.id = $1`, id)
	if err != nil {
		return store.Stream{}, err
	}
	st, err := scanStream(row)
	if err != nil {
		return store.Stream{}, fmt.Errorf("stream %d: %w", id, notFound(err))
	}
	return st, nil
}

// SkipStream gives a stream up that waits or ended in error. Its run may be over
// by that; one that was over stays as it ended. It returns store.ErrConflict for
// a stream in another state and for the run's own calls.
func (db *DB) SkipStream(ctx context.Context, id int64, reason string) (st store.Stream, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		if st, err = loadStream(ctx, t, id); err != nil {
			return err
		}
		from := st.State
		if st.Type.System() || from != store.StreamPending && from != store.StreamDelayed && from != store.StreamError {
			return fmt.Errorf("stream %d (%s) is %s: %w", id, st.Type, from, store.ErrConflict)
		}
		r, err := loadRun(ctx, t, st.RunID)
		if err != nil {
			return err
		}
		failure, err := encodeFailure(&store.Failure{
			Point: "skip", Class: "cancelled", Code: "skipped", Message: reason, Attempt: st.Attempts, At: fromMillis(t.ms),
		})
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `
			UPDATE streams
			SET    state = 'cancelled', failure = $2, updated_at = $3
			WHERE  id = $1`, id, failure, t.ms); err != nil {
			return err
		}
		r.move(st.Type, from, store.StreamCancelled)
		if err := r.save(ctx, t); err != nil {
			return err
		}
		if err := r.settle(ctx, t); err != nil {
			return err
		}
		if st, err = loadStream(ctx, t, id); err != nil {
			return err
		}
		return reschedule(ctx, t, r.IntegrationID)
	})
	if err != nil {
		return store.Stream{}, fmt.Errorf("skip stream %d: %w", id, err)
	}
	return st, nil
}

// Warnings returns the first warnings of a run; all that are kept if n is zero.
func (db *DB) Warnings(ctx context.Context, runID int64, n int) ([]store.Warning, error) {
	var out []store.Warning
	err := db.list(ctx, `
		SELECT   record_id, message, at
		FROM     warnings
		WHERE    run_id = $1
		ORDER BY id
		LIMIT    $2`, []any{runID, limit(n, store.MaxWarningsKept)}, func(s scanner) error {
		var (
			w  store.Warning
			at int64
		)
		err := s.Scan(&w.RecordID, &w.Message, &at)
		w.At = fromMillis(at)
		out = append(out, w)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list warnings of run %d: %w", runID, err)
	}
	return out, nil
}
