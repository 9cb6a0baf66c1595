package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// StartRun is RequestRun, BeginRun and, if that is asked for, ClaimStreams of the
// run's first call, in one transaction under the lane's fence: most runs are checks
// that find little, and three transactions are the larger part of what they cost. A
// run that is open answers it, and begins if it has not; of that one nothing is
// claimed. It returns store.ErrStale if the lane is not the caller's any more, and
// what RequestRun and BeginRun return.
func (db *DB) StartRun(ctx context.Context, s store.RunStart) (store.RunStarted, error) {
	var out store.RunStarted
	req := s.Request
	req.IntegrationID, req.Class, req.Scheduled, req.Replace = s.Lane.IntegrationID, s.Lane.Class, true, false
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		out = store.RunStarted{}
		integrationID, class, err := heldFor(ctx, t, s.Lane.Ref())
		if err != nil {
			return err
		}
		if integrationID != req.IntegrationID || class != req.Class {
			return fmt.Errorf("lane %d: %w", s.Lane.ID, store.ErrStale)
		}
		r, created, err := request(ctx, t, req)
		if err != nil {
			return err
		}
		if created && (s.Lane.WakeAt.IsZero() || s.Lane.WakeAt.After(t.now)) {
			if err := makeDue(ctx, t, integrationID, class); err != nil {
				return err
			}
		}
		switch {
		case created:
			out.Streams, err = r.startNew(ctx, t, s)
		case r.State != store.RunProcessing:
			err = r.goOn(ctx, t, s.Begin)
		}
		if err == nil && !created {
			r.Preprocessed, err = preprocessed(ctx, t.each, r.ID)
		}
		out.Run = r.Run
		return err
	})
	if err != nil {
		return store.RunStarted{}, fmt.Errorf("start run: %w", err)
	}
	return out, nil
}

// startNew begins a run that is new, and claims its first call.
func (r *run) startNew(ctx context.Context, t *tx, s store.RunStart) (streams []store.Stream, err error) {
	if err := r.begin(ctx, t, s.Begin); err != nil {
		return nil, err
	}
	if s.Claim {
		if streams, err = r.claim(ctx, t, 1); err != nil {
			return nil, err
		}
	}
	return streams, r.save(ctx, t)
}
