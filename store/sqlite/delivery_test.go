package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// died copies what the process of b would leave behind if it were killed now.
func (b *bench) died(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	require.NoError(t, makeDir(dir))
	for _, part := range parts[:2] {
		require.NoError(t, copyFile(t.Context(), filepath.Join(b.db.Path(), databaseName+part), filepath.Join(dir, databaseName+part)))
	}
	return dir
}

// rows: C32, D22
//
// Work was taken off the queue before it was done: whoever died with it lost it.
// Here a claim is no receipt: what is not applied is handed out again, and what is
// applied is not.
func TestD22AClaimIsNoReceipt(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 3)
	done := b.segment(0)
	done.Records = records(0, 10)
	done.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true}
	_, err := b.db.Apply(t.Context(), done)
	require.NoError(t, err)

	db := openTemp(t, Options{Path: b.died(t)})
	lanes, err := db.ClaimLanes(t.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Hour})
	require.NoError(t, err)
	require.Len(t, lanes, 1)
	again, err := db.ClaimStreams(t.Context(), lanes[0].Ref(), b.run.ID, 10)
	require.NoError(t, err)
	var got []int64
	for _, s := range again {
		got = append(got, s.ID)
	}
	require.ElementsMatch(t, []int64{b.streams[1].ID, b.streams[2].ID}, got)
	found, err := db.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
}
