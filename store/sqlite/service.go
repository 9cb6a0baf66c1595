package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// Services returns what the plugin keeps for all of the tenant's integrations of
// it, by key, sealed.
func (db *DB) Services(ctx context.Context, tenantID int64, plugin string) (map[string][]byte, error) {
	out := make(map[string][]byte)
	err := db.list(ctx, servicesQuery, []any{tenantID, plugin}, func(s scanner) error {
		var (
			key    string
			sealed []byte
		)
		err := s.Scan(&key, &sealed)
		out[key] = sealed
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("service state of plugin %s: %w", plugin, err)
	}
	return out, nil
}

const servicesQuery = `
	SELECT key, sealed
	FROM   services
	WHERE  tenant_id = $1 AND plugin = $2`

// checkService checks what can be checked without the database.
func checkService(values map[string][]byte) (size int, err error) {
	for key, sealed := range values {
		switch {
		case key == "" || !clean(key):
			return 0, fmt.Errorf("service state %q: empty or unprintable key: %w", key, invalid())
		case len(key) > store.MaxKindBytes:
			return 0, fmt.Errorf("service state %.80q: key over %d bytes: %w", key, store.MaxKindBytes, store.ErrLimit)
		case len(sealed) > store.MaxServiceValueBytes:
			return 0, fmt.Errorf("service state %s: %d bytes, over %d: %w", key, len(sealed), store.MaxServiceValueBytes, store.ErrLimit)
		}
		size += len(sealed)
	}
	return size, nil
}

// checkServiceKeys refuses what would make too many keys.
func checkServiceKeys(ctx context.Context, t *tx, integrationID int64, values map[string][]byte) error {
	known := map[string]bool{}
	err := t.each(ctx, `
		SELECT s.key
		FROM   integrations i JOIN services s ON s.tenant_id = i.tenant_id AND s.plugin = i.plugin
		WHERE  i.id = $1`, []any{integrationID}, func(s scanner) error {
		var key string
		err := s.Scan(&key)
		known[key] = true
		return err
	})
	if err != nil {
		return fmt.Errorf("read service state: %w", err)
	}
	for key := range values {
		known[key] = true
	}
	if len(known) > store.MaxServiceKeys {
		return fmt.Errorf("service state of %d keys, over %d: %w", len(known), store.MaxServiceKeys, store.ErrLimit)
	}
	return nil
}

// setService merges values by key: two integrations that change different keys do
// not undo each other's.
func setService(ctx context.Context, t *tx, integrationID int64, values map[string][]byte) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		_, err := t.exec(ctx, `
			INSERT INTO services (tenant_id, plugin, key, sealed, updated_at)
			SELECT tenant_id, plugin, $2, $3, $4
			FROM   integrations
			WHERE  id = $1
			ON CONFLICT (tenant_id, plugin, key) DO UPDATE
			SET    sealed = excluded.sealed, updated_at = excluded.updated_at`, integrationID, key, values[key], t.ms)
		if err != nil {
			return fmt.Errorf("keep service state %s: %w", key, err)
		}
	}
	return nil
}
