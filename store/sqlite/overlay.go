package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// patches are the updates of a segment, checked and taken apart.
type patches []patch

// patch is one update.
type patch struct {
	*store.Update
	fields []store.Patch
}

// preparePatches checks updates in the caller's goroutine.
func preparePatches(updates []store.Update) (patches, error) {
	if len(updates) == 0 {
		return nil, nil
	}
	out := make(patches, len(updates))
	for i := range updates {
		u := &updates[i]
		as := store.Record{Kind: u.Kind, ExternalID: u.ExternalID, Version: u.Version, Data: u.Patch}
		if err := checkRecord(&as); err != nil {
			return nil, err
		}
		fields, err := u.Fields()
		if errors.Is(err, store.ErrInvalid) {
			return nil, fmt.Errorf("%w: %w", store.ErrRejected, err)
		}
		if err != nil {
			return nil, err
		}
		out[i] = patch{u, fields}
	}
	return out, nil
}

// write keeps the updates and moves what they changed in the feed. It costs a
// statement a field: updates are few beside records.
func (ps patches) write(ctx context.Context, t *tx, integrationID int64) (st store.RunStats, err error) {
	for _, p := range ps {
		st.Read++
		changed, stale, err := p.write(ctx, t, integrationID)
		if err != nil {
			return st, fmt.Errorf("update %s %.80q: %w", p.Kind, p.ExternalID, err)
		}
		switch {
		case changed:
			st.Updated++
		case stale:
			st.Stale++
		default:
			st.Unchanged++
		}
	}
	return st, nil
}

func (p *patch) write(ctx context.Context, t *tx, integrationID int64) (changed, stale bool, err error) {
	for _, f := range p.fields {
		n, err := t.exec(ctx, `
			INSERT INTO overlays (integration_id, kind, external_id, origin, field, version, value, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (integration_id, kind, external_id, origin, field) DO UPDATE
			SET    version = excluded.version, value = excluded.value, updated_at = excluded.updated_at
			WHERE  (excluded.version IS NULL OR overlays.version IS NULL OR excluded.version >= overlays.version)
			AND    (overlays.value <> excluded.value OR overlays.version IS DISTINCT FROM excluded.version)`,
			integrationID, p.Kind, p.ExternalID, store.OriginPlugin, f.Field, blob(f.Version), string(f.Value), t.ms)
		if err != nil {
			return false, false, err
		}
		changed = changed || n > 0
		if store.Branch(p.Kind, f.Field) { // what it says holds for all below it
			n, err := t.exec(ctx, `
				DELETE FROM overlays
				WHERE  integration_id = $1 AND kind = $2 AND external_id = $3 AND origin = $4 AND field > $5 || '/' AND field < $5 || '0'
				AND    ($6 IS NULL OR version IS NULL OR version <= $6)`,
				integrationID, p.Kind, p.ExternalID, store.OriginPlugin, f.Field, blob(f.Version))
			if err != nil {
				return false, false, err
			}
			changed = changed || n > 0
		}
	}
	if !changed {
		stale, err = p.outdated(ctx, t, integrationID)
		return false, stale, err
	}
	return true, false, p.move(ctx, t, integrationID)
}

// outdated reports whether what is kept is of a later version.
func (p *patch) outdated(ctx context.Context, t *tx, integrationID int64) (bool, error) {
	if p.Version == nil {
		return false, nil
	}
	var n int64
	err := t.get(ctx, `
		SELECT count(*)
		FROM   overlays
		WHERE  integration_id = $1 AND kind = $2 AND external_id = $3 AND origin = $4 AND version > $5`,
		[]any{integrationID, p.Kind, p.ExternalID, store.OriginPlugin, p.Version}, &n)
	return n > 0, err
}

// move gives the record, if it is there, a new position: it reads differently now.
func (p *patch) move(ctx context.Context, t *tx, integrationID int64) error {
	var id int64
	err := t.get(ctx, `
		SELECT id
		FROM   records
		WHERE  integration_id = $1 AND kind = $2 AND external_id = $3 AND deleted = 0`, []any{integrationID, p.Kind, p.ExternalID}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // it will have one when it comes
	}
	if err != nil {
		return err
	}
	pos, err := t.positions(ctx, 1)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "UPDATE records SET pos = $2 WHERE id = $1", id, pos)
	return err
}

// overlayKeys is how many records one read of overlays is for.
const overlayKeys = 200

// overlay puts the overlays of an integration over its records.
func (db *DB) overlay(ctx context.Context, integrationID int64, records []store.Record) error {
	if len(records) == 0 {
		return nil
	}
	some, err := db.overlaid(ctx, integrationID)
	if err != nil || !some {
		return err
	}
	for len(records) > 0 {
		n := min(len(records), overlayKeys)
		if err := db.overlaySome(ctx, integrationID, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

const overlaidQuery = "SELECT 1 FROM overlays WHERE integration_id = $1 LIMIT 1"

// overlaid reports whether the integration has an overlay at all.
func (db *DB) overlaid(ctx context.Context, integrationID int64) (some bool, err error) {
	err = db.list(ctx, overlaidQuery, []any{integrationID}, func(s scanner) error {
		some = true
		var one int
		return s.Scan(&one)
	})
	return some, err
}

func (db *DB) overlaySome(ctx context.Context, integrationID int64, records []store.Record) error {
	type name struct{ kind, id string }
	args := make([]any, 0, 2*len(records)+1)
	at := make(map[name]*store.Record, len(records))
	for i := range records {
		r := &records[i]
		if r.Deleted {
			continue
		}
		at[name{r.Kind, r.ExternalID}] = r
		args = append(args, r.Kind, r.ExternalID)
	}
	if len(at) == 0 {
		return nil
	}
	found := map[name][]store.Patch{}
	err := db.list(ctx, overlayQuery(len(at)), append(args, integrationID), func(s scanner) error {
		var (
			of    name
			p     store.Patch
			value string
		)
		if err := s.Scan(&of.kind, &of.id, &p.Field, &p.Version, &value); err != nil {
			return err
		}
		p.Value = []byte(value)
		found[of] = append(found[of], p)
		return nil
	})
	if err != nil {
		return err
	}
	for of, patches := range found {
		r := at[of]
		if r.Data, err = r.Overlay(patches); err != nil {
			return err
		}
	}
	return nil
}

func overlayQuery(n int) string {
	return `
		WITH wanted (kind, external_id) AS (VALUES ` + tuples(n, 2) + `)
		SELECT   o.kind, o.external_id, o.field, o.version, o.value
		FROM     wanted w CROSS JOIN overlays o
		WHERE    o.integration_id = ? AND o.kind = w.kind AND o.external_id = w.external_id
		ORDER BY o.field`
}
