package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F09
//
// What ends while the disk is full is kept if there is room for it, and nothing is
// begun with it.
func TestNothingIsClaimedWithAnEndWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{}, 65) // one is left
	end := func(n int) store.Applied {
		seg := b.segment(n)
		seg.End = &store.StreamEnd{State: store.StreamProcessed, Answered: true, Next: 1}
		a, err := b.db.Apply(t.Context(), seg)
		require.NoError(t, err)
		require.True(t, a.Done)
		return a
	}
	b.db.room.full.Store(true)
	a := end(0)
	require.Empty(t, a.Next)
	require.False(t, a.Drained, "nobody has looked")
	b.db.room.full.Store(false)
	require.Len(t, end(1).Next, 1)
	require.True(t, end(2).Drained)
}
