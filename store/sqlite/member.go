package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// Members returns the members that f selects, with their sources.
func (db *DB) Members(ctx context.Context, f store.MemberFilter) ([]store.Member, error) {
	query, args := membersQuery, []any{f.Tenant, f.ID, f.After, limit(f.Limit, 100)}
	if f.Account != (store.Account{}) {
		query, args = membersByAccountQuery, append(args, f.Account.Platform, f.Account.Username)
	}
	var ids []int64
	err := db.list(ctx, query, args, func(s scanner) error {
		var id int64
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	out := make([]store.Member, len(ids))
	for i, id := range ids {
		out[i].ID = id
		if out[i].Sources, err = db.memberRecords(ctx, id); err != nil {
			return nil, fmt.Errorf("member %d: %w", id, err)
		}
	}
	return out, nil
}

const (
	membersQuery = `
	SELECT   m.id
	FROM     members m
	WHERE    m.tenant_id = (SELECT id FROM tenants WHERE name = $1) AND ($2 = 0 OR m.id = $2) AND m.id > $3
	ORDER BY m.id
	LIMIT    $4`
	membersByAccountQuery = `
	SELECT   DISTINCT s.member_id
	FROM     member_claims c JOIN member_sources s ON s.record_id = c.record_id
	WHERE    c.tenant_id = (SELECT id FROM tenants WHERE name = $1) AND c.platform = $5 AND c.username = $6
	AND      ($2 = 0 OR s.member_id = $2) AND s.member_id > $3
	ORDER BY s.member_id
	LIMIT    $4`
)

// memberRecords returns the records of a member's sources, by source.
func (db *DB) memberRecords(ctx context.Context, member int64) ([]store.StoredRecord, error) {
	sources, err := db.SourcesOfMembers(ctx, []int64{member})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(sources, func(a, b store.MemberSource) int { return int(a.Source - b.Source) })
	var out []store.StoredRecord
	for _, s := range sources {
		r, ok, err := db.memberRecord(ctx, s)
		if err != nil {
			return nil, err
		}
		if !ok || r.Deleted {
			continue // the members are not there yet
		}
		in, err := db.IntegrationByID(ctx, s.IntegrationID)
		if err != nil {
			return nil, err
		}
		out = append(out, store.StoredRecord{Record: r, Tenant: in.Tenant, Integration: in.Name})
	}
	return out, nil
}

// MemberMerges returns the merges of a tenant after one, of one member if it is not
// zero.
func (db *DB) MemberMerges(ctx context.Context, tenant string, member, after int64, n int) ([]store.MemberMerge, error) {
	var out []store.MemberMerge
	err := db.list(ctx, mergeFields+`
		WHERE    tenant_id = (SELECT id FROM tenants WHERE name = $1) AND ($2 = 0 OR member_id = $2 OR merged_id = $2) AND id > $3
		ORDER BY id
		LIMIT    $4`, []any{tenant, member, after, limit(n, 100)}, func(s scanner) error {
		m, err := scanMerge(s)
		out = append(out, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list merges: %w", err)
	}
	return out, nil
}

const mergeFields = `
	SELECT   id, tenant_id, member_id, merged_id, sources, platform, username, at, undone_at
	FROM     member_merges`

func scanMerge(s scanner) (store.MemberMerge, error) {
	var (
		m       store.MemberMerge
		sources string
		at      int64
		undone  moment
	)
	err := s.Scan(&m.ID, &m.TenantID, &m.Member, &m.Merged, &sources, &m.Platform, &m.Username, &at, &undone)
	if err == nil {
		err = json.Unmarshal([]byte(sources), &m.Sources)
	}
	m.At, m.UndoneAt = fromMillis(at), undone.time()
	return m, err
}

// UndoMerge takes the sources that a merge brought out of the member that they are
// in now, for good. Members are made anew of that soon after. It returns
// store.ErrConflict if it was undone before, or if they are apart already.
func (db *DB) UndoMerge(ctx context.Context, tenant string, id int64) (out store.MemberMerge, err error) {
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		var m store.MemberMerge
		found := false
		err := t.each(ctx, mergeFields+`
			WHERE id = $1 AND tenant_id = (SELECT id FROM tenants WHERE name = $2)`, []any{id, tenant}, func(s scanner) (err error) {
			found = true
			m, err = scanMerge(s)
			return err
		})
		switch {
		case err != nil:
			return err
		case !found:
			return store.ErrNotFound
		case !m.UndoneAt.IsZero():
			return fmt.Errorf("it was undone at %s: %w", m.UndoneAt, store.ErrConflict)
		}
		shared, err := sharedClaims(ctx, t, m)
		if err != nil {
			return err
		}
		if len(shared) == 0 {
			return fmt.Errorf("its sources are apart: %w", store.ErrConflict)
		}
		if err := split(ctx, t, m, shared); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "UPDATE member_merges SET undone_at = $2 WHERE id = $1", id, t.ms); err != nil {
			return err
		}
		m.UndoneAt = t.now
		out = m
		return nil
	})
	if err != nil {
		return store.MemberMerge{}, fmt.Errorf("undo merge %d: %w", id, err)
	}
	return out, nil
}

// sharedClaims returns the claims by which the sources that a merge brought hang
// together with the other sources of their member.
func sharedClaims(ctx context.Context, t *tx, m store.MemberMerge) (shared []store.Claim, err error) {
	brought, err := encode(m.Sources)
	if err != nil {
		return nil, err
	}
	for _, source := range m.Sources {
		err := t.each(ctx, `
			SELECT c.platform, c.username, c.split, c.record_id
			FROM   member_sources s JOIN member_claims c ON c.record_id = s.record_id
			WHERE  s.record_id = $1
			AND    EXISTS (
			       SELECT 1
			       FROM   member_claims o JOIN member_sources other ON other.record_id = o.record_id
			       WHERE  o.tenant_id = c.tenant_id AND o.platform = c.platform AND o.username = c.username AND o.split = c.split
			       AND    other.member_id = s.member_id AND o.record_id NOT IN (SELECT value FROM json_each($2)))`,
			[]any{source, brought}, scanClaim(&shared))
		if err != nil {
			return nil, fmt.Errorf("claims of merge: %w", err)
		}
	}
	return shared, nil
}

// split gives the claims a name of their own and marks their sources.
func split(ctx context.Context, t *tx, m store.MemberMerge, claims []store.Claim) error {
	for _, c := range claims {
		if _, err := t.exec(ctx, `
			INSERT INTO member_splits (tenant_id, integration_id, external_id, platform, username, split)
			SELECT $1, integration_id, external_id, $3, $4, $5
			FROM   member_sources
			WHERE  record_id = $2
			ON CONFLICT (tenant_id, integration_id, external_id, platform, username) DO UPDATE
			SET    split = excluded.split`, m.TenantID, c.Source, c.Platform, c.Username, m.ID); err != nil {
			return fmt.Errorf("split: %w", err)
		}
		if err := redo(ctx, t, m.TenantID, c.Source); err != nil {
			return err
		}
	}
	return nil
}
