package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// The benchmarks of a pair are compared with each other: apply with the raw upsert
// of the same records into the same table, group commit with a transaction each.

// raw opens a database with the store's schema and pragmas and nothing else.
func raw(tb testing.TB) *sql.DB {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), databaseName)
	dsn := strings.Replace(writerDSN(file, Options{}), "wal_autocheckpoint%280%29", "wal_autocheckpoint%284000%29", 1)
	db, err := sql.Open("sqlite", dsn)
	require.NoError(tb, err)
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(tb.Context())
	require.NoError(tb, err)
	_, err = migrate(tb.Context(), conn, file, Options{migrations: migrations})
	require.NoError(tb, errors.Join(err, conn.Close()))
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

// report gives records per second.
func report(b *testing.B, perOp int) {
	b.ReportMetric(float64(b.N)*float64(perOp)/b.Elapsed().Seconds(), "rec/s")
}

// BenchmarkRawUpsert is the ceiling: multi-row upserts of 100 through database/sql,
// a transaction each 1,000, without hashes, guards, counters or streams.
func BenchmarkRawUpsert(b *testing.B) {
	for _, unchanged := range []bool{false, true} {
		b.Run(fmt.Sprintf("unchanged=%t", unchanged), func(b *testing.B) {
			db := raw(b)
			query := `
				INSERT INTO records (integration_id, pos, kind, external_id, parent_kind, parent_id, version, occurred_at, deleted, hash, data)
				VALUES ` + strings.TrimSuffix(strings.Repeat("("+holes(11)+"),", 100), ",") + `
				ON CONFLICT (integration_id, kind, external_id) DO UPDATE
				SET   parent_kind = excluded.parent_kind, parent_id = excluded.parent_id, version = excluded.version,
				      occurred_at = excluded.occurred_at, deleted = excluded.deleted, hash = excluded.hash, pos = excluded.pos, data = excluded.data
				WHERE records.hash IS DISTINCT FROM excluded.hash`
			hash := make([]byte, 16)
			ctx := context.WithoutCancel(b.Context()) // to watch one that can end costs as much again
			page := func(n int) {
				t, err := db.BeginTx(ctx, nil)
				require.NoError(b, err)
				stmt, err := t.PrepareContext(ctx, query)
				require.NoError(b, err)
				defer stmt.Close() //nolint:errcheck // nothing is left to fail
				rs := records(1000*n, 1000)
				args := make([]any, 0, 1100)
				for k := range 10 {
					args = args[:0]
					for i := range 100 {
						r := &rs[100*k+i]
						args = append(args, int64(1), int64(1000*n+100*k+i+1), r.Kind, r.ExternalID, nil, nil, nil, r.OccurredAt.UnixMilli(), int64(0), hash, string(r.Data))
					}
					_, err := stmt.ExecContext(ctx, args...)
					require.NoError(b, err)
				}
				require.NoError(b, t.Commit())
			}
			if unchanged {
				for n := range 50 {
					page(n)
				}
			}
			b.ResetTimer()
			for n := range b.N {
				if unchanged {
					n %= 50
				}
				page(n)
			}
			report(b, 1000)
		})
	}
}

// BenchmarkApply applies segments of one stream, and of several at once.
func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		records, streams int
		unchanged        bool
	}{{1000, 1, false}, {1000, 4, false}, {100, 16, false}, {100, 1, false}, {1000, 1, true}, {100, 16, true}} {
		b.Run(fmt.Sprintf("records=%d/streams=%d/unchanged=%t", c.records, c.streams, c.unchanged), func(b *testing.B) {
			w := newBench(b, Options{}, c.streams)
			segs := make([]store.Segment, c.streams)
			for i := range segs {
				segs[i] = w.segment(i)
			}
			const warm = 50_000
			apply := func(seg *store.Segment, page int) {
				seg.Records = records(page*c.records, c.records)
				seg.Checkpoint = []byte("checkpoint")
				a, err := w.db.Apply(b.Context(), *seg)
				if err != nil {
					b.Error(err)
				}
				seg.Seq = a.Seq
			}
			if c.unchanged {
				for n := range warm / c.records {
					apply(&segs[0], n)
				}
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			pages := make(chan int)
			for i := range segs {
				wg.Go(func() {
					for n := range pages {
						if c.unchanged {
							n %= warm / c.records
						}
						apply(&segs[i], n)
					}
				})
			}
			for n := range b.N {
				pages <- n
			}
			close(pages)
			wg.Wait()
			report(b, c.records)
		})
	}
}

