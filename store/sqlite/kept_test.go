package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K17
//
// More cursors than are copied at once are all copied, whatever integration they are of,
// and all come back; those of another plugin are left alone.
func TestEveryCursorOfVeryManyIsKept(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	db := openTemp(t, Options{NoSync: true, Now: func() time.Time { return now }})
	per := []int{keptAtOnce - 1, 0, 2*keptAtOnce + 1, keptAtOnce, 3}
	for n := range per {
		plugin := "git"
		if n == len(per)-1 {
			plugin = "other"
		}
		require.NoError(t, db.ApplyChanges(t.Context(), []store.Change{{Op: store.ChangeCreate, UID: fmt.Sprint(n), Spec: store.IntegrationSpec{
			Tenant: "acme", Name: fmt.Sprint(n), Plugin: plugin, Connectors: []string{"a", "b"}, Every: -1, Enabled: true,
		}}}))
	}
	write := func(value string, per []int) {
		require.NoError(t, db.update(t.Context(), func(ctx context.Context, tx *tx) error {
			for n, count := range per {
				if _, err := tx.exec(ctx, `
					WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
					INSERT INTO cursors (integration_id, connector, partition, cursor, updated_at)
					SELECT $1, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, 'p' || i, $3, $4 FROM n WHERE i <= $2
					ON CONFLICT (integration_id, connector, partition) DO UPDATE
					SET    cursor = excluded.cursor, updated_at = excluded.updated_at`, n+1, count, []byte(value), tx.ms); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	have := func(value string) (counts []int) {
		counts = make([]int, len(per))
		require.NoError(t, db.list(t.Context(), "SELECT integration_id, count(*) FROM cursors WHERE cursor = $1 GROUP BY integration_id", []any{[]byte(value)}, func(s scanner) error {
			var id, n int
			err := s.Scan(&id, &n)
			counts[id-1] = n
			return err
		}))
		return counts
	}
	write("old", per)
	now = now.Add(time.Hour)
	for _, digest := range []string{"d1", "d2"} { // the second replaces the first
		require.NoError(t, db.KeepCursors(t.Context(), "git", digest))
	}
	now = now.Add(time.Minute)
	more := []int{per[0] + 5, 7, per[2], per[3], per[4]}
	write("new", more)
	require.Equal(t, more, have("new"))
	restored, err := db.RestoreCursors(t.Context(), "git", "")
	require.NoError(t, err)
	require.Equal(t, []string{"acme/0", "acme/1", "acme/2", "acme/3"}, restored)
	require.Equal(t, []int{per[0], 0, per[2], per[3], 0}, have("old"))
	require.Equal(t, []int{0, 0, 0, 0, per[4]}, have("new"))
	for more := true; more; {
		more, err = db.DropKept(t.Context(), nil)
		require.NoError(t, err)
	}
	left, err := db.any(t.Context(), "SELECT 1 FROM kept_cursors UNION ALL SELECT 1 FROM kept_watermarks UNION ALL SELECT 1 FROM kept_states")
	require.NoError(t, err)
	require.False(t, left)
}
