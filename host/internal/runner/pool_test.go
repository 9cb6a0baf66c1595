package runner

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// rows: K24, C56
func TestPoolBlocksUntilApplied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(100)
		a, b := &credit{pool: p}, &credit{pool: p}
		require.NoError(t, a.take(t.Context(), 80))
		got := make(chan error, 1)
		go func() { got <- b.take(t.Context(), 30) }()
		synctest.Wait()
		require.Empty(t, got, "a call that holds nothing waits")
		a.give(80)
		require.NoError(t, <-got)
	})
}

// rows: K24
func TestOneCallMayOverdrawSoThatNoneWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(100)
		a, b := &credit{pool: p}, &credit{pool: p}
		require.NoError(t, a.take(t.Context(), 50))
		require.NoError(t, b.take(t.Context(), 50))
		require.NoError(t, a.take(t.Context(), 40), "the first that needs more gets it")
		got := make(chan error, 1)
		go func() { got <- b.take(t.Context(), 40) }()
		synctest.Wait()
		require.Empty(t, got, "the second waits")
		a.give(90)
		require.NoError(t, <-got)
		b.give(90)
		require.Equal(t, int64(100), p.free)
		require.Nil(t, p.overdraw)
	})
}

func TestPoolGivesUpWithTheCall(t *testing.T) {
	t.Parallel()
	p := newPool(10)
	a, b := &credit{pool: p}, &credit{pool: p}
	require.NoError(t, a.take(t.Context(), 10))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errYield)
	require.ErrorIs(t, b.take(ctx, 1), errYield)
}
