package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// feedIntegrations bounds how many integrations one read of the feed merges.
const feedIntegrations = 10_000

// Records returns the records that f selects by position, the earliest change
// first. The feed is kept by integration; over several it is merged.
func (db *DB) Records(ctx context.Context, f store.RecordFilter) ([]store.StoredRecord, error) {
	n := limit(f.Limit, 100)
	type source struct {
		id           int64
		tenant, name string
	}
	var sources []source
	which := "$1 = 0 AND ($2 = '' OR i.tenant_id = (SELECT id FROM tenants WHERE name = $2))"
	if f.IntegrationID != 0 {
		which = "i.id = $1 AND ($2 = '' OR t.name = $2)"
	}
	err := db.list(ctx, `
		SELECT i.id, t.name, i.name
		FROM   integrations i JOIN tenants t ON t.id = i.tenant_id
		WHERE  `+which+`
		ORDER BY i.id
		LIMIT  $3`, []any{f.IntegrationID, f.Tenant, feedIntegrations + 1}, func(s scanner) error {
		var i source
		err := s.Scan(&i.id, &i.tenant, &i.name)
		sources = append(sources, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	if len(sources) > feedIntegrations {
		return nil, fmt.Errorf("list records of more than %d integrations: %w", feedIntegrations, store.ErrLimit)
	}
	var out []store.StoredRecord
	for _, i := range sources {
		some, err := db.recordsOf(ctx, i.id, f, n)
		if err != nil {
			return nil, fmt.Errorf("list records: %w", err)
		}
		for _, r := range some {
			out = append(out, store.StoredRecord{Record: r, Tenant: i.tenant, Integration: i.name})
		}
		if len(out) > 2*n { // what is beyond n positions is of no use
			out = earliest(out, n)
		}
	}
	return earliest(out, n), nil
}

func earliest(records []store.StoredRecord, n int) []store.StoredRecord {
	slices.SortFunc(records, func(a, b store.StoredRecord) int { return cmp.Compare(a.Position, b.Position) })
	return records[:min(n, len(records))]
}

// recordsOf reads the feed of one integration, by the index that fits.
func (db *DB) recordsOf(ctx context.Context, integrationID int64, f store.RecordFilter, n int) (out []store.Record, err error) {
	query := feedQuery
	if f.Kind != "" && f.ExternalID != "" {
		query = recordQuery
	}
	err = db.list(ctx, query, []any{integrationID, f.After, f.Kind, f.ExternalID, flag(f.Deleted), n}, func(s scanner) error {
		r, err := scanRecord(s)
		out = append(out, r)
		return err
	})
	return out, err
}

const (
	recordFields = `
	SELECT   integration_id, kind, external_id, parent_kind, parent_id, version, occurred_at, deleted, data, pos, id
	FROM     records
	WHERE    integration_id = $1 AND pos > $2 AND `
	feedQuery = recordFields + `($3 = '' OR kind = $3) AND ($4 = '' OR external_id = $4) AND ($5 = 1 OR deleted = 0)
	ORDER BY pos
	LIMIT    $6`
	recordQuery = recordFields + `kind = $3 AND external_id = $4 AND ($5 = 1 OR deleted = 0)
	LIMIT    $6`
)

func scanRecord(s scanner) (store.Record, error) {
	var (
		r                    store.Record
		parentKind, parentID nullString
		data                 nullString
		occurred             moment
	)
	err := s.Scan(&r.IntegrationID, &r.Kind, &r.ExternalID, &parentKind, &parentID, &r.Version, &occurred, &r.Deleted, &data, &r.Position, &r.Born)
	if err != nil {
		return store.Record{}, err
	}
	r.ParentKind, r.ParentID, r.OccurredAt = parentKind.String, parentID.String, occurred.time()
	if data.Valid {
		r.Data = []byte(data.String)
	}
	return r, nil
}

// RecordCounts returns how many records of each kind the integration has, the
// deleted ones left out.
func (db *DB) RecordCounts(ctx context.Context, integrationID int64) (map[string]int64, error) {
	counts := make(map[string]int64)
	// Both counts come from an index alone.
	err := db.list(ctx, `
		SELECT   kind, count(*)
		FROM     records
		WHERE    integration_id = $1
		GROUP BY kind`, []any{integrationID}, func(s scanner) error {
		var (
			kind string
			n    int64
		)
		err := s.Scan(&kind, &n)
		counts[kind] = n
		return err
	})
	if err == nil {
		err = db.list(ctx, deletedQuery, []any{integrationID}, func(s scanner) error {
			var (
				kind string
				n    int64
			)
			err := s.Scan(&kind, &n)
			counts[kind] -= n
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("count records of integration %d: %w", integrationID, err)
	}
	return counts, nil
}

// Position returns a position that no change in the feed is beyond yet. What
// comes later is.
func (db *DB) Position(context.Context) (int64, error) { return db.write.position.Load(), nil }

const deletedQuery = `
	SELECT   kind, count(*)
	FROM     records
	WHERE    integration_id = $1 AND deleted = 1
	GROUP BY kind`
