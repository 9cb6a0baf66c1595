//go:build unix

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// claimsFor is how long streams are claimed and completed in one measurement.
const claimsFor = 2 * time.Second

// measureClaims compares how many streams are claimed and completed while a
// million wait with how many while a hundred thousand do, and while half of those
// wait for a rate limit.
func measureClaims(t *testing.T, f *figures) {
	t.Helper()
	var few, deep, throttled []float64
	for range figuresRounds - 2 {
		few = append(few, claims(t, 100_000, false))
		deep = append(deep, claims(t, 1_000_000, false))
		throttled = append(throttled, claims(t, 100_000, true))
	}
	f.ratio("streams claimed and completed with 1,000,000 waiting, against 100,000", median(deep)/median(few), 0.8)
	f.ratio("the same with half of them throttled", median(throttled)/median(few), 0.9)
	f.plain("  with 100,000 waiting", fmt.Sprintf("%.1f k/s", median(few)))
}

// claims returns thousands of streams per second.
func claims(t *testing.T, waiting int, throttled bool) float64 {
	t.Helper()
	dir := t.TempDir()
	c := newClaimed(t, dir, 1)
	runID, integrationID := c.run.ID, c.run.IntegrationID
	require.NoError(t, c.db.Close())
	plant(t, dir, runID, integrationID, waiting, throttled)
	ctx := untimed(t)
	db, err := sqlite.Open(ctx, sqlite.Options{Path: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	lanes, err := db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"load"}, Limit: 1, Lease: time.Hour})
	require.NoError(t, err)
	require.Len(t, lanes, 1)
	began, done := time.Now(), 0
	for time.Since(began) < claimsFor {
		streams, err := db.ClaimStreams(ctx, lanes[0].Ref(), runID, 16)
		require.NoError(t, err)
		require.NotEmpty(t, streams)
		complete(ctx, t, db, lanes[0], streams)
		done += len(streams)
	}
	return rate(done, time.Since(began))
}

// complete ends the streams, each by a caller of its own.
func complete(ctx context.Context, t *testing.T, db *sqlite.DB, lane store.Lane, streams []store.Stream) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, len(streams))
	for i, s := range streams {
		wg.Go(func() {
			_, errs[i] = db.Apply(ctx, store.Segment{
				Lane: lane.Ref(), Generation: lane.Generation, RunID: s.RunID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq,
				End: &store.StreamEnd{State: store.StreamProcessed, Answered: true},
			})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// plant puts waiting streams straight into a closed store's run, copies of the one
// that it has; of throttled ones each second has a limit key that is in force.
func plant(t *testing.T, dir string, runID, integrationID int64, n int, throttled bool) {
	t.Helper()
	db := openRaw(t, dir)
	defer func() { require.NoError(t, db.Close()) }()
	ctx := untimed(t)
	_, err := db.ExecContext(ctx, `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
		INSERT INTO streams (run_id, integration_id, type, phase, connector, ident, limit_key, state, due_at, created_at, updated_at)
		SELECT $1, $2, 'root', (SELECT max(phase) FROM streams WHERE run_id = $1 AND type = 'root'), 'things', 'n' || i,
		       CASE WHEN $4 AND i % 2 = 0 THEN 'a:throttled' ELSE 'b:free' END, 'pending', i, 0, 0
		FROM   n`, runID, integrationID, n, throttled)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, "UPDATE runs SET n_pending = n_pending + $2 WHERE id = $1", runID, n)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, "INSERT INTO throttles (plugin, key, until, since) VALUES ('load', 'a:throttled', $1, $2)", time.Now().Add(time.Hour).UnixMilli(), time.Now().UnixMilli())
	require.NoError(t, err)
}

// Readers list records at once in measureReads, each as often as a busy page would.
// More would keep the processors from the writer, which has to be as busy as it can.
const (
	readers     = 4
	readsEvery  = 10 * time.Millisecond
	readSeconds = 4
)

// measureReads measures a page of fifty records, read from a store whose writer is
// as busy as it can be.
func measureReads(t *testing.T, f *figures) {
	t.Helper()
	var p99s, medians, read, wrote []float64
	for range figuresRounds - 2 {
		took, segments := reads(t)
		p99s, medians = append(p99s, micros(percentile(took, 0.99))/1000), append(medians, micros(percentile(took, 0.5))/1000)
		read, wrote = append(read, float64(len(took))/readSeconds), append(wrote, rate(1000*segments, readSeconds*time.Second))
	}
	p99 := median(p99s)
	f.line("a page of 50 records under full write, p99", fmt.Sprintf("%.1f ms", p99), "<= 5.0 ms", p99 <= 5)
	f.plain("  the same, median", fmt.Sprintf("%.2f ms", median(medians)))
	f.plain("  reads meanwhile, and records written", fmt.Sprintf("%.0f/s, %s", median(read), krecs(median(wrote))))
}

// reads returns what each read took, and how many segments were written meanwhile.
func reads(t *testing.T) (all []time.Duration, segments int) {
	t.Helper()
	c := newClaimed(t, t.TempDir(), 1)
	defer func() { require.NoError(t, c.db.Close()) }()
	stop, wrote := make(chan struct{}), make(chan int, 1)
	seg := c.segment(0)
	apply := func(n int) {
		seg.Records = thousand(n)
		applied, err := c.db.Apply(untimed(t), seg)
		require.NoError(t, err)
		seg.Seq = applied.Seq
	}
	apply(0)
	go func() {
		n := 1
		defer func() { wrote <- n }()
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
				apply(n)
			}
		}
	}()
	var wg sync.WaitGroup
	took := make([][]time.Duration, readers)
	began := time.Now()
	for i := range readers {
		wg.Go(func() {
			next := time.NewTicker(readsEvery)
			defer next.Stop()
			for n := int64(0); time.Since(began) < readSeconds*time.Second; n++ {
				<-next.C
				at := time.Now()
				got, err := c.db.Records(untimed(t), store.RecordFilter{IntegrationID: c.run.IntegrationID, After: n * 13 % 900, Limit: 50})
				took[i] = append(took[i], time.Since(at))
				require.NoError(t, err)
				require.Len(t, got, 50)
			}
		})
	}
	wg.Wait()
	close(stop)
	segments = <-wrote
	for _, of := range took {
		all = append(all, of...)
	}
	return all, segments
}

func thousand(n int) []store.Record {
	records := make([]store.Record, 1000)
	for i := range records {
		records[i] = store.Record{Kind: "thing", ExternalID: fmt.Sprintf("%d-%d", n, i), Data: fmt.Appendf(nil, `{"filler":%q,"number":%d}`, strings.Repeat("x", 270), i)}
	}
	return records
}
