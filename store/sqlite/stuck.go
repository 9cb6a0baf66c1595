package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// RedriveStuck helps on runs that have made no progress for the time idle although
// something of them is worked on or due: the lane is taken away from its holder,
// and what that was working on waits to be claimed again. It takes n runs at most
// and returns them. A run is told of by the event run.stuck, once however often it
// is helped on, and has StuckSince until something of it is applied again. One that waits for a retry, a rate limit, a sleep, another run or
// its integration is not stuck (C33).
func (db *DB) RedriveStuck(ctx context.Context, idle time.Duration, n int) (stuck []store.Run, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		stuck = nil
		var ids []int64
		if err := t.each(ctx, stuckQuery, []any{t.ms - idle.Milliseconds(), n}, func(s scanner) error {
			var id int64
			err := s.Scan(&id)
			ids = append(ids, id)
			return err
		}); err != nil {
			return err
		}
		for _, id := range ids {
			r, err := loadRun(ctx, t, id)
			if err != nil {
				return err
			}
			due, err := r.overdue(ctx, t, idle)
			if err != nil {
				return err
			}
			if !due {
				continue
			}
			if err := r.redrive(ctx, t, idle); err != nil {
				return err
			}
			if r.StuckSince.IsZero() {
				r.StuckSince = r.UpdatedAt
			}
			stuck = append(stuck, r.Run)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("help stuck runs: %w", err)
	}
	return stuck, nil
}

// Those that are under way are few; a run that waits for a time is delayed.
const stuckQuery = `
	SELECT   r.id
	FROM     runs r JOIN integrations i ON i.id = r.integration_id
	WHERE    r.state = 'processing' AND r.updated_at <= $1 AND (i.state IN ('active', 'error', 'needs-reconnect') OR i.finishing = 1)
	ORDER BY r.id
	LIMIT    $2 + 0`

// overdue reports whether a stream of the run is held, or could have been claimed
// all the time.
func (r *run) overdue(ctx context.Context, t *tx, idle time.Duration) (bool, error) {
	held := false
	err := t.each(ctx, "SELECT 1 FROM streams WHERE run_id = $1 AND state = 'processing' LIMIT 1", []any{r.ID}, func(scanner) error {
		held = true
		return nil
	})
	if err != nil || held {
		return held, err
	}
	at, ok, err := nextDue(ctx, t.each, r.ID, r.phase, r.Plugin, t.ms)
	return ok && at <= t.ms-idle.Milliseconds(), err
}

// redrive takes the run's lane away. The claims that it ends had no answer.
func (r *run) redrive(ctx context.Context, t *tx, idle time.Duration) error {
	var laneID int64
	if err := t.get(ctx, "SELECT id FROM lanes WHERE integration_id = $1 AND class = $2", []any{r.IntegrationID, r.Class}, &laneID); err != nil {
		return fmt.Errorf("lane of run %d: %w", r.ID, notFound(err))
	}
	if err := freeStreams(ctx, t, laneID, unanswered); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE runs SET stuck_since = coalesce(stuck_since, $3), updated_at = $2 WHERE id = $1", r.ID, t.ms, r.UpdatedAt.UnixMilli()); err != nil {
		return fmt.Errorf("mark run %d: %w", r.ID, err)
	}
	if !r.stuck {
		if err := addEvent(ctx, t, "run.stuck", r.IntegrationID, r.ID, map[string]any{
			"since": r.UpdatedAt, "idle": idle.String(), "processing": r.Streams.Processing, "pending": r.Streams.Pending,
		}); err != nil {
			return err
		}
	}
	return revoke(ctx, t, r.IntegrationID, r.Class)
}
