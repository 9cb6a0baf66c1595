package sqlite

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// exec runs a statement as if a part of the driver had forgotten to look first.
func (b *bench) exec(tb testing.TB, query string, args ...any) error {
	tb.Helper()
	return b.db.update(tb.Context(), func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, query, args...)
		return err
	})
}

// rows: C04, K12
func TestTheDatabaseItselfAllowsOneActiveRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 1) // its run is under way
	const insert = `
		INSERT INTO runs (integration_id, class, kind, state, connectors, params_sum, created_at, updated_at)
		VALUES ($1, 'pull', 'manual', 'pending', '[]', $2, 0, 0)`
	require.ErrorContains(t, b.exec(t, insert, b.run.IntegrationID, ""), "UNIQUE", "one that is open, of equal parameters")
	require.NoError(t, b.exec(t, insert, b.run.IntegrationID, "p"))
	require.ErrorContains(t, b.exec(t, insert, b.run.IntegrationID, "p"), "UNIQUE")
	require.ErrorContains(t, b.exec(t, "UPDATE runs SET state = 'processing' WHERE params_sum = 'p'"), "UNIQUE", "two under way")
}

// rows: K05
func TestARecordWithoutAHashIsUpdated(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 1)
	seg := b.segment(0)
	seg.Records = records(0, 1)
	a, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	require.NoError(t, b.exec(t, "UPDATE records SET hash = NULL, data = '{}'"))
	seg.Seq = a.Seq
	a, err = b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	require.Equal(t, store.RunStats{Read: 1, Updated: 1}, a.Stats)
	got, err := b.db.Records(t.Context(), store.RecordFilter{})
	require.NoError(t, err)
	require.Equal(t, string(seg.Records[0].Data), string(got[0].Data))
}

// rows: K09, F15
func TestANewEpochRaisesTheFence(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 1)
	require.NoError(t, b.db.Close())
	b.db = openTemp(t, Options{Path: b.db.Path()})
	lanes, err := b.db.ClaimLanes(t.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Minute})
	require.NoError(t, err)
	require.Len(t, lanes, 1)
	require.Equal(t, b.lane.Fence+2, lanes[0].Fence, "by the opening, and by the claim")
}

// rows: K11
func TestAnOrderlyReleaseTakesTheInterruptBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 1)
	interrupts := func() int {
		s, err := b.db.Stream(t.Context(), b.streams[0].ID)
		require.NoError(t, err)
		return s.Interrupts
	}
	again := func() {
		lanes, err := b.db.ClaimLanes(t.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Hour})
		require.NoError(t, err)
		require.Len(t, lanes, 1)
		b.lane = lanes[0]
		b.claim(t, 1)
	}
	for range 3 { // the store could not take the result, such as when the disk was full
		require.Equal(t, 1, interrupts())
		require.NoError(t, b.db.ReleaseLane(t.Context(), b.lane))
		require.Zero(t, interrupts())
		again()
	}
	require.NoError(t, b.exec(t, "UPDATE lanes SET lease_until = 0")) // its holder is not heard of any more
	again()
	require.Equal(t, 2, interrupts())
}

// A plain parameter in LIMIT makes SQLite compile a prepared statement anew at
// each use, which takes longer than to run it. What is kept prepared has none.
func TestStatementsOfClaimsAreCompiledOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 3)
	require.NoError(t, b.db.ReleaseLane(t.Context(), b.lane))
	lanes, err := b.db.ClaimLanes(t.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Hour})
	require.NoError(t, err)
	b.lane = lanes[0]
	b.claim(t, 1)
	plain := regexp.MustCompile(`LIMIT\s+(\$\d+|\?)\s*$`)
	limited := 0
	look := func(query string) {
		require.NotRegexp(t, plain, query)
		if strings.Contains(query, "LIMIT") {
			limited++
		}
	}
	for query := range b.db.hot {
		look(query)
	}
	require.NoError(t, b.db.update(t.Context(), func(_ context.Context, tx *tx) error {
		for query := range tx.stmts { // of the claims above among others
			look(query)
		}
		return nil
	}))
	require.Contains(t, b.db.hot, anyDueLaneQuery)
	require.Greater(t, limited, 3)
}
