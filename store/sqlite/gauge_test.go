package sqlite

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// Gauges say what Status says, and each transaction and segment is told once,
// however many records it holds.
func TestGaugesAndWhatIsTold(t *testing.T) {
	t.Parallel()
	var commits, writes, applies atomic.Int64
	b := newBench(t, Options{
		NoSync: true,
		OnCommit: func(took time.Duration, n int) {
			if took > 0 {
				commits.Add(1)
				writes.Add(int64(n))
			}
		},
		OnApply: func(time.Duration) { applies.Add(1) },
	}, 1)
	before, wrote, applied := commits.Load(), writes.Load(), applies.Load()
	require.Positive(t, before)
	seg := b.segment(0)
	seg.Records = records(0, 100)
	_, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	require.Equal(t, before+1, commits.Load())
	require.Equal(t, wrote+1, writes.Load())
	require.Equal(t, applied+1, applies.Load())
	_, err = b.db.Apply(t.Context(), seg)
	require.ErrorIs(t, err, store.ErrStale)
	require.Equal(t, applied+2, applies.Load(), "one that failed took its time, too")

	g, err := b.db.Gauges(t.Context())
	require.NoError(t, err)
	st, err := b.db.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, st.Runs, g.Runs)
	require.Equal(t, st.Integrations, g.Integrations)
	require.Equal(t, st.LanesHeld, g.LanesHeld)
	require.Equal(t, st.LanesDue, g.LanesDue)
	require.Equal(t, st.Position, g.Position)
	require.Equal(t, st.DatabaseBytes, g.Database)
	require.Positive(t, g.WAL)
	require.Equal(t, int64(1), g.Streams[store.StreamProcessing], "%v", g.Streams)
	require.Zero(t, g.Writes)
}
