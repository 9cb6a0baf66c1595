//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// claimed is a store with streams to apply to.
type claimed struct {
	db      *sqlite.DB
	lane    store.Lane
	run     store.Run
	streams []store.Stream
}

// newClaimed opens a store, plans a run of n streams and claims them.
func newClaimed(t *testing.T, dir string, n int) *claimed {
	t.Helper()
	ctx := t.Context()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: dir})
	require.NoError(t, err)
	c := &claimed{db: db}
	require.NoError(t, db.ApplyChanges(ctx, []store.Change{{Op: store.ChangeCreate, UID: "a1", Sync: true, Spec: store.IntegrationSpec{
		Tenant: "acme", Name: "load", Plugin: "load", Connectors: []string{"things"}, Every: -1, Enabled: true,
	}}}))
	in, err := db.IntegrationByUID(ctx, "a1")
	require.NoError(t, err)
	run, _, err := db.RequestRun(ctx, store.RunRequest{IntegrationID: in.ID, Kind: store.RunOnboarding})
	require.NoError(t, err)
	lanes, err := db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"load"}, Limit: 1, Lease: time.Hour})
	require.NoError(t, err)
	require.Len(t, lanes, 1)
	c.lane = lanes[0]
	c.run, err = db.BeginRun(ctx, c.lane.Ref(), run.ID, store.RunBegin{})
	require.NoError(t, err)
	c.claim(t, 1)
	plan := c.segment(0)
	for i := range n {
		plan.Streams = append(plan.Streams, store.NewStream{Ident: fmt.Sprint(i), Connector: "things"})
	}
	plan.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
	_, err = db.Apply(ctx, plan)
	require.NoError(t, err)
	c.claim(t, n)
	return c
}

func (c *claimed) claim(t *testing.T, n int) {
	t.Helper()
	var err error
	c.streams, err = c.db.ClaimStreams(t.Context(), c.lane.Ref(), c.run.ID, n)
	require.NoError(t, err)
	require.Len(t, c.streams, n)
}

// segment returns an empty segment of a stream.
func (c *claimed) segment(n int) store.Segment {
	s := c.streams[n]
	return store.Segment{
		Lane: c.lane.Ref(), Generation: c.lane.Generation, RunID: c.run.ID, StreamID: s.ID, Claim: s.Claim, Seq: s.Seq,
	}
}

// measureWAL applies records that are stored already and compares how much the
// log grows with what the same apply without records takes.
func measureWAL(t *testing.T, f *figures) {
	t.Helper()
	dir := t.TempDir()
	c := newClaimed(t, dir, 1)
	defer func() { require.NoError(t, c.db.Close()) }()
	records := make([]store.Record, 10_000) // fewer than would have the log written back
	for i := range records {
		records[i] = store.Record{
			Kind: "thing", ExternalID: fmt.Sprintf("s0000-%d", i),
			Data: fmt.Appendf(nil, `{"filler":%q,"number":%d}`, strings.Repeat("x", 270), i),
		}
	}
	seg := c.segment(0)
	apply := func(records []store.Record) (grown int64, stats store.RunStats) {
		t.Helper()
		before := fileBytes(t, filepath.Join(dir, "jackfield.db-wal"))
		seg.Records = records
		applied, err := c.db.Apply(t.Context(), seg)
		require.NoError(t, err)
		seg.Seq = applied.Seq
		return fileBytes(t, filepath.Join(dir, "jackfield.db-wal")) - before, applied.Stats
	}
	imported, stats := apply(records)
	require.EqualValues(t, len(records), stats.Added)
	apply(records) // the counters have now the size that they keep
	empty, _ := apply(nil)
	unchanged, stats := apply(records)
	require.EqualValues(t, len(records), stats.Unchanged)
	require.Positive(t, empty)
	f.most("bytes of log for 10,000 unchanged records", float64(unchanged-empty), 0, "bytes")
	f.plain("  the same for 10,000 new ones", fmt.Sprintf("%.1f MB", float64(imported-empty)/1e6))
}

func fileBytes(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// callers write at once in measureUpdates.
const callers = 64

// measureUpdates moves streams one segment further: by Apply, which groups what
// waits and checks all its guards, and by a bare guarded update in a transaction
// of its own.
func measureUpdates(t *testing.T, f *figures) {
	t.Helper()
	var grouped, each, ratios []float64
	for range figuresRounds {
		g, e := groupedUpdates(t), eachUpdates(t)
		grouped, each, ratios = append(grouped, g), append(each, e), append(ratios, g/e)
	}
	f.ratio("state updates by group commit, 64 callers, against a transaction each", median(ratios), 4)
	f.plain("  grouped", fmt.Sprintf("%.1f k/s", median(grouped)))
	f.plain("  a transaction each", fmt.Sprintf("%.1f k/s", median(each)))
}

func groupedUpdates(t *testing.T) float64 {
	t.Helper()
	c := newClaimed(t, t.TempDir(), callers)
	defer func() { require.NoError(t, c.db.Close()) }()
	segs := make([]store.Segment, callers)
	for i := range segs {
		segs[i] = c.segment(i)
	}
	return updates(t, func(ctx context.Context, caller, n int) error {
		segs[caller].Checkpoint = fmt.Append(nil, n)
		applied, err := c.db.Apply(ctx, segs[caller])
		segs[caller].Seq = applied.Seq
		return err
	})
}

func eachUpdates(t *testing.T) float64 {
	t.Helper()
	dir := t.TempDir()
	c := newClaimed(t, dir, callers)
	require.NoError(t, c.db.Close())
	db := openRaw(t, dir)
	defer func() { require.NoError(t, db.Close()) }()
	ctx := untimed(t)
	stmt, err := db.PrepareContext(ctx, `
		UPDATE streams
		SET    seq = seq + 1, checkpoint = $3, updated_at = $4
		WHERE  id = $1 AND seq = $2`)
	require.NoError(t, err)
	defer func() { require.NoError(t, stmt.Close()) }()
	seqs := make([]int64, callers)
	for i, s := range c.streams {
		seqs[i] = s.Seq
	}
	return updates(t, func(ctx context.Context, caller, n int) error {
		res, err := stmt.ExecContext(ctx, c.streams[caller].ID, seqs[caller], fmt.Append(nil, n), time.Now().UnixMilli())
		if err != nil {
			return err
		}
		seqs[caller]++
		if moved, err := res.RowsAffected(); err != nil || moved != 1 {
			return fmt.Errorf("moved %d streams: %w", moved, store.ErrConflict)
		}
		return nil
	})
}

// updates runs fn by all callers for a while and returns thousands per second.
func updates(t *testing.T, fn func(ctx context.Context, caller, n int) error) float64 {
	t.Helper()
	const long = time.Second
	ctx := untimed(t)
	var wg sync.WaitGroup
	counts := make([]int, callers)
	errs := make([]error, callers)
	began := time.Now()
	for caller := range callers {
		wg.Go(func() {
			for errs[caller] == nil && time.Since(began) < long {
				errs[caller] = fn(ctx, caller, counts[caller])
				counts[caller]++
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	total := 0
	for caller := range callers {
		require.NoError(t, errs[caller])
		total += counts[caller]
	}
	return rate(total, took)
}
