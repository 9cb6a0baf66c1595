package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackfield/jackfield/store"
)

// TakeTurns takes the next n turns of a bucket, each that long, and returns when
// the first of them begins. Nobody else gets them, and nobody gets them again after
// a restart. A scope in which too many buckets are in use is store.ErrLimit.
func (db *DB) TakeTurns(ctx context.Context, scope, key string, every time.Duration, n int) (from time.Time, err error) {
	if scope == "" || key == "" || every <= 0 || every > store.MaxBucketWindow || n < 1 {
		return time.Time{}, fmt.Errorf("take %d turns of %v from bucket %.80q of %q: %w", n, every, key, scope, invalid())
	}
	if len(key) > store.MaxBucketKeySize {
		return time.Time{}, fmt.Errorf("bucket %.80q: name over %d bytes: %w", key, store.MaxBucketKeySize, store.ErrLimit)
	}
	err = db.update(ctx, func(ctx context.Context, t *tx) error {
		next := t.ms
		err := t.get(ctx, "SELECT next_at FROM buckets WHERE scope = $1 AND key = $2", []any{scope, key}, &next)
		if errors.Is(err, sql.ErrNoRows) {
			err = makeBucketRoom(ctx, t, scope)
		}
		if err != nil {
			return err
		}
		if next < t.ms || next > t.ms+(store.MaxBucketWindow+store.MaxTurnsAhead).Milliseconds() {
			next = t.ms
		}
		from = fromMillis(next)
		end := from.Add(time.Duration(n) * every)
		after := end.UnixMilli()
		if end.After(fromMillis(after)) { // not a part of a millisecond too soon
			after++
		}
		_, err = t.exec(ctx, `
			INSERT INTO buckets (scope, key, next_at)
			VALUES ($1, $2, $3)
			ON CONFLICT (scope, key) DO UPDATE
			SET next_at = excluded.next_at`, scope, key, after)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("take turns of bucket %s of %s: %w", key, scope, err)
	}
	return from, nil
}

// makeBucketRoom forgets the buckets of a scope that are as good as new, and
// refuses one more if all others are in use. A scope has a bounded number of them.
func makeBucketRoom(ctx context.Context, t *tx, scope string) error {
	if _, err := t.exec(ctx, "DELETE FROM buckets WHERE scope = $1 AND next_at <= $2", scope, t.ms); err != nil {
		return err
	}
	var n int
	if err := t.get(ctx, "SELECT count(*) FROM buckets WHERE scope = $1", []any{scope}, &n); err != nil {
		return err
	}
	if n >= store.MaxBuckets {
		return fmt.Errorf("more than %d buckets: %w", store.MaxBuckets, store.ErrLimit)
	}
	return nil
}

// Throttles returns until when the keys of a plugin are held back, those that are.
func (db *DB) Throttles(ctx context.Context, plugin string, keys []string) (map[string]time.Time, error) {
	if len(keys) == 0 {
		return map[string]time.Time{}, nil
	}
	now := db.opts.Now().UnixMilli()
	args := []any{plugin, now, now + store.ClockSlack.Milliseconds()}
	for _, k := range keys {
		args = append(args, k)
	}
	out := map[string]time.Time{}
	err := db.list(ctx, `
		SELECT key, until
		FROM   throttles
		WHERE  plugin = ? AND until > ? AND since <= ? AND key IN (`+strings.TrimSuffix(strings.Repeat("?,", len(keys)), ",")+`)`, args, func(s scanner) error {
		var (
			key   string
			until int64
		)
		err := s.Scan(&key, &until)
		out[key] = fromMillis(until)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("throttles of plugin %s: %w", plugin, err)
	}
	return out, nil
}
