package runner

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: I11, C49
func TestI11SlotsAreHeldUnderABoundedNumberOfNames(t *testing.T) {
	t.Parallel()
	h := &slots{names: map[bucketKey]*slot{}}
	name := func(n int) bucketKey { return bucketKey{"plugin:p", strconv.Itoa(n)} }
	for n := range maxSlots {
		require.NoError(t, h.take(t.Context(), nil, name(n), 1))
	}
	err := h.take(t.Context(), nil, name(maxSlots), 1)
	require.Equal(t, "too_many_slots", sdk.AsError(err).Code)
	h.give(name(7))
	require.NoError(t, h.take(t.Context(), nil, name(maxSlots), 1), "there is room again")
}

// rows: I11, O51
//
// Failures at more hosts than are counted open nothing: their streams are tried as
// without a circuit.
func TestI11TheHostsOfCircuitsAreBounded(t *testing.T) {
	t.Parallel()
	c := &circuits{jitter: func() float64 { return 0 }, of: map[int64]map[string]*circuit{}}
	for n := range 2 * maxCircuits {
		require.Nil(t, c.failed(1, strconv.Itoa(n), "k", "down", time.Time{}))
	}
	require.Len(t, c.of[1], maxCircuits)
	for range 2 * circuitFailures {
		require.Nil(t, c.failed(1, strconv.Itoa(maxCircuits), "k", "down", time.Time{}))
	}
	require.Nil(t, c.failed(2, strconv.Itoa(maxCircuits), "k", "down", time.Time{}))
	require.Len(t, c.of[2], 1, "each integration has its own")
}
