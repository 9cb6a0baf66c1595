package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// RequestRun asks for a run. An ordinary one (without ParamsSum) is answered by
// the one that is open, and so is one with parameters by the open one with the
// same; created is false then. A schedule is answered by any open run. Replace
// cancels the open runs instead. The lane is made due. It returns
// store.ErrConflict for an integration that may not run.
func (db *DB) RequestRun(ctx context.Context, req store.RunRequest) (store.Run, bool, error) {
	if req.Class == "" {
		req.Class = store.ClassPull
	}
	var (
		r       *run
		created bool
	)
	err := db.update(ctx, func(ctx context.Context, t *tx) (err error) {
		if r, created, err = request(ctx, t, req); err != nil {
			return err
		}
		switch {
		case !req.Scheduled:
			return nudge(ctx, t, req.IntegrationID, req.Class, t.ms, prioOf(req.Kind))
		case created:
			return makeDue(ctx, t, req.IntegrationID, req.Class)
		default:
			return nil
		}
	})
	if err != nil {
		return store.Run{}, false, fmt.Errorf("request run: %w", err)
	}
	return r.Run, created, nil
}

// request returns the run that answers req.
func request(ctx context.Context, t *tx, req store.RunRequest) (r *run, created bool, err error) {
	i, err := integrationByID(ctx, t, req.IntegrationID)
	if err != nil {
		return nil, false, err
	}
	if err := mayRun(i, req); err != nil {
		return nil, false, err
	}
	if req.Replace {
		if err := cancelRuns(ctx, t, i.ID, req.Class, "replaced by a new run"); err != nil {
			return nil, false, err
		}
		if err := revoke(ctx, t, i.ID, req.Class); err != nil {
			return nil, false, err
		}
	}
	id, err := openRun(ctx, t, req)
	if err != nil {
		return nil, false, err
	}
	if id == 0 {
		if id, err = insertRun(ctx, t, req, i); err != nil {
			return nil, false, err
		}
		created = true
	}
	if err := keepSchedule(ctx, t, req, created); err != nil {
		return nil, false, err
	}
	r, err = loadRun(ctx, t, id)
	return r, created, err
}

// keepSchedule notes that the schedule has asked, and when it asks again. A run that
// is open answers a tick, but not the only one that there will be.
func keepSchedule(ctx context.Context, t *tx, req store.RunRequest, created bool) (err error) {
	switch {
	case !req.Scheduled:
	case created:
		_, err = t.exec(ctx, "UPDATE integrations SET last_check_at = $3, next_check_at = $2, next_check_from = $3 WHERE id = $1",
			req.IntegrationID, millis(req.NextCheckAt), t.ms)
	case !req.NextCheckAt.IsZero():
		_, err = t.exec(ctx, "UPDATE integrations SET next_check_at = $2, next_check_from = $3 WHERE id = $1",
			req.IntegrationID, millis(req.NextCheckAt), t.ms)
	}
	if err != nil {
		return fmt.Errorf("keep schedule: %w", err)
	}
	return nil
}

// makeDue makes the lane due for a run that its schedule has asked for; who holds
// it knows.
func makeDue(ctx context.Context, t *tx, integrationID int64, class string) error {
	return t.change(ctx, `
		UPDATE    lanes
		SET       wake_at = $3, wake_from = $3
		WHERE     integration_id = $1 AND class = $2 AND (wake_at IS NULL OR wake_at > $3)
		RETURNING owner IS NULL`, []any{integrationID, class, t.ms}, func(s scanner) error {
		var free bool
		err := s.Scan(&free)
		t.after.wake = t.after.wake || free
		return err
	})
}

// mayRun returns store.ErrConflict with the reason why the integration may not.
// A person may try one that needs to be reconnected; a schedule does not.
func mayRun(i store.Integration, req store.RunRequest) error {
	ok := i.State == store.IntegrationActive || i.State == store.IntegrationError ||
		i.State == store.IntegrationNeedsReconnect && !req.Scheduled
	if ok && len(i.Connectors) == 0 {
		return fmt.Errorf("integration %s has no connector to import: %w", i.FullName(), store.ErrConflict)
	}
	if ok {
		return nil
	}
	if i.Reason == "" {
		return fmt.Errorf("integration %s is %s: %w", i.FullName(), i.State, store.ErrConflict)
	}
	return fmt.Errorf("integration %s is %s (%s): %w", i.FullName(), i.State, i.Reason, store.ErrConflict)
}

// openRun returns the id of the open run that answers req, or 0.
func openRun(ctx context.Context, t *tx, req store.RunRequest) (id int64, err error) {
	err = t.each(ctx, `
		SELECT   id
		FROM     runs
		WHERE    integration_id = $1 AND class = $2 AND state IN ('pending', 'processing', 'delayed')
		  AND    (params_sum = $3 OR $4 = 1)
		ORDER BY params_sum <> $3, id
		LIMIT    1`, []any{req.IntegrationID, req.Class, req.ParamsSum, flag(req.Scheduled)}, func(s scanner) error {
		return s.Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("open run of integration %d: %w", req.IntegrationID, err)
	}
	return id, nil
}

func insertRun(ctx context.Context, t *tx, req store.RunRequest, i store.Integration) (id int64, err error) {
	names := req.Connectors
	if len(names) == 0 {
		names = i.Connectors
	}
	connectors, err := encodeList(names)
	if err != nil {
		return 0, err
	}
	var params any
	if len(req.Params) > 0 {
		if params, err = encode(req.Params); err != nil {
			return 0, err
		}
	}
	err = t.get(ctx, `
		INSERT INTO runs (integration_id, class, kind, state, connectors, params, params_sum, force, created_at, updated_at, accept_deletes)
		VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $8, $9)
		RETURNING id`, []any{i.ID, req.Class, string(req.Kind), connectors, params, req.ParamsSum, flag(req.Force), t.ms, flag(req.AcceptDeletes)}, &id)
	if err != nil {
		return 0, fmt.Errorf("add run: %w", conflict(err))
	}
	t.writes++
	t.touch(id)
	return id, nil
}
