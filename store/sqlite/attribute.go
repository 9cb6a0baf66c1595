package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// AttributesDone reports whether the attributes that this version of the plugin
// declares were saved for the tenant.
func (db *DB) AttributesDone(ctx context.Context, tenantID int64, plugin, version string) (bool, error) {
	err := db.get(ctx, `
		SELECT 1
		FROM   attribute_sets
		WHERE  tenant_id = $1 AND plugin = $2 AND version = $3`, []any{tenantID, plugin, version}, func(s scanner) error {
		var one int
		return s.Scan(&one)
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("attributes of plugin %s: %w", plugin, err)
	}
	return true, nil
}

// SaveAttributes keeps the attributes that this version of the plugin declares
// for the tenant. Those of an earlier version are left as they are.
func (db *DB) SaveAttributes(ctx context.Context, tenantID int64, plugin, version string, attributes []store.Attribute) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, `
			INSERT INTO attribute_sets (tenant_id, plugin, version, created_at)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant_id, plugin, version) DO NOTHING`, tenantID, plugin, version, t.ms); err != nil {
			return err
		}
		for _, a := range attributes {
			if _, err := t.exec(ctx, `
				INSERT INTO attributes (tenant_id, plugin, name, label, type)
				VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (tenant_id, plugin, name) DO UPDATE
				SET label = excluded.label, type = excluded.type`, tenantID, plugin, a.Name, a.Label, a.Type); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save attributes of plugin %s: %w", plugin, err)
	}
	return nil
}

// Attributes returns the attributes that were saved for the tenant, by plugin and
// name.
func (db *DB) Attributes(ctx context.Context, tenantID int64) (map[string][]store.Attribute, error) {
	out := make(map[string][]store.Attribute)
	err := db.list(ctx, `
		SELECT   plugin, name, label, type
		FROM     attributes
		WHERE    tenant_id = $1
		ORDER BY plugin, name`, []any{tenantID}, func(s scanner) error {
		var (
			plugin string
			a      store.Attribute
		)
		err := s.Scan(&plugin, &a.Name, &a.Label, &a.Type)
		out[plugin] = append(out[plugin], a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attributes of tenant %d: %w", tenantID, err)
	}
	return out, nil
}
