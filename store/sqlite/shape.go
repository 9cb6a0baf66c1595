package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// Shapes returns the types that the fields of an integration's records have, as far
// as segments told them.
func (db *DB) Shapes(ctx context.Context, integrationID int64) (store.Shapes, error) {
	out := store.Shapes{}
	err := db.list(ctx, "SELECT kind, fields FROM shapes WHERE integration_id = $1", []any{integrationID}, func(s scanner) error {
		var kind, text string
		if err := s.Scan(&kind, &text); err != nil {
			return err
		}
		fields := map[string]string{}
		err := json.Unmarshal([]byte(text), &fields)
		out[kind] = fields
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("types of integration %d: %w", integrationID, err)
	}
	return out, nil
}

// setShapes merges what a segment tells of types into what is known.
func setShapes(ctx context.Context, t *tx, integrationID int64, shapes store.Shapes) error {
	for _, kind := range slices.Sorted(maps.Keys(shapes)) {
		var text string
		fields := map[string]string{}
		err := notFound(t.get(ctx, "SELECT fields FROM shapes WHERE integration_id = $1 AND kind = $2", []any{integrationID, kind}, &text))
		if err == nil {
			err = json.Unmarshal([]byte(text), &fields)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("types of %s: %w", kind, err)
		}
		maps.Copy(fields, shapes[kind])
		body, err := encode(fields)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `
			INSERT INTO shapes (integration_id, kind, fields, updated_at)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (integration_id, kind) DO UPDATE
			SET    fields = excluded.fields, updated_at = excluded.updated_at`, integrationID, kind, body, t.ms); err != nil {
			return fmt.Errorf("keep types of %s: %w", kind, err)
		}
	}
	return nil
}

// forgetShapes forgets types that are watched no more; they are few, by their cap.
func forgetShapes(ctx context.Context, t *tx, old store.Integration, next store.TypePolicy) error {
	if old.OnTypeChange == store.TypesPass || next != store.TypesPass {
		return nil
	}
	if _, err := t.exec(ctx, "DELETE FROM shapes WHERE integration_id = $1", old.ID); err != nil {
		return fmt.Errorf("forget types of %s: %w", old.FullName(), err)
	}
	return nil
}
