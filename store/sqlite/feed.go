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

// Records returns the records of Feed.
func (db *DB) Records(ctx context.Context, f store.RecordFilter) ([]store.StoredRecord, error) {
	page, err := db.Feed(ctx, f)
	return page.Records, err
}

// Feed returns what f selects of the feed, the earliest change first, each record
// as it is now. The feed is kept by integration; over several it is merged. It
// returns store.ErrPositionExpired for one who goes on, and wants to know of
// deletions, from a position after which some are forgotten.
func (db *DB) Feed(ctx context.Context, f store.RecordFilter) (store.FeedPage, error) {
	page, err := db.feed(ctx, f)
	// Looked at last: what was forgotten meanwhile may be missing above.
	if err == nil && f.After > 0 && f.Deleted {
		err = db.notForgotten(ctx, f)
	}
	return page, err
}

// feed is Feed for a reader who has other means to know what was forgotten.
func (db *DB) feed(ctx context.Context, f store.RecordFilter) (store.FeedPage, error) {
	// The integrations are read one after the other, while others write. What is
	// beyond the position that was committed before the first of them is left for
	// the next page: its neighbours may not have been seen.
	page := store.FeedPage{Through: db.write.position.Load(), Since: f.Since}
	if f.After == 0 {
		page.Since = page.Through
	}
	sources, err := db.sources(ctx, f)
	if err != nil {
		return store.FeedPage{}, fmt.Errorf("read feed: %w", err)
	}
	n := limit(f.Limit, 100)
	for _, i := range sources {
		some, err := db.recordsOf(ctx, i.id, f, page.Through, n)
		if err != nil {
			return store.FeedPage{}, fmt.Errorf("read feed: %w", err)
		}
		for _, r := range some {
			page.Records = append(page.Records, store.StoredRecord{
				Record: r, Tenant: i.tenant, Integration: i.name, Change: changeOf(&r, f.After),
			})
		}
		if len(page.Records) > 2*n { // what is beyond n positions is of no use
			page.Records = earliest(page.Records, n)
		}
	}
	if page.Records = earliest(page.Records, n); len(page.Records) == n {
		page.Through = page.Records[n-1].Position
	}
	page.Through = max(page.Through, f.After)
	return page, nil
}

// source is an integration whose feed is read.
type source struct {
	id           int64
	tenant, name string
}

func (db *DB) sources(ctx context.Context, f store.RecordFilter) (out []source, err error) {
	query := sourceQuery
	if f.IntegrationID == 0 {
		query = sourcesQuery
	}
	err = db.list(ctx, query, []any{f.IntegrationID, f.Tenant, feedIntegrations + 1}, func(s scanner) error {
		var i source
		err := s.Scan(&i.id, &i.tenant, &i.name)
		out = append(out, i)
		return err
	})
	if err == nil && len(out) > feedIntegrations {
		err = fmt.Errorf("more than %d integrations: %w", feedIntegrations, store.ErrLimit)
	}
	return out, err
}

// The conditions that select the integrations of a filter: one by its id, or those
// of a tenant or all.
const (
	oneSource     = `i.id = $1 AND ($2 = '' OR t.name = $2)`
	tenantSources = `$1 = 0 AND ($2 = '' OR i.tenant_id = (SELECT id FROM tenants WHERE name = $2))`

	selectSources = `
	SELECT   i.id, t.name, i.name
	FROM     integrations i JOIN tenants t ON t.id = i.tenant_id
	WHERE    `
	sourceQuery  = selectSources + oneSource + " LIMIT $3 + 0"
	sourcesQuery = selectSources + tenantSources + " ORDER BY i.id LIMIT $3 + 0"
)

// sourcesOf returns the condition for f, with its arguments.
func sourcesOf(f store.RecordFilter) (where string, args []any) {
	where = tenantSources
	if f.IntegrationID != 0 {
		where = oneSource
	}
	return where, []any{f.IntegrationID, f.Tenant}
}

