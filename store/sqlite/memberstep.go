package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// MemberStep makes one step in the making of a tenant's members, in one
// transaction. It returns store.ErrConflict if they have changed since step.From
// was read.
func (db *DB) MemberStep(ctx context.Context, step store.MemberStep) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		if err := swapCursor(ctx, t, step.From, step.Through); err != nil {
			return err
		}
		for _, write := range []func(context.Context, *tx, store.MemberStep) error{writeClaims, writeSources, writeRedone, writeMembers, writeMerges} {
			if err := write(ctx, t, step); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("members of tenant %d: %w", step.From.TenantID, err)
	}
	return nil
}

// swapCursor moves the cursor if it is still where the caller has seen it.
func swapCursor(ctx context.Context, t *tx, from store.MemberCursor, through int64) error {
	n, err := t.exec(ctx, `
		INSERT INTO member_cursors (tenant_id, pos, version)
		VALUES ($1, $2, 1)
		ON CONFLICT (tenant_id) DO UPDATE
		SET    pos = excluded.pos, version = member_cursors.version + 1
		WHERE  member_cursors.version = $3 AND member_cursors.pos = $4`, from.TenantID, through, from.Version, from.Position)
	if err == nil && n == 0 {
		err = store.ErrConflict
	}
	return err
}

// memberRows is how many rows one statement writes.
const memberRows = 50

func writeClaims(ctx context.Context, t *tx, step store.MemberStep) error {
	for _, c := range step.Removed {
		if _, err := t.exec(ctx, `
			DELETE FROM member_claims
			WHERE  tenant_id = $1 AND platform = $2 AND username = $3 AND split = $4 AND record_id = $5`,
			step.From.TenantID, c.Platform, c.Username, c.Split, c.Source); err != nil {
			return fmt.Errorf("remove claim: %w", err)
		}
	}
	for some := range slices.Chunk(step.Added, memberRows) {
		args := make([]any, 0, 5*len(some))
		for _, c := range some {
			args = append(args, step.From.TenantID, c.Platform, c.Username, c.Split, c.Source)
		}
		if _, err := t.exec(ctx, `
			INSERT INTO member_claims (tenant_id, platform, username, split, record_id)
			VALUES `+tuples(len(some), 5)+`
			ON CONFLICT (tenant_id, platform, username, split, record_id) DO NOTHING`, args...); err != nil {
			return fmt.Errorf("add claims: %w", err)
		}
	}
	return nil
}

func writeSources(ctx context.Context, t *tx, step store.MemberStep) error {
	var kept []store.MemberSource
	for _, s := range step.Sources {
		if s.Member != 0 {
			kept = append(kept, s)
			continue
		}
		if _, err := t.exec(ctx, "DELETE FROM member_sources WHERE record_id = $1", s.Source); err != nil {
			return fmt.Errorf("remove source: %w", err)
		}
	}
	for some := range slices.Chunk(kept, memberRows) {
		args := make([]any, 0, 5*len(some))
		for _, s := range some {
			args = append(args, s.Source, step.From.TenantID, s.Member, s.IntegrationID, s.ExternalID)
		}
		if _, err := t.exec(ctx, `
			INSERT INTO member_sources (record_id, tenant_id, member_id, integration_id, external_id)
			VALUES `+tuples(len(some), 5)+`
			ON CONFLICT (record_id) DO UPDATE
			SET    member_id = excluded.member_id`, args...); err != nil {
			return fmt.Errorf("add sources: %w", err)
		}
	}
	return nil
}

// writeRedone takes the marks away. A source that another one's change moves keeps
// its own: what it was marked for is not done yet.
func writeRedone(ctx context.Context, t *tx, step store.MemberStep) error {
	for _, id := range step.Redone {
		if _, err := t.exec(ctx, "UPDATE member_sources SET redo = 0 WHERE record_id = $1", id); err != nil {
			return fmt.Errorf("unmark source: %w", err)
		}
	}
	return nil
}

func writeMembers(ctx context.Context, t *tx, step store.MemberStep) error {
	var kept []int64
	for _, id := range slices.Sorted(maps.Keys(step.Members)) {
		if step.Members[id] > 0 {
			kept = append(kept, id)
			continue
		}
		if _, err := t.exec(ctx, "DELETE FROM members WHERE id = $1", id); err != nil {
			return fmt.Errorf("remove member: %w", err)
		}
	}
	for some := range slices.Chunk(kept, memberRows) {
		args := make([]any, 0, 3*len(some))
		for _, id := range some {
			args = append(args, id, step.From.TenantID, step.Members[id])
		}
		if _, err := t.exec(ctx, `
			INSERT INTO members (id, tenant_id, sources)
			VALUES `+tuples(len(some), 3)+`
			ON CONFLICT (id) DO UPDATE
			SET    sources = excluded.sources`, args...); err != nil {
			return fmt.Errorf("add members: %w", err)
		}
	}
	return nil
}

func writeMerges(ctx context.Context, t *tx, step store.MemberStep) error {
	for _, m := range step.Merges {
		sources, err := encode(m.Sources)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `
			INSERT INTO member_merges (tenant_id, member_id, merged_id, sources, platform, username, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			step.From.TenantID, m.Member, m.Merged, sources, m.Platform, m.Username, t.ms); err != nil {
			return fmt.Errorf("log merge: %w", err)
		}
	}
	return nil
}

// RebuildMembers has the members of a tenant made anew of its feed. Until that is
// done some are missing. What was taken apart stays so.
func (db *DB) RebuildMembers(ctx context.Context, tenantID int64) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `
			INSERT INTO member_cursors (tenant_id, pos, version)
			VALUES ($1, -1, 1)
			ON CONFLICT (tenant_id) DO UPDATE
			SET    pos = -1, version = member_cursors.version + 1`, tenantID)
		return err
	})
	if err != nil {
		return fmt.Errorf("rebuild members of tenant %d: %w", tenantID, err)
	}
	return nil
}

// ClearMembers takes a portion of the sources of a tenant away whose members are
// to be made anew, and says that this is done by moving the cursor to the feed's
// beginning.
func (db *DB) ClearMembers(ctx context.Context, from store.MemberCursor, n int) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		var ids []int64
		err := t.each(ctx, `
			SELECT   record_id
			FROM     member_sources
			WHERE    tenant_id = $1
			ORDER BY record_id
			LIMIT    $2`, []any{from.TenantID, n}, func(s scanner) error {
			var id int64
			err := s.Scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil {
			return err
		}
		through := int64(-1)
		if len(ids) < n {
			through = 0
		}
		if err := swapCursor(ctx, t, from, through); err != nil {
			return err
		}
		for _, id := range ids {
			for _, query := range []string{
				"DELETE FROM member_claims WHERE record_id = $1",
				"DELETE FROM member_sources WHERE record_id = $1",
				"DELETE FROM members WHERE id = $1", // of this one, or of another that is gone as well in the end
			} {
				if _, err := t.exec(ctx, query, id); err != nil {
					return err
				}
			}
		}
		if through < 0 {
			return nil
		}
		// The log is made anew with the members. What was undone is history.
		_, err = t.exec(ctx, "DELETE FROM member_merges WHERE tenant_id = $1 AND undone_at IS NULL", from.TenantID)
		return err
	})
	if err != nil {
		return fmt.Errorf("clear members of tenant %d: %w", from.TenantID, err)
	}
	return nil
}

// tuples returns n rows of VALUES with that many columns.
func tuples(n, columns int) string {
	row := "(" + holes(columns) + ")"
	return row + repeated(", "+row, n-1)
}
