package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackfield/jackfield/store"
)

// A token of a tenant that there is no trace of is for a tenant without a name, not for
// all.
const keyColumns = ` t.id, t.name, coalesce(o.name, CASE WHEN t.tenant_id IS NULL THEN '' ELSE '?' END), t.scopes, t.created_at, t.expires_at, t.used_at, t.revoked_at
		FROM     tokens t
		LEFT JOIN tenants o ON o.id = t.tenant_id`

func scanToken(s scanner) (store.Token, error) {
	var (
		t                      store.Token
		scopes                 string
		created                int64
		expires, used, revoked moment
	)
	if err := s.Scan(&t.ID, &t.Name, &t.Tenant, &scopes, &created, &expires, &used, &revoked); err != nil {
		return t, err
	}
	t.CreatedAt, t.ExpiresAt, t.UsedAt, t.RevokedAt = fromMillis(created), expires.time(), used.time(), revoked.time()
	if err := json.Unmarshal([]byte(scopes), &t.Scopes); err != nil {
		return t, fmt.Errorf("read scopes of token %d: %w", t.ID, err)
	}
	return t, nil
}

// CreateToken keeps a token by the sum of what opens it. It returns
// store.ErrNotFound if there is no such tenant, and store.ErrLimit if there are too
// many. Old ones that are not valid any more go on this occasion. The event
// token.created has what it opens and who made it.
func (db *DB) CreateToken(ctx context.Context, token store.Token, sum []byte, by string) (created store.Token, err error) {
	if err := checkToken(token, sum); err != nil {
		return created, fmt.Errorf("create token: %w", err)
	}
	scopes, err := json.Marshal(token.Scopes)
	if err != nil {
		return created, fmt.Errorf("create token: %w", err)
	}
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		tenant, err := tokenTenant(ctx, t, token.Tenant)
		if err != nil {
			return err
		}
		if err := makeRoom(ctx, t); err != nil {
			return err
		}
		t.writes++
		created = token
		created.CreatedAt = fromMillis(t.ms)
		if err := t.get(ctx, `
			INSERT INTO tokens (name, tenant_id, scopes, sum, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING id`, []any{token.Name, tenant, string(scopes), sum, t.ms, millis(token.ExpiresAt)}, &created.ID); err != nil {
			return err
		}
		return addEvent(ctx, t, store.CodeTokenCreated, 0, 0, tokenEvent(created, by))
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("create token: %w", err)
	}
	return created, nil
}

// tokenEvent is what the events of a token tell: nothing that opens anything.
func tokenEvent(token store.Token, by string) map[string]any {
	data := map[string]any{"id": token.ID, "name": token.Name, "scopes": token.Scopes, "by": by}
	if token.Tenant != "" {
		data["tenant"] = token.Tenant
	}
	if !token.ExpiresAt.IsZero() {
		data["expires_at"] = token.ExpiresAt.UTC()
	}
	return data
}

func checkToken(t store.Token, sum []byte) error {
	if len(sum) != 32 || t.Name == "" || len(t.Name) > store.MaxTokenName || len(t.Scopes) == 0 {
		return fmt.Errorf("token %q with %d scopes: %w", t.Name, len(t.Scopes), store.ErrInvalid)
	}
	for _, s := range t.Scopes {
		if !slices.Contains(store.Scopes(), s) {
			return fmt.Errorf("scope %q: %w", s, store.ErrInvalid)
		}
	}
	return nil
}

// tokenTenant returns the id of the tenant that a token is for; nil for all.
func tokenTenant(ctx context.Context, t *tx, name string) (any, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // NULL
	}
	var id int64
	if err := t.get(ctx, "SELECT id FROM tenants WHERE name = $1 AND deleted_at IS NULL", []any{name}, &id); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, notFound(err))
	}
	return id, nil
}

// makeRoom removes some tokens that are long not valid any more, and refuses one more
// than there may be.
func makeRoom(ctx context.Context, t *tx) error {
	if _, err := t.exec(ctx, `
		DELETE FROM tokens
		WHERE  id IN (SELECT id FROM tokens WHERE coalesce(revoked_at, expires_at) < $1 ORDER BY id LIMIT 100)`,
		t.ms-store.KeepOldTokens.Milliseconds()); err != nil {
		return fmt.Errorf("remove old tokens: %w", err)
	}
	var n int
	if err := t.get(ctx, "SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)", []any{t.ms}, &n); err != nil {
		return fmt.Errorf("count tokens: %w", err)
	}
	if n >= store.MaxTokens {
		return store.Hint(fmt.Errorf("there are %d tokens (max_tokens): %w", n, store.ErrLimit), "revoke those that nobody uses: jackfield token list")
	}
	return nil
}

// Tokens returns tokens in the order they were made, also those that are not valid
// any more.
func (db *DB) Tokens(ctx context.Context, f store.TokenFilter) ([]store.Token, error) {
	limit := f.Limit
	if limit == 0 {
		limit = 100
	}
	var out []store.Token
	err := db.list(ctx, `SELECT`+keyColumns+`
		WHERE    t.id > $1 AND ($2 = '' OR o.name = $2)
		ORDER BY t.id
		LIMIT    $3`, []any{f.After, f.Tenant, limit}, func(s scanner) error {
		t, err := scanToken(s)
		out = append(out, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return out, nil
}

// Token returns one, valid or not.
func (db *DB) Token(ctx context.Context, id int64) (token store.Token, err error) {
	if err := db.get(ctx, `SELECT`+keyColumns+` WHERE t.id = $1`, []any{id}, func(s scanner) (err error) {
		token, err = scanToken(s)
		return err
	}); err != nil {
		return store.Token{}, fmt.Errorf("token %d: %w", id, err)
	}
	return token, nil
}

// TokenBySum returns the token of what opens it, valid or not.
func (db *DB) TokenBySum(ctx context.Context, sum []byte) (token store.Token, err error) {
	if err := db.get(ctx, tokenBySumQuery, []any{sum}, func(s scanner) (err error) {
		token, err = scanToken(s)
		return err
	}); err != nil {
		return store.Token{}, fmt.Errorf("token: %w", err)
	}
	return token, nil
}

const tokenBySumQuery = `SELECT` + keyColumns + `
		WHERE t.sum = $1`

// UseToken notes that a token was used, to the hour.
func (db *DB) UseToken(ctx context.Context, id int64, at time.Time) error {
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, "UPDATE tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)",
			id, at.Truncate(store.TokenUseGrain).UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("note the use of token %d: %w", id, err)
	}
	return nil
}

// RevokeToken ends a token, with the event token.revoked. One that was revoked stays as
// it is.
func (db *DB) RevokeToken(ctx context.Context, id int64, by string) (token store.Token, err error) {
	err = db.always(ctx, func(ctx context.Context, t *tx) error {
		ended, err := t.exec(ctx, "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, t.ms)
		if err != nil {
			return err
		}
		row, err := t.row(ctx, `SELECT`+keyColumns+` WHERE t.id = $1`, id)
		if err != nil {
			return err
		}
		if token, err = scanToken(row); err != nil || ended == 0 {
			return notFound(err)
		}
		return addEvent(ctx, t, store.CodeTokenRevoked, 0, 0, tokenEvent(token, by))
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("revoke token %d: %w", id, err)
	}
	return token, nil
}