// BenchmarkStateUpdates renews leases for 64 callers, grouped and in a
// transaction each.
func BenchmarkStateUpdates(b *testing.B) {
	const callers = 64
	run := func(b *testing.B, update func(n int) error) {
		var wg sync.WaitGroup
		work := make(chan struct{})
		b.ResetTimer()
		for n := range callers {
			wg.Go(func() {
				for range work {
					if err := update(n); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for range b.N {
			work <- struct{}{}
		}
		close(work)
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	}
	b.Run("grouped", func(b *testing.B) {
		w := newBench(b, Options{}, callers)
		run(b, func(n int) error {
			return w.db.update(b.Context(), func(ctx context.Context, t *tx) error {
				_, err := t.exec(ctx, "UPDATE streams SET updated_at = $2 WHERE id = $1", w.streams[n].ID, time.Now().UnixNano())
				return err
			})
		})
	})
	b.Run("each", func(b *testing.B) {
		db := raw(b)
		for n := range callers {
			_, err := db.ExecContext(b.Context(), `
				INSERT INTO streams (id, run_id, integration_id, type, phase, ident, limit_key, state, due_at, created_at, updated_at)
				VALUES ($1, $1, 1, 'root', 2, 'a', 'k', 'pending', 0, 0, 0)`, n+1)
			require.NoError(b, err)
		}
		stmt, err := db.PrepareContext(b.Context(), "UPDATE streams SET updated_at = $2 WHERE id = $1") //nolint:sqlclosecheck // it is, below
		require.NoError(b, err)
		defer stmt.Close() //nolint:errcheck // nothing is left to fail
		ctx := context.WithoutCancel(b.Context())
		run(b, func(n int) error {
			_, err := stmt.ExecContext(ctx, n+1, time.Now().UnixNano())
			return err
		})
	})
}

// BenchmarkClaims claims and completes streams, with that many waiting; and with
// half of them under a limit key that is throttled.
func BenchmarkClaims(b *testing.B) {
	for _, c := range []struct {
		waiting   int
		throttled bool
	}{{100_000, false}, {100_000, true}, {1_000_000, false}} {
		b.Run(fmt.Sprintf("waiting=%d/throttled=%t", c.waiting, c.throttled), func(b *testing.B) {
			if testing.Short() && c.waiting > 100_000 {
				b.Skip("a million streams")
			}
			w := newBench(b, Options{NoSync: true}, 0)
			fill(b, w, c.waiting, c.throttled)
			b.ResetTimer()
			for n := 0; n < b.N; {
				streams, err := w.db.ClaimStreams(b.Context(), w.lane.Ref(), w.run.ID, 16)
				require.NoError(b, err)
				if len(streams) == 0 {
					b.Fatal("none left")
				}
				var wg sync.WaitGroup
				for _, s := range streams {
					wg.Go(func() {
						_, err := w.db.Apply(b.Context(), store.Segment{
							Lane: w.lane.Ref(), Generation: w.lane.Generation, RunID: w.run.ID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq,
							End: &store.StreamEnd{State: store.StreamProcessed, Answered: true},
						})
						if err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				n += len(streams)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "streams/s")
		})
	}
}

// fill puts waiting streams straight into the run.
func fill(b *testing.B, w *bench, n int, throttled bool) {
	b.Helper()
	require.NoError(b, w.db.update(b.Context(), func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, `
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
			INSERT INTO streams (run_id, integration_id, type, phase, connector, ident, limit_key, state, due_at, created_at, updated_at)
			SELECT $1, $2, 'root', 201, 'commits', 'n' || i, CASE WHEN $4 = 1 AND i % 2 = 0 THEN 'a:throttled' ELSE 'b:free' END, 'pending', i, 0, 0 FROM n`,
			w.run.ID, w.run.IntegrationID, n, flag(throttled)); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "UPDATE runs SET n_pending = $2, phase = 201, planned_at = 1 WHERE id = $1", w.run.ID, n); err != nil {
			return err
		}
		_, err := t.exec(ctx, "INSERT INTO throttles (plugin, key, until, since) VALUES ('git', 'a:throttled', $1, $2)", t.ms+3_600_000, t.ms)
		return err
	}))
}
