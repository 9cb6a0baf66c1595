package sqlite

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: I11, F24, K24
//
// Each cap of the store is passed by one, and its name comes back; at the cap all
// is well.
func TestI11WhatPassesACapOfTheStoreHasAName(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	rec := func(change func(*store.Record)) store.Record {
		r := store.Record{Kind: "k", ExternalID: "1", Data: []byte(`{}`)}
		change(&r)
		return r
	}
	sql := func(query string) func(t *testing.T, b *bench, n int) {
		return func(t *testing.T, b *bench, n int) {
			require.NoError(t, b.db.update(t.Context(), func(ctx context.Context, tx *tx) error {
				_, err := tx.exec(ctx, query, n)
				return err
			}))
		}
	}
	for name, c := range map[string]struct {
		at    int
		given func(t *testing.T, b *bench, n int) // before it, if not nil
		fill  func(seg *store.Segment, n int)
		want  string
	}{
		"MaxKindBytes": {64, nil, func(seg *store.Segment, n int) {
			seg.Records = []store.Record{rec(func(r *store.Record) { r.Kind = long(n) })}
		}, "kind over 64 bytes"},
		"MaxExternalIDBytes": {512, nil, func(seg *store.Segment, n int) {
			seg.Records = []store.Record{rec(func(r *store.Record) { r.ExternalID = long(n) })}
		}, "id over 512 bytes"},
		"MaxVersionBytes": {128, nil, func(seg *store.Segment, n int) {
			seg.Records = []store.Record{rec(func(r *store.Record) { r.Version = []byte(long(n)) })}
		}, "version over 128 bytes"},
		"MaxRecordBytes": {1 << 20, nil, func(seg *store.Segment, n int) {
			seg.Records = []store.Record{rec(func(r *store.Record) { r.Data = []byte(`{"a":"` + long(n-8) + `"}`) })}
		}, "1048577 bytes of data, over 1048576"},
		"MaxSegmentBytes": {4 << 20, nil, func(seg *store.Segment, n int) { seg.Checkpoint = make([]byte, n) }, "segment of 4194305 bytes, over 4194304"},
		"MaxStreamDataBytes": {64 << 10, nil, func(seg *store.Segment, n int) {
			seg.Streams = []store.NewStream{{Ident: "x", Connector: "commits", Data: make([]byte, n)}}
		}, "65537 bytes of data, over 65536"},
		"MaxExternalIDBytes of a stream": {512, nil, func(seg *store.Segment, n int) {
			seg.Streams = []store.NewStream{{Ident: "x", Connector: "commits", LimitKey: long(n)}}
		}, "name over 512 bytes"},
		"MaxServiceValueBytes": {64 << 10, nil, func(seg *store.Segment, n int) { seg.Service = map[string][]byte{"k": make([]byte, n)} }, "65537 bytes, over 65536"},
		"MaxStreamsPerRun": {1_000_000 - 1, sql("UPDATE runs SET n_processed = n_processed + $1 - n_pending - n_processing - n_processed"), func(seg *store.Segment, _ int) {
			seg.Streams = []store.NewStream{{Ident: "one more", Connector: "commits"}}
		}, "more than 1000000 streams in a run"},
		"MaxPagesPerStream": {100_000 - 2, sql("UPDATE streams SET pages = $1"), func(seg *store.Segment, _ int) {
			seg.End = &store.StreamEnd{State: store.StreamPending, Answered: true, NextPage: []byte("next")}
		}, "more than 100000 pages in a stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{NoSync: true}, 2)
			for i, n := range []int{c.at, c.at + 1} {
				if c.given != nil {
					c.given(t, b, n)
				}
				seg := b.segment(i)
				c.fill(&seg, n)
				_, err := b.db.Apply(t.Context(), seg)
				if n == c.at {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, store.ErrLimit)
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

// rows: I11
func TestI11TheCacheIsBounded(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{NoSync: true})
	put := func(e store.CacheEntry) error {
		e.Scope, e.ExpiresAt = "plugin:p", time.Now().Add(time.Hour)
		return db.CachePut(t.Context(), e)
	}
	require.NoError(t, put(store.CacheEntry{Key: "k", Value: make([]byte, store.MaxCacheValueBytes)}))
	require.ErrorIs(t, put(store.CacheEntry{Key: "k", Value: make([]byte, store.MaxCacheValueBytes+1)}), store.ErrLimit)
	require.ErrorIs(t, put(store.CacheEntry{Key: strings.Repeat("x", store.MaxExternalIDBytes+1)}), store.ErrLimit)
	for n := range store.MaxCacheEntries + 5 {
		require.NoError(t, put(store.CacheEntry{Key: "n" + time.Duration(n).String(), Value: []byte("v")}))
	}
	var n int
	require.NoError(t, db.list(t.Context(), "SELECT count(*) FROM cache", nil, func(s scanner) error { return s.Scan(&n) }))
	require.Equal(t, store.MaxCacheEntries, n, "those that expire first go")
}
