package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// DeleteIntegration takes an integration and what it had away, for good (K22). In
// one small transaction it is hidden, its secrets are destroyed, its lane is taken
// away and its open runs leave; its records and the rest follow in portions of
// Purge, which may be interrupted anywhere. It returns store.ErrConflict for one
// that a file declares, and store.ErrNotFound for one that is deleted already.
func (db *DB) DeleteIntegration(ctx context.Context, id int64) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		i, err := integrationByID(ctx, t, id)
		if err != nil {
			return err
		}
		if i.RemovedAt.IsZero() && i.File != "" {
			return store.Hint(fmt.Errorf("integration %s is declared by %s: %w", i.FullName(), i.File, store.ErrConflict),
				"remove it from the file first")
		}
		if i.Reason == deletedReason {
			return store.ErrNotFound
		}
		return deleteIntegration(ctx, t, i)
	})
	if err != nil {
		return fmt.Errorf("delete integration %d: %w", id, err)
	}
	return nil
}

// deletedReason tells an integration of which nothing is kept from one that may
// come back.
const deletedReason = "deleted"

func deleteIntegration(ctx context.Context, t *tx, i store.Integration) error {
	if err := revoke(ctx, t, i.ID, store.ClassPull); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `
		UPDATE integrations
		SET    enabled = 0, state = 'disabled', reason = $3, next_check_at = NULL, finishing = 0, settings = NULL, settings_sum = NULL, patch = NULL,
		       removed_at = coalesce(removed_at, $2), keep_until = $2, updated_at = $2
		WHERE  id = $1`, i.ID, t.ms, deletedReason); err != nil {
		return fmt.Errorf("hide integration: %w", err)
	}
	if err := destroySecrets(ctx, t, i); err != nil {
		return err
	}
	if _, err := dropRuns(ctx, t, `
		SELECT id
		FROM   runs
		WHERE  integration_id = $1 AND state IN ('pending', 'processing', 'delayed')`, i.ID); err != nil {
		return err
	}
	if err := reschedule(ctx, t, i.ID); err != nil {
		return err
	}
	return addEvent(ctx, t, "integration.deleted", i.ID, 0, map[string]any{"name": i.FullName()})
}

// purgeRemoved removes what the integrations had that were deleted, or left their
// file so long ago that nothing of them is kept. Their records are deleted like any
// other, so that those who follow the feed learn of it; the integration itself goes
// with the last trace of them.
func (db *DB) purgeRemoved(ctx context.Context, _ store.Retention) (bool, error) {
	var all []store.Integration
	err := db.list(ctx, `SELECT`+integrationColumns+`
		WHERE    i.removed_at IS NOT NULL AND i.keep_until <= $1
		ORDER BY i.id`, []any{db.opts.Now().UnixMilli()}, func(s scanner) error {
		i, err := scanIntegration(s)
		all = append(all, i)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("removed integrations: %w", err)
	}
	for _, i := range all {
		more, err := db.purgeIntegration(ctx, i)
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}

// ofIntegration are the tables of which the rows of an integration go, each with a
// key by which a few can be named.
func ofIntegration() []string {
	return []string{"overlays", "cursors", "watermarks", "kept_cursors", "kept_watermarks", "connector_statuses", "sweeps", "circuits", "member_splits", "shapes"}
}

// livingRecordQuery finds a record of an integration that is not deleted. What is
// deleted goes to the end of the feed: the first one tells.
const livingRecordQuery = "SELECT id FROM records WHERE integration_id = $1 AND deleted = 0 ORDER BY pos LIMIT 1"

func (db *DB) purgeIntegration(ctx context.Context, i store.Integration) (more bool, err error) {
	if i.Reason != deletedReason {
		if err := db.chore(ctx, func(ctx context.Context, t *tx) error { return deleteIntegration(ctx, t, i) }); err != nil {
			return false, fmt.Errorf("remove integration %d: %w", i.ID, err)
		}
	}
	steps := []struct {
		find string
		del  remover
	}{
		{"SELECT id FROM runs WHERE integration_id = $1 LIMIT 1", func(ctx context.Context, t *tx, n int) (int64, error) {
			return dropRuns(ctx, t, "SELECT id FROM runs WHERE integration_id = $1 ORDER BY id LIMIT $2", i.ID, n)
		}},
		{livingRecordQuery, func(ctx context.Context, t *tx, n int) (int64, error) {
			return deleteRecords(ctx, t, i.ID, n)
		}},
	}
	for _, table := range ofIntegration() {
		steps = append(steps, struct {
			find string
			del  remover
		}{"SELECT 1 FROM " + table + " WHERE integration_id = $1 LIMIT 1", func(ctx context.Context, t *tx, n int) (int64, error) {
			return t.exec(ctx, "DELETE FROM "+table+" WHERE rowid IN (SELECT rowid FROM "+table+" WHERE integration_id = $1 LIMIT $2)", i.ID, n)
		}})
	}
	for _, step := range steps {
		found, err := db.any(ctx, step.find, i.ID)
		if err == nil && found {
			more, err = db.portion(ctx, step.del)
		}
		if err != nil || more {
			return more, err
		}
	}
	return db.dropIntegration(ctx, i)
}

// deleteRecords deletes up to n records of an integration.
func deleteRecords(ctx context.Context, t *tx, integrationID int64, n int) (int64, error) {
	var gone []store.Record
	err := t.each(ctx, `
		SELECT   integration_id, kind, external_id, parent_kind, parent_id, version, occurred_at, deleted, NULL, pos, id
		FROM     records
		WHERE    integration_id = $1 AND deleted = 0
		ORDER BY pos
		LIMIT    $2`, []any{integrationID, n}, func(s scanner) error {
		r, err := scanRecord(s)
		r.Deleted = true
		gone = append(gone, r)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("records of integration %d: %w", integrationID, err)
	}
	rows, err := prepareRecords(gone)
	if err != nil {
		return 0, err
	}
	_, err = rows.write(ctx, t, integrationID)
	return int64(len(gone)), err
}
