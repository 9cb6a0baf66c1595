package runner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
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

// rows: K24, I12
func TestThoseThatWaitForMemoryAreServedInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(100)
		first, holds := &credit{pool: p}, &credit{pool: p}
		require.NoError(t, first.take(t.Context(), 80))
		require.NoError(t, holds.take(t.Context(), 20))
		require.NoError(t, first.take(t.Context(), 50), "it overdraws")
		served := make(chan int, 10)
		gone, cancel := context.WithCancelCause(t.Context())
		waits := func(n int, ctx context.Context, c *credit, bytes int64) {
			go func() {
				if c.take(ctx, bytes) == nil {
					served <- n
				}
			}()
			synctest.Wait()
		}
		calls := make([]*credit, 8)
		for n := range calls {
			ctx := t.Context()
			if n == 3 {
				ctx = gone
			}
			calls[n] = &credit{pool: p}
			waits(n, ctx, calls[n], 90)
		}
		waits(100, t.Context(), holds, 10)
		late := &credit{pool: p}
		cancel(errYield)
		first.give(130)
		require.Equal(t, 100, <-served, "it holds a part, and ends sooner")
		synctest.Wait()
		require.Empty(t, served)
		holds.give(30)
		for _, n := range []int{0, 1, 2, 4, 5, 6} {
			require.Equal(t, n, <-served)
			synctest.Wait()
			require.Empty(t, served)
			if n == 2 {
				waits(8, t.Context(), late, 10) // there is as much, and others were there before
				require.Empty(t, served)
			}
			calls[n].end()
		}
		require.ElementsMatch(t, []int{7, 8}, []int{<-served, <-served}, "there is room for both")
		calls[7].end()
		late.end()
		require.Equal(t, int64(100), p.free)
	})
}

// rows: K24
func TestACallThatEndsWhileItWaitsForMemoryTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(10)
		a, b := &credit{pool: p}, &credit{pool: p}
		require.NoError(t, a.take(t.Context(), 10))
		got := make(chan error, 1)
		go func() { got <- b.take(t.Context(), 10) }()
		synctest.Wait()
		b.end()
		require.ErrorIs(t, <-got, errTooLong)
		a.end()
		require.Equal(t, int64(10), p.free)
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

// rows: K24
func TestACallThatIsOverTakesNothing(t *testing.T) {
	t.Parallel()
	p := newPool(10)
	a, b := &credit{pool: p}, &credit{pool: p}
	require.NoError(t, a.take(t.Context(), 10))
	a.end()
	require.ErrorIs(t, a.take(t.Context(), 1), errTooLong)
	require.NoError(t, b.take(t.Context(), 10), "it holds nothing any more")
	require.Zero(t, p.free)
	a.give(10) // by an apply that ends late
	require.Zero(t, p.free, "nothing is given back twice")
}

// rows: K24
func TestBoundsThatAreNotSaidAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	r := New(nil, noPlugins{}, nil, Options{})
	require.Equal(t, int64(48<<20), r.memory.free)
	require.Equal(t, []time.Duration{10 * time.Minute, time.Minute, 5 * time.Second},
		[]time.Duration{r.opts.CallTimeout, r.opts.Silence, r.opts.CancelGrace})
}

// rows: O50, C54, K12
func TestAPluginThatReplacesAnotherHasItsOwnRoom(t *testing.T) {
	t.Parallel()
	r := New(nil, noPlugins{}, nil, Options{})
	old := sdk.Manifest{Name: "p", Version: "1", Limits: sdk.Limits{Concurrency: 8}}
	replaced := sdk.Manifest{Name: "p", Version: "2", Limits: sdk.Limits{Concurrency: 2}}
	taken := func(m sdk.Manifest, kind store.RunKind) (n int) {
		for r.seats(m, 1, kind).try() {
			n++
		}
		return n
	}
	require.Equal(t, 6, taken(old, store.RunOnboarding), "of eight")
	require.Equal(t, 2, taken(old, store.RunManual), "those are kept for what a person asks for")
	require.Zero(t, taken(old, store.RunCheck))
	require.Equal(t, 1, taken(replaced, store.RunCheck))
	require.Equal(t, 1, taken(replaced, store.RunManual))
	require.Equal(t, 16, taken(sdk.Manifest{Name: "p"}, store.RunManual), "by default")
	require.Equal(t, 1, taken(sdk.Manifest{Name: "q", Limits: sdk.Limits{Concurrency: 1}}, store.RunCheck), "the only one")
}
