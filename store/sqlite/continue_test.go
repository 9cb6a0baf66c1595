package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: C37, F24
//
// To make the streams of a run due writes no more at once than a portion, however many
// wait; those that are due already are left as they are.
func TestAHurriedRunOfManyStreamsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	many := 20_000
	if testing.Short() {
		many = 4_000
	}
	db := newSound(t, func(found []store.Violation) { require.Empty(t, found) })
	execRaw(t, db, fmt.Sprintf(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO streams (run_id, integration_id, type, phase, connector, ident, limit_key, state, due_at, created_at, updated_at)
		SELECT 2, 2, 'root', 200, 'a', 'n' || i, 'k', 'pending', 1 << 50, 0, 0 FROM n`, many))
	execRaw(t, db, fmt.Sprintf("UPDATE runs SET n_pending = n_pending + %d WHERE id = 2", many))
	count := func(where string) (n int) {
		require.NoError(t, db.list(t.Context(), "SELECT count(*) FROM streams WHERE run_id = 2 AND "+where, nil, func(s scanner) error { return s.Scan(&n) }))
		return n
	}
	require.Equal(t, many, count("due_at = 1 << 50"))
	old := count("due_at < 1 << 50")
	var most, sum atomic.Int64
	commit := db.write.commit
	db.write.commit = func(ctx context.Context) error { // the writer is idle
		most.Store(max(most.Load(), db.write.tx.writes))
		sum.Add(db.write.tx.writes)
		return commit(ctx)
	}
	_, err := db.ContinueRun(t.Context(), 2)
	require.NoError(t, err)
	require.Zero(t, count("due_at = 1 << 50"))
	require.Equal(t, many+old, count("due_at < 1 << 50"))
	require.GreaterOrEqual(t, sum.Load(), int64(many))
	require.LessOrEqual(t, most.Load(), int64(portionRows+10), "rows of one transaction")
	require.Empty(t, broken(t, db.Verify))
}
