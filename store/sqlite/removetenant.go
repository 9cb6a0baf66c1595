package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// DeleteTenant takes a tenant away for good with all of its integrations, as
// DeleteIntegration does with one. In one small transaction the tenant is hidden and
// its secrets are destroyed; the rest follows in portions of Purge. It returns
// store.ErrConflict if a file declares one of its integrations, and
// store.ErrNotFound for a tenant that is deleted already. The transaction does a few
// statements for each integration that has not left its file: 10,000 of them, each with
// an open run, hold up the writer for one to two seconds.
func (db *DB) DeleteTenant(ctx context.Context, name string) error {
	if err := db.update(ctx, func(ctx context.Context, t *tx) error { return deleteTenant(ctx, t, name) }); err != nil {
		return fmt.Errorf("delete tenant %s: %w", name, err)
	}
	return nil
}

func deleteTenant(ctx context.Context, t *tx, name string) error {
	var id int64
	if err := t.get(ctx, "SELECT id FROM tenants WHERE name = $1 AND deleted_at IS NULL", []any{name}, &id); err != nil {
		return notFound(err)
	}
	living, err := livingIntegrations(ctx, t, id)
	if err != nil {
		return err
	}
	for _, i := range living {
		if i.File != "" {
			return store.Hint(fmt.Errorf("integration %s is declared by %s: %w", i.FullName(), i.File, store.ErrConflict),
				"remove the tenant's file first")
		}
		if err := deleteIntegration(ctx, t, i); err != nil {
			return err
		}
	}
	// Those that left their file do nothing any more. It is enough that their secrets
	// go, and that their time is over: Purge does the rest, one at a time.
	for _, query := range []string{
		"DELETE FROM credentials WHERE integration_id IN (SELECT id FROM integrations WHERE tenant_id = $1)",
		"DELETE FROM cache WHERE scope IN (SELECT 'integration:' || uid FROM integrations WHERE tenant_id = $1)",
		"DELETE FROM services WHERE tenant_id = $1",
		"DELETE FROM tokens WHERE tenant_id = $1", // 10,000 that are valid
	} {
		if _, err := t.exec(ctx, query, id); err != nil {
			return fmt.Errorf("destroy secrets: %w", err)
		}
	}
	if _, err := t.exec(ctx, `
		UPDATE integrations
		SET    settings = NULL, settings_sum = NULL, patch = NULL, keep_until = $2, updated_at = $2
		WHERE  tenant_id = $1 AND removed_at IS NOT NULL`, id, t.ms); err != nil {
		return fmt.Errorf("hide integrations: %w", err)
	}
	if _, err := t.exec(ctx, "UPDATE tenants SET deleted_at = $2 WHERE id = $1", id, t.ms); err != nil {
		return fmt.Errorf("hide tenant: %w", err)
	}
	return addEvent(ctx, t, "tenant.deleted", 0, 0, map[string]any{"name": name})
}

// livingIntegrations returns those of a tenant that have not left their file.
func livingIntegrations(ctx context.Context, t *tx, tenantID int64) (all []store.Integration, err error) {
	err = t.each(ctx, `SELECT`+integrationColumns+`
		WHERE    i.tenant_id = $1 AND i.removed_at IS NULL
		ORDER BY i.id`, []any{tenantID}, func(s scanner) error {
		i, err := scanIntegration(s)
		all = append(all, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("integrations of tenant %d: %w", tenantID, err)
	}
	return all, nil
}

// ofTenant are the tables of which the rows of a tenant go after its integrations.
func ofTenant() []string {
	return []string{
		"member_splits", "member_merges", "member_claims", "member_sources", "members", "member_cursors",
		"services", "attributes", "attribute_sets",
	}
}

// purgeTenants removes the tenants that were deleted, once the last trace of their
// integrations is gone. One that a file has declared anew meanwhile stays.
func (db *DB) purgeTenants(ctx context.Context, _ store.Retention) (bool, error) {
	var id int64
	if err := db.list(ctx, `
		SELECT   t.id
		FROM     tenants t
		WHERE    t.deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM integrations i WHERE i.tenant_id = t.id)
		ORDER BY t.id
		LIMIT    1`, nil, func(s scanner) error { return s.Scan(&id) }); err != nil {
		return false, fmt.Errorf("deleted tenants: %w", err)
	}
	if id == 0 {
		return false, nil
	}
	const gone = "EXISTS (SELECT 1 FROM tenants t WHERE t.id = $1 AND t.deleted_at IS NOT NULL)"
	for _, table := range ofTenant() {
		some := "SELECT rowid FROM " + table + " WHERE tenant_id = $1 AND " + gone + " LIMIT "
		if found, err := db.any(ctx, some+"1", id); err != nil || !found {
			if err != nil {
				return false, err
			}
			continue
		}
		return db.portion(ctx, func(ctx context.Context, t *tx, n int) (int64, error) {
			rows, err := t.exec(ctx, "DELETE FROM "+table+" WHERE rowid IN ("+some+"$2)", id, n)
			return max(rows, int64(n)), err // and there is more in other tables
		})
	}
	return true, db.chore(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, "DELETE FROM quotas WHERE name LIKE 'tenant:' || $1 || ':%' AND "+gone, id); err != nil { // a key of its integrations each
			return fmt.Errorf("remove quotas of tenant %d: %w", id, err)
		}
		if _, err := t.exec(ctx, `
			DELETE FROM tenants
			WHERE  id = $1 AND deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM integrations i WHERE i.tenant_id = $1)`, id); err != nil {
			return fmt.Errorf("remove tenant %d: %w", id, err)
		}
		return nil
	})
}
