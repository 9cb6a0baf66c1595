package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: I03, I06, F24
//
// To cancel a run with very many streams writes no more than any portion does, and
// neither does what follows; the lanes of others are claimed meanwhile.
func TestACancelledRunOfManyStreamsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	many := 100_000
	if testing.Short() {
		many = 10_000
	}
	db := newSound(t, func(found []store.Violation) { require.Empty(t, found) })
	execRaw(t, db, fmt.Sprintf(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO streams (run_id, integration_id, type, phase, connector, ident, limit_key, state, due_at, created_at, updated_at)
		SELECT 2, 2, 'root', 200, 'a', 'n' || i, 'k' || (i %% 7), 'pending', i, 0, 0 FROM n`, many))
	execRaw(t, db, fmt.Sprintf("UPDATE runs SET n_pending = n_pending + %d WHERE id = 2", many))
	waiting := func() (n int) {
		require.NoError(t, db.list(t.Context(), "SELECT count(*) FROM streams WHERE run_id = 2 AND state IN ('pending', 'delayed')", nil, func(s scanner) error { return s.Scan(&n) }))
		return n
	}
	before := waiting()
	require.GreaterOrEqual(t, before, many)

	_, err := db.CancelRun(t.Context(), 2, "enough")
	require.NoError(t, err)
	require.Equal(t, cancelAtOnce, before-waiting())
	require.Empty(t, broken(t, db.Verify), "while they are being cancelled")
	require.Empty(t, broken(t, db.VerifyCheap))

	counted := func() (n int) {
		require.NoError(t, db.list(t.Context(), "SELECT sum(n_cancelled) FROM connector_statuses WHERE run_id = 2", nil, func(s scanner) error { return s.Scan(&n) }))
		return n
	}
	done, claimed := counted(), 0
	portions := 0
	for more := true; more; portions++ {
		var beside sync.WaitGroup
		beside.Go(func() {
			if claimOnce(t, db) {
				claimed++
			}
		})
		more, err = db.Purge(t.Context(), store.Retention{})
		beside.Wait()
		require.NoError(t, err)
		now := counted()
		require.LessOrEqual(t, now-done, portionRows+sliceRows, "rows of one transaction")
		done = now
		if portions == 10 {
			require.Empty(t, broken(t, db.Verify), "half way")
		}
	}
	require.Zero(t, waiting())
	require.Equal(t, before+1, done, "with the one that was worked on")
	require.GreaterOrEqual(t, portions, many/(portionRows+sliceRows))
	require.Equal(t, portions, claimed)
	require.Empty(t, broken(t, db.Verify))
	var rest int
	require.NoError(t, db.list(t.Context(), "SELECT count(*) FROM cancelling_runs", nil, func(s scanner) error { return s.Scan(&rest) }))
	require.Zero(t, rest)
}

// claimOnce makes the lane of integration 1 due, claims it and gives it back, and
// reports whether all of this went well.
func claimOnce(t *testing.T, db *DB) bool {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := db.Nudge(ctx, 1, store.ClassPull, time.UnixMilli(0)); err != nil {
		return false
	}
	lanes, err := db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"git"}, Limit: 4, Lease: time.Hour})
	if err != nil || len(lanes) == 0 {
		return false
	}
	for _, l := range lanes {
		if err := db.ReleaseLane(ctx, l); err != nil {
			return false
		}
	}
	return true
}
