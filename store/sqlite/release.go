package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite/internal/failpoint"
)

// ReleaseLane gives the lane free and says when it is due again: when the next of
// its streams is, or its schedule, and now if somebody nudged it since l was read.
// One that is due already goes to the end of its class (K13). What the holder left
// in the middle waits to be claimed again, and that costs it nothing. It returns
// store.ErrStale, with nothing written, if the lane is not the caller's any more.
func (db *DB) ReleaseLane(ctx context.Context, l store.Lane) error {
	err := db.always(ctx, func(ctx context.Context, t *tx) error {
		if err := holds(ctx, t, l.Ref()); err != nil {
			return err
		}
		_, err := release(ctx, t, l)
		return err
	})
	if err != nil {
		return fmt.Errorf("release lane %d: %w", l.ID, err)
	}
	return nil
}

// release is ReleaseLane for who holds it, and says when the lane is due.
func release(ctx context.Context, t *tx, l store.Lane) (due moment, err error) {
	open, err := candidates(ctx, t.each, l.IntegrationID, l.Class)
	if err != nil {
		return due, err
	}
	for _, c := range open {
		if err := freeRun(ctx, t, c.id, orderly); err != nil {
			return due, err
		}
	}
	if err := returnQuota(ctx, t, l.ID); err != nil {
		return due, err
	}
	failpoint.Hit("release")
	wake, prio, err := wakeAmong(ctx, t, l.IntegrationID, open)
	if err != nil {
		return due, err
	}
	err = t.change(ctx, `
		UPDATE    lanes
		SET       owner = NULL, lease_until = NULL, prio = $3, wake_from = $5,
		          wake_at = CASE WHEN $2 < $5 OR nudges <> $4 THEN $5 ELSE $2 END
		WHERE     id = $1
		RETURNING wake_at`, []any{l.ID, wake, prio, l.Nudges, t.ms}, func(s scanner) error { return s.Scan(&due) })
	t.after.wake = t.after.wake || due.come(t.ms) // who gives it back later looks for itself
	return due, err
}

// release gives the lane back with the end of its run, if that is asked for.
func (a *apply) release(ctx context.Context, t *tx, r *workRun) error {
	if a.seg.End == nil || a.seg.End.Release == nil || !r.State.Terminal() || t.work.others(r) {
		return nil
	}
	l := a.seg.End.Release
	if l.ID != a.seg.Lane.ID || l.IntegrationID != r.IntegrationID || t.work.lanes[l.ID].imported > 0 {
		return nil // not its own, or it has to count first what it took of its part
	}
	due, err := release(ctx, t, *l)
	if err != nil {
		return fmt.Errorf("release lane %d: %w", l.ID, err)
	}
	delete(t.work.lanes, l.ID)
	a.out.Released, a.out.LaneDue = true, due.time()
	return nil
}
