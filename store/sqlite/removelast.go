package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// dropIntegration removes the integration itself, once nothing is left of it, and
// with it what it shared with integrations of the same tenant, if none of those is
// there any more. What is many rows goes in portions before.
func (db *DB) dropIntegration(ctx context.Context, i store.Integration) (more bool, err error) {
	for _, query := range []string{
		"SELECT id FROM records WHERE integration_id = $1 LIMIT 1", // traces
		"SELECT id FROM streams WHERE run_id IN (SELECT run_id FROM leaving_runs) AND integration_id = $1 LIMIT 1",
	} {
		if left, err := db.any(ctx, query, i.ID); err != nil || left {
			return false, err
		}
	}
	if more, err := db.dropShared(ctx, i); err != nil || more {
		return more, err
	}
	return false, db.chore(ctx, func(ctx context.Context, t *tx) error { return dropRows(ctx, t, i) })
}

// dropShared removes a portion of what a tenant without any other integration has:
// members and the log of what made them, and what plugins keep for the tenant. Its
// name alone stays, until the tenant is deleted.
func (db *DB) dropShared(ctx context.Context, i store.Integration) (more bool, err error) {
	for _, table := range ofTenant() {
		some := "SELECT rowid FROM " + table + " WHERE tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM integrations WHERE tenant_id = $1 AND id <> $2) LIMIT "
		found, err := db.any(ctx, some+"1", i.TenantID, i.ID)
		if err == nil && found {
			more, err = db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
				return t.exec(ctx, "DELETE FROM "+table+" WHERE rowid IN ("+some+"$3)", i.TenantID, i.ID, n)
			})
		}
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}

// dropRows removes the last rows of an integration, each of them one of a few. What
// was cached goes once more: a call that was under way may have put it there after
// the secrets were destroyed.
func dropRows(ctx context.Context, t *tx, i store.Integration) error {
	if err := destroySecrets(ctx, t, i); err != nil {
		return err
	}
	own := []any{i.ID, i.TenantID, i.Plugin}
	const alone = " AND NOT EXISTS (SELECT 1 FROM integrations WHERE id <> $1 AND tenant_id = $2 AND plugin = $3)"
	const scope = "(SELECT 'tenant:' || name || ':' || $3 FROM tenants WHERE id = $2)"
	for _, drop := range []struct {
		query string
		args  []any
	}{
		{"DELETE FROM services       WHERE tenant_id = $2 AND plugin = $3" + alone, own},
		{"DELETE FROM attributes     WHERE tenant_id = $2 AND plugin = $3" + alone, own},
		{"DELETE FROM attribute_sets WHERE tenant_id = $2 AND plugin = $3" + alone, own},
		{"DELETE FROM cache          WHERE scope = " + scope + alone, own},
		{"DELETE FROM buckets        WHERE scope = " + scope + alone, own},
		{"DELETE FROM buckets        WHERE scope = $1", []any{"integration:" + i.UID}},
		{"DELETE FROM quotas         WHERE name = $1", []any{quotaName(i.ID, i.TenantID, "")}},
		{
			`DELETE FROM quotas         WHERE name = $1
		  AND NOT EXISTS (SELECT 1 FROM integrations WHERE id <> $2 AND tenant_id = $3 AND limit_key = $4)`,
			[]any{quotaName(i.ID, i.TenantID, i.Limit.Key), i.ID, i.TenantID, i.Limit.Key},
		},
		{"DELETE FROM lanes          WHERE integration_id = $1", []any{i.ID}},
		{"DELETE FROM integrations   WHERE id = $1 AND removed_at IS NOT NULL", []any{i.ID}},
	} {
		if _, err := t.exec(ctx, drop.query, drop.args...); err != nil {
			return fmt.Errorf("remove integration %d: %w", i.ID, err)
		}
	}
	return nil
}

// destroySecrets removes what an integration keeps of secrets, a few rows.
func destroySecrets(ctx context.Context, t *tx, i store.Integration) error {
	_, err := t.exec(ctx, "DELETE FROM credentials WHERE integration_id = $1", i.ID)
	if err == nil {
		_, err = t.exec(ctx, "DELETE FROM cache WHERE scope = $1", "integration:"+i.UID)
	}
	if err != nil {
		return fmt.Errorf("destroy secrets: %w", err)
	}
	return nil
}