// notForgotten returns store.ErrPositionExpired if a deletion is forgotten that the
// reader would have to be told.
func (db *DB) notForgotten(ctx context.Context, f store.RecordFilter) error {
	where, args := sourcesOf(f)
	var newest int64
	err := db.list(ctx, `
		SELECT coalesce(max(i.forgotten), 0)
		FROM   integrations i JOIN tenants t ON t.id = i.tenant_id
		WHERE  `+where, args, func(s scanner) error { return s.Scan(&newest) })
	if err == nil && newest > max(f.After, f.Since) {
		err = store.Hint(store.ErrPositionExpired, "deletions after it are forgotten: read anew, from the beginning")
	}
	if err != nil {
		return fmt.Errorf("read feed: %w", err)
	}
	return nil
}

func changeOf(r *store.Record, after int64) store.RecordChange {
	switch {
	case r.Deleted:
		return store.RecordDeleted
	case r.Born > after:
		return store.RecordAdded
	default:
		return store.RecordUpdated
	}
}

func earliest(records []store.StoredRecord, n int) []store.StoredRecord {
	slices.SortFunc(records, func(a, b store.StoredRecord) int { return cmp.Compare(a.Position, b.Position) })
	return records[:min(n, len(records))]
}

// recordsOf reads the feed of one integration up to a position, by the index that
// fits.
func (db *DB) recordsOf(ctx context.Context, integrationID int64, f store.RecordFilter, upTo int64, n int) (out []store.Record, err error) {
	query := feedQuery
	switch {
	case f.Kind != "" && f.ExternalID != "":
		query = recordQuery
	case f.Kind == store.KindMember:
		query = memberFeedQuery
	}
	err = db.list(ctx, query, []any{integrationID, f.After, f.Kind, f.ExternalID, flag(f.Deleted), n, upTo}, func(s scanner) error {
		r, err := scanRecord(s)
		out = append(out, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, db.overlay(ctx, integrationID, out)
}

const (
	recordFields = `
	SELECT   integration_id, kind, external_id, parent_kind, parent_id, version, coalesce(first_at, occurred_at), deleted, data, pos, id
	FROM     records
	WHERE    integration_id = $1 AND pos > $2 AND pos <= $7 AND `
	feedQuery = recordFields + `($3 = '' OR kind = $3) AND ($4 = '' OR external_id = $4) AND ($5 = 1 OR deleted = 0)
	ORDER BY pos
	LIMIT    $6 + 0`
	memberFeedQuery = recordFields + `kind = 'member' AND kind = $3 AND ($4 = '' OR external_id = $4) AND ($5 = 1 OR deleted = 0)
	ORDER BY pos
	LIMIT    $6 + 0`
	recordQuery = recordFields + `kind = $3 AND external_id = $4 AND ($5 = 1 OR deleted = 0)
	LIMIT    $6 + 0`
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

// Parents tells which of the records' parents are there. A parent is named by its
// key and found when it is asked for, so it does not matter which came first (K06).
func (db *DB) Parents(ctx context.Context, records []store.StoredRecord) (map[store.RecordKey]bool, error) {
	there := map[store.RecordKey]bool{}
	var wanted []store.RecordKey
	for i := range records {
		key := records[i].ParentKey()
		if _, known := there[key]; !known && records[i].ParentID != "" {
			there[key] = false
			wanted = append(wanted, key)
		}
	}
	for some := range slices.Chunk(wanted, overlayKeys) {
		args := make([]any, 0, 3*len(some))
		for _, k := range some {
			args = append(args, k.IntegrationID, k.Kind, k.ExternalID)
		}
		err := db.list(ctx, parentsQuery(len(some)), args, func(s scanner) error {
			var k store.RecordKey
			err := s.Scan(&k.IntegrationID, &k.Kind, &k.ExternalID)
			there[k] = true
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("find parents: %w", err)
		}
	}
	return there, nil
}

func parentsQuery(n int) string {
	return `
		WITH wanted (integration_id, kind, external_id) AS (VALUES ` + tuples(n, 3) + `)
		SELECT r.integration_id, r.kind, r.external_id
		FROM   wanted w CROSS JOIN records r
		WHERE  r.integration_id = w.integration_id AND r.kind = w.kind AND r.external_id = w.external_id AND r.deleted = 0`
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
