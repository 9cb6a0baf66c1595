package sqlite

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/store"
)

// CacheGet returns a value that was put and has not expired.
func (db *DB) CacheGet(ctx context.Context, scope, key string) (value []byte, ok bool, err error) {
	err = db.list(ctx, `
		SELECT value
		FROM   cache
		WHERE  scope = $1 AND key = $2 AND expires_at > $3`, []any{scope, key, db.opts.Now().UnixMilli()}, func(s scanner) error {
		ok = true
		return s.Scan(&value)
	})
	if err != nil {
		return nil, false, fmt.Errorf("cached %s of %s: %w", key, scope, err)
	}
	return value, ok, nil
}

// CachePut keeps a value until it expires, or until its scope is full of values
// that expire later. What has expired in the scope is removed in passing.
func (db *DB) CachePut(ctx context.Context, e store.CacheEntry) error {
	if len(e.Value) > store.MaxCacheValueBytes || len(e.Key) > store.MaxExternalIDBytes {
		return fmt.Errorf("cache %.80q of %s: %d bytes, over %d: %w", e.Key, e.Scope, len(e.Value), store.MaxCacheValueBytes, store.ErrLimit)
	}
	if e.Key == "" || e.Scope == "" || e.ExpiresAt.IsZero() {
		return fmt.Errorf("cache %q of %q without an end: %w", e.Key, e.Scope, store.ErrInvalid)
	}
	value := e.Value
	if value == nil {
		value = []byte{}
	}
	err := db.update(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, "DELETE FROM cache WHERE scope = $1 AND expires_at <= $2", e.Scope, t.ms); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `
			INSERT INTO cache (scope, key, value, expires_at)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (scope, key) DO UPDATE
			SET value = excluded.value, expires_at = excluded.expires_at`, e.Scope, e.Key, value, e.ExpiresAt.UnixMilli()); err != nil {
			return err
		}
		_, err := t.exec(ctx, `
			DELETE FROM cache
			WHERE  scope = $1 AND key IN (
			       SELECT   key
			       FROM     cache
			       WHERE    scope = $1 AND key <> $2
			       ORDER BY expires_at DESC, key
			       LIMIT    $3 OFFSET $4)`, e.Scope, e.Key, store.MaxCacheEntries, store.MaxCacheEntries-1)
		return err
	})
	if err != nil {
		return fmt.Errorf("cache %s of %s: %w", e.Key, e.Scope, err)
	}
	return nil
}
