package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// Tenants returns all tenants by name, without those that were deleted.
func (db *DB) Tenants(ctx context.Context) ([]store.Tenant, error) {
	var out []store.Tenant
	err := db.list(ctx, `
		SELECT   t.id, t.name, t.created_at, count(i.id)
		FROM     tenants t
		LEFT JOIN integrations i ON i.tenant_id = t.id AND i.state <> 'disabled'
		WHERE    t.deleted_at IS NULL
		GROUP BY t.id, t.name, t.created_at
		ORDER BY t.name`, nil, func(s scanner) error {
		var (
			t       store.Tenant
			created int64
		)
		if err := s.Scan(&t.ID, &t.Name, &created, &t.Integrations); err != nil {
			return err
		}
		t.CreatedAt = fromMillis(created)
		out = append(out, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return out, nil
}

// ensureTenant returns the id of the tenant, which it makes if it is new. One that
// was deleted, and of which there are traces, begins anew.
func ensureTenant(ctx context.Context, t *tx, name string) (id int64, err error) {
	if name == "" {
		return 0, fmt.Errorf("tenant without a name: %w", store.ErrInvalid)
	}
	var deleted moment
	err = t.get(ctx, "SELECT id, deleted_at FROM tenants WHERE name = $1", []any{name}, &id, &deleted)
	if err == nil && !deleted.time().IsZero() {
		_, err = t.exec(ctx, "UPDATE tenants SET deleted_at = NULL, created_at = $2 WHERE id = $1", id, t.ms)
	}
	if errors.Is(err, sql.ErrNoRows) {
		t.writes++
		err = t.get(ctx, "INSERT INTO tenants (name, created_at) VALUES ($1, $2) RETURNING id", []any{name, t.ms}, &id)
	}
	if err != nil {
		return 0, fmt.Errorf("tenant %s: %w", name, err)
	}
	return id, nil
}
