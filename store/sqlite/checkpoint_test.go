package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: F12
//
// A reader that is never closed lets the log grow, which the status tells; it holds
// nobody up, and when it is gone the room is given back.
func TestALongReaderAndTheLog(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{NoSync: true})
	rows, err := db.read.QueryContext(t.Context(), "SELECT name FROM meta")
	require.NoError(t, err)
	defer rows.Close() //nolint:errcheck // closed below, unless the test has failed
	require.True(t, rows.Next())
	require.NoError(t, rows.Err())
	for range 200 {
		require.NoError(t, db.update(t.Context(), func(ctx context.Context, t *tx) error {
			_, err := t.exec(ctx, "INSERT INTO events (at, kind, data) VALUES (1, 'test', '\"' || hex(zeroblob(50000)) || '\"')")
			return err
		}))
	}
	log := func() int64 {
		st, err := db.Status(t.Context())
		require.NoError(t, err)
		return st.WALBytes
	}
	grown := log()
	require.Greater(t, grown, int64(longLog))
	c, err := newCheckpointer(filepath.Join(db.path, databaseName), Options{}, db.write)
	require.NoError(t, err)
	defer c.db.Close() //nolint:errcheck // it has written nothing
	c.shorten(t.Context())
	require.Equal(t, grown, log(), "it is read")
	require.NoError(t, rows.Close())
	require.Eventually(t, func() bool {
		c.shorten(t.Context())
		return log() == 0
	}, time.Minute, 20*time.Millisecond)
}

// rows: F12
func TestReadsEnd(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{NoSync: true})
	err := db.list(t.Context(), "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c", nil, func(scanner) error { return nil })
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
