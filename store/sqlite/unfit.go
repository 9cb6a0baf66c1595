package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// ParkUnfit parks integrations that a version of their plugin does not take, each with
// the reason, until ResumeFit (K18). Those that do not work anyway are left alone. It
// returns the full names of what changed.
func (db *DB) ParkUnfit(ctx context.Context, why map[int64]string) (parked []string, err error) {
	// As many as there are integrations of one plugin, each with its event, as with
	// ParkIntegrations: none of them may begin a run on the version that comes.
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		parked = nil
		for id, reason := range why {
			i, err := integrationByID(ctx, t, id)
			if err != nil {
				return err
			}
			if reason == "" || i.State == store.IntegrationDisabled || i.State == store.IntegrationParked && i.Unfit == "" {
				continue
			}
			if _, err := t.exec(ctx, "UPDATE integrations SET unfit = $2 WHERE id = $1", id, reason); err != nil {
				return err
			}
			if i.State != store.IntegrationParked || i.Reason != reason {
				parked = append(parked, i.FullName())
				if err := setIntegrationState(ctx, t, id, store.IntegrationParked, reason); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("park unfit integrations: %w", err)
	}
	return parked, nil
}

// ResumeFit resumes integrations that were parked as unfit and are not. It returns their
// full names.
func (db *DB) ResumeFit(ctx context.Context, ids []int64) (resumed []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		resumed = nil
		for _, id := range ids {
			i, err := integrationByID(ctx, t, id)
			if err != nil {
				return err
			}
			if i.Unfit == "" {
				continue
			}
			if _, err := t.exec(ctx, "UPDATE integrations SET unfit = '' WHERE id = $1", id); err != nil {
				return err
			}
			if i.State != store.IntegrationParked {
				continue // disabled since
			}
			resumed = append(resumed, i.FullName())
			if err := setIntegrationState(ctx, t, id, store.IntegrationActive, ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("resume integrations: %w", err)
	}
	return resumed, nil
}
