package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// DueMembers returns tenants after one whose members are behind their feed.
func (db *DB) DueMembers(ctx context.Context, after int64, n int) (out []store.MemberCursor, err error) {
	err = db.list(ctx, dueMembersQuery, []any{after, n}, func(s scanner) error {
		var c store.MemberCursor
		err := s.Scan(&c.TenantID, &c.Tenant, &c.Position, &c.Version)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tenants with changed members: %w", err)
	}
	return out, nil
}

// dueMembersQuery looks once into an index for each integration.
const dueMembersQuery = `
	SELECT   t.id, t.name, coalesce(c.pos, 0), coalesce(c.version, 0)
	FROM     tenants t LEFT JOIN member_cursors c ON c.tenant_id = t.id
	WHERE    t.id > $1
	AND      (coalesce(c.pos, 0) < 0
	OR       EXISTS (SELECT 1 FROM member_sources s WHERE s.tenant_id = t.id AND s.redo = 1)
	OR       EXISTS (
	         SELECT 1
	         FROM   integrations i
	         WHERE  i.tenant_id = t.id
	         AND    EXISTS (SELECT 1 FROM records r WHERE r.integration_id = i.id AND r.kind = 'member' AND r.pos > coalesce(c.pos, 0))))
	ORDER BY t.id
	LIMIT    $2`

// MemberChanges returns the next sources of a tenant to look at, n at most, and how
// far the feed is read with them.
func (db *DB) MemberChanges(ctx context.Context, c store.MemberCursor, n int) ([]store.MemberChange, int64, error) {
	out, err := db.redoneSources(ctx, c.TenantID, n)
	if err != nil {
		return nil, 0, fmt.Errorf("changed members of tenant %s: %w", c.Tenant, err)
	}
	if len(out) > 0 {
		return out, c.Position, nil
	}
	page, err := db.feed(ctx, store.RecordFilter{Tenant: c.Tenant, Kind: store.KindMember, Deleted: true, After: c.Position, Limit: n})
	if err != nil {
		return nil, 0, fmt.Errorf("changed members of tenant %s: %w", c.Tenant, err)
	}
	for i := range page.Records {
		out = append(out, memberChange(&page.Records[i].Record))
	}
	return out, page.Through, nil
}

func memberChange(r *store.Record) store.MemberChange {
	return store.MemberChange{
		MemberSource: store.MemberSource{Source: r.Born, IntegrationID: r.IntegrationID, ExternalID: r.ExternalID},
		Gone:         r.Deleted, Data: r.Data,
	}
}

// redoneSources returns the sources that are marked.
func (db *DB) redoneSources(ctx context.Context, tenantID int64, n int) ([]store.MemberChange, error) {
	var out []store.MemberChange
	err := db.list(ctx, `
		SELECT   record_id, integration_id, external_id
		FROM     member_sources
		WHERE    tenant_id = $1 AND redo = 1
		ORDER BY record_id
		LIMIT    $2`, []any{tenantID, n}, func(s scanner) error {
		c := store.MemberChange{Gone: true, Marked: true}
		err := s.Scan(&c.Source, &c.IntegrationID, &c.ExternalID)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		r, ok, err := db.memberRecord(ctx, out[i].MemberSource)
		if err != nil {
			return nil, err
		}
		if ok {
			out[i] = memberChange(&r)
			out[i].Marked = true
		}
	}
	return out, nil
}

// memberRecord returns the record of a source, false if it is no more.
func (db *DB) memberRecord(ctx context.Context, s store.MemberSource) (store.Record, bool, error) {
	f := store.RecordFilter{Kind: store.KindMember, ExternalID: s.ExternalID, Deleted: true}
	found, err := db.recordsOf(ctx, s.IntegrationID, f, db.write.position.Load(), 1)
	if err != nil || len(found) == 0 || found[0].Born != s.Source {
		return store.Record{}, false, err
	}
	return found[0], true, nil
}

// MarkLostSources marks those of the n sources after one whose records are no more
// without the feed's saying so: forgotten deletions, removed integrations. It
// returns the last source that it looked at, 0 at the end.
func (db *DB) MarkLostSources(ctx context.Context, after int64, n int) (last int64, err error) {
	var lost []store.MemberSource
	looked := 0
	err = db.list(ctx, `
		SELECT   s.record_id, s.tenant_id, r.id IS NULL
		FROM     member_sources s LEFT JOIN records r ON r.id = s.record_id
		WHERE    s.record_id > $1
		ORDER BY s.record_id
		LIMIT    $2`, []any{after, n}, func(s scanner) error {
		var (
			id, tenant int64
			missing    bool
		)
		err := s.Scan(&id, &tenant, &missing)
		last = id
		looked++
		if missing {
			lost = append(lost, store.MemberSource{Source: id, Member: tenant})
		}
		return err
	})
	if err == nil && len(lost) > 0 {
		err = db.update(ctx, func(ctx context.Context, t *tx) error {
			for _, s := range lost {
				if err := redo(ctx, t, s.Member, s.Source); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return 0, fmt.Errorf("look for lost sources: %w", err)
	}
	if looked < n {
		last = 0
	}
	return last, nil
}

// redo marks a source. Whoever makes a step at the time begins it again.
func redo(ctx context.Context, t *tx, tenantID, source int64) error {
	if _, err := t.exec(ctx, "UPDATE member_sources SET redo = 1 WHERE record_id = $1", source); err != nil {
		return fmt.Errorf("mark source: %w", err)
	}
	if _, err := t.exec(ctx, "UPDATE member_cursors SET version = version + 1 WHERE tenant_id = $1", tenantID); err != nil {
		return fmt.Errorf("move cursor: %w", err)
	}
	return nil
}

// memberKeys is how many keys one read looks up.
const memberKeys = 200

// SourcesByID returns those of the sources that are known.
func (db *DB) SourcesByID(ctx context.Context, sources []int64) ([]store.MemberSource, error) {
	return db.memberSources(ctx, "record_id", sources)
}

// SourcesOfMembers returns all sources of the members.
func (db *DB) SourcesOfMembers(ctx context.Context, members []int64) ([]store.MemberSource, error) {
	return db.memberSources(ctx, "member_id", members)
}

func (db *DB) memberSources(ctx context.Context, column string, ids []int64) (out []store.MemberSource, err error) {
	for some := range slices.Chunk(ids, memberKeys) {
		err := db.list(ctx, `
			SELECT record_id, member_id, integration_id, external_id
			FROM   member_sources
			WHERE  `+column+` IN (`+holes(len(some))+`)`, anys(some), func(s scanner) error {
			var m store.MemberSource
			err := s.Scan(&m.Source, &m.Member, &m.IntegrationID, &m.ExternalID)
			out = append(out, m)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("member sources: %w", err)
		}
	}
	return out, nil
}

// ClaimsOf returns the claims of the sources.
func (db *DB) ClaimsOf(ctx context.Context, sources []int64) (out []store.Claim, err error) {
	for some := range slices.Chunk(sources, memberKeys) {
		err := db.list(ctx, `
			SELECT platform, username, split, record_id
			FROM   member_claims
			WHERE  record_id IN (`+holes(len(some))+`)`, anys(some), scanClaim(&out))
		if err != nil {
			return nil, fmt.Errorf("claims of sources: %w", err)
		}
	}
	return out, nil
}

// Claimants returns the claims of the tenant to the accounts and splits of keys, n
// at most of each.
func (db *DB) Claimants(ctx context.Context, tenantID int64, keys []store.Claim, n int) (out []store.Claim, err error) {
	for some := range slices.Chunk(keys, memberKeys) {
		found, whole, err := db.claimants(ctx, tenantID, some)
		if err != nil {
			return nil, fmt.Errorf("claims of accounts: %w", err)
		}
		if whole {
			out = append(out, found...)
			continue
		}
		for _, k := range some { // one of them is everybody's
			err := db.list(ctx, `
				SELECT platform, username, split, record_id
				FROM   member_claims
				WHERE  tenant_id = $1 AND platform = $2 AND username = $3 AND split = $4
				LIMIT  $5`, []any{tenantID, k.Platform, k.Username, k.Split, n}, scanClaim(&out))
			if err != nil {
				return nil, fmt.Errorf("claims of accounts: %w", err)
			}
		}
	}
	return out, nil
}

// maxClaims bounds what one read of claims returns.
const maxClaims = 20 * memberKeys

// claimants, like all that look up many keys at once, says CROSS JOIN: SQLite takes
// the tables in that order then, and would else walk the whole tenant for each key.
//
// It reports with false that there are too many for one read.
func (db *DB) claimants(ctx context.Context, tenantID int64, keys []store.Claim) (out []store.Claim, whole bool, err error) {
	args := make([]any, 0, 3*len(keys)+2)
	for _, k := range keys {
		args = append(args, k.Platform, k.Username, k.Split)
	}
	err = db.list(ctx, claimantsQuery(len(keys)), append(args, tenantID, maxClaims), scanClaim(&out))
	return out, len(out) < maxClaims, err
}

func claimantsQuery(n int) string {
	return `
		WITH wanted (platform, username, split) AS (VALUES ` + tuples(n, 3) + `)
		SELECT c.platform, c.username, c.split, c.record_id
		FROM   wanted w CROSS JOIN member_claims c
		WHERE  c.tenant_id = ? AND c.platform = w.platform AND c.username = w.username AND c.split = w.split
		LIMIT  ?`
}

func scanClaim(into *[]store.Claim) func(scanner) error {
	return func(s scanner) error {
		var c store.Claim
		err := s.Scan(&c.Platform, &c.Username, &c.Split, &c.Source)
		*into = append(*into, c)
		return err
	}
}

// SplitsOf returns what was taken apart of the sources.
func (db *DB) SplitsOf(ctx context.Context, tenantID int64, sources []store.MemberSource) (out []store.Claim, err error) {
	type name struct {
		integration int64
		id          string
	}
	for some := range slices.Chunk(sources, memberKeys) {
		args := make([]any, 0, 2*len(some)+1)
		byName := make(map[name]int64, len(some))
		for _, s := range some {
			args = append(args, s.IntegrationID, s.ExternalID)
			byName[name{s.IntegrationID, s.ExternalID}] = s.Source
		}
		err := db.list(ctx, splitsQuery(len(some)), append(args, tenantID), func(s scanner) error {
			var (
				of name
				c  store.Claim
			)
			err := s.Scan(&of.integration, &of.id, &c.Platform, &c.Username, &c.Split)
			c.Source = byName[of]
			out = append(out, c)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("splits of sources: %w", err)
		}
	}
	return out, nil
}

func splitsQuery(n int) string {
	return `
		WITH wanted (integration_id, external_id) AS (VALUES ` + tuples(n, 2) + `)
		SELECT s.integration_id, s.external_id, s.platform, s.username, s.split
		FROM   wanted w CROSS JOIN member_splits s
		WHERE  s.tenant_id = ? AND s.integration_id = w.integration_id AND s.external_id = w.external_id`
}

func anys(ids []int64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
