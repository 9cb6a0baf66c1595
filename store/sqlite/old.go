package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store"
)

// EndOldOnboardings ends in error the onboardings that are older than their
// integration allows, n at most, and returns them (C59). The age counts from the
// start of the run, or from when it was last continued by hand. What is under way
// of them writes nothing more; what is left can be continued.
func (db *DB) EndOldOnboardings(ctx context.Context, n int) (ended []store.Run, err error) {
	// Mostly there is none: to see that needs no turn of the writer.
	if ids, err := oldOnboardings(ctx, db.list, db.opts.Now(), 1); err != nil || len(ids) == 0 {
		return nil, err
	}
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		ended = nil
		ids, err := oldOnboardings(ctx, t.each, t.now, n)
		if err != nil {
			return err
		}
		for _, id := range ids {
			r, err := loadRun(ctx, t, id)
			if err != nil {
				return err
			}
			if err := r.endOld(ctx, t); err != nil {
				return err
			}
			ended = append(ended, r.Run)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("end old onboardings: %w", err)
	}
	return ended, nil
}

func oldOnboardings(ctx context.Context, list lister, now time.Time, n int) (ids []int64, err error) {
	err = list(ctx, oldOnboardingsQuery, []any{now.UnixMilli(), n}, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("old onboardings: %w", err)
	}
	return ids, nil
}

// One whose integration is parked or disabled ages as well: nobody else ends it.
const oldOnboardingsQuery = `
	SELECT r.id
	FROM   runs r JOIN integrations i ON i.id = r.integration_id
	WHERE  r.state IN ('pending', 'processing', 'delayed') AND r.kind = 'onboarding' AND i.onboarding_max_age > 0
	  AND  coalesce(r.aged_from, r.started_at) <= $1 - i.onboarding_max_age
	LIMIT  $2 + 0`

// endOld gives the run up. Its lane is taken away.
func (r *run) endOld(ctx context.Context, t *tx) error {
	var age int64
	if err := t.get(ctx, "SELECT onboarding_max_age FROM integrations WHERE id = $1", []any{r.IntegrationID}, &age); err != nil {
		return fmt.Errorf("integration %d: %w", r.IntegrationID, notFound(err))
	}
	left := r.Streams.Pending + r.Streams.Processing + r.Streams.Delayed
	if err := r.abort(ctx, t, &store.Failure{
		Point: "run", Class: "system", Code: "onboarding_too_old", At: t.now.UTC(),
		Message: fmt.Sprintf("the onboarding is older than onboarding_max_age (%v); %d streams are left (hint: jackfield run continue %d)",
			time.Duration(age)*time.Millisecond, left, r.ID),
	}); err != nil {
		return err
	}
	return revoke(ctx, t, r.IntegrationID, r.Class)
}
