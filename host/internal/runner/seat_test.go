package runner

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// hall are the places of a plugin with 16 calls: twelve for work that nobody waits
// for, of which a tenant has three while others wait.
type hall struct {
	t    *testing.T
	r    *Runner
	kind store.RunKind
}

func (h hall) of(tenant int64) seats {
	return h.r.seats(sdk.Manifest{Name: "p", Limits: sdk.Limits{Concurrency: 16}}, tenant, h.kind)
}

// seek has n wait for a place of the tenant, and returns how many found one.
func (h hall) seek(ctx context.Context, tenant int64, n int) (found func() int) {
	got := make(chan struct{}, n)
	for range n {
		go func() {
			if h.of(tenant).take(ctx) == nil {
				got <- struct{}{}
			}
		}()
	}
	synctest.Wait()
	return func() int {
		synctest.Wait()
		return len(got)
	}
}

// rows: K13, F27
//
// A tenant that has all places, alone, gives way to those that wait down to a quarter;
// a person finds a place all the while.
func TestATenantHasAQuarterOfThePlacesWhileOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hall{t, New(nil, noPlugins{}, nil, Options{}), store.RunOnboarding}
		ctx, cancel := context.WithCancel(t.Context())
		for range 12 {
			require.True(t, h.of(1).try(), "alone it has all")
		}
		require.False(t, h.of(1).try())
		more := h.seek(ctx, 1, 1)
		others := []func() int{h.seek(t.Context(), 2, 2), h.seek(t.Context(), 3, 2), h.seek(t.Context(), 4, 6)}
		require.True(t, hall{t, h.r, store.RunManual}.of(5).try())
		h.of(1).give(7)
		require.Equal(t, []int{2, 2, 3}, []int{others[0](), others[1](), others[2]()}, "what they ask for, or a quarter")
		require.Zero(t, more(), "it came first, and is passed over: its tenant has five")
		h.of(1).give(1)
		require.Equal(t, 1, more(), "nobody waits that has less than a quarter")
		require.Equal(t, 3, others[2]())
		cancel()
	})
}

// rows: K13
//
// Who has enough goes on as soon as nobody waits that has less: when those gave up,
// and when all that wait have enough.
func TestNoPlaceIsIdleForAShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hall{t, New(nil, noPlugins{}, nil, Options{}), store.RunCheck}
		for range 6 {
			require.True(t, h.of(1).try())
			require.True(t, h.of(2).try())
		}
		first, second := h.seek(t.Context(), 1, 4), h.seek(t.Context(), 2, 4)
		h.of(1).give(2)
		require.Equal(t, 2, first()+second(), "both have more than a quarter, and nobody else waits")

		ctx, cancel := context.WithCancel(t.Context())
		third := h.seek(ctx, 3, 1)
		cancel()
		require.Zero(t, third(), "it gave up")
		h.of(2).give(1)
		require.Equal(t, 3, first()+second(), "so it holds nobody up")
		h.of(2).give(5)
		require.Equal(t, 8, first()+second())
	})
}

// rows: K13
//
// A place is its holder's own for the next call only if nobody waits who is to have
// it: one whose tenant has less while there is too little, and a person always.
func TestAPlaceIsKeptUnlessSomebodyIsToHaveIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hall{t, New(nil, noPlugins{}, nil, Options{}), store.RunCheck}
		person := hall{t, h.r, store.RunManual}
		for range 12 {
			require.True(t, h.of(1).try())
		}
		require.True(t, h.of(1).keep(), "nobody waits")
		require.False(t, h.of(1).try(), "and it has no more than it had")

		same := h.seek(t.Context(), 1, 1)
		require.False(t, h.of(1).keep(), "those that wait are served in their order")
		require.Zero(t, same(), "which is done by giving it back")
		h.of(1).give(1)
		require.Equal(t, 1, same())

		poor := h.seek(t.Context(), 2, 1)
		require.False(t, h.of(1).keep(), "one waits that has less than a quarter")
		h.of(1).give(1)
		require.Equal(t, 1, poor())
		require.True(t, h.of(2).keep())

		for range 4 {
			require.True(t, person.of(3).try())
		}
		require.True(t, person.of(3).keep())
		asks := person.seek(t.Context(), 4, 1)
		require.False(t, person.of(3).keep(), "a person waits")
		require.False(t, h.of(1).keep(), "likewise")
		person.of(3).give(1)
		require.Equal(t, 1, asks())
		h.of(1).give(11)
		h.of(2).give(1)
		person.of(3).give(3)
		person.of(4).give(1)
		require.Equal(t, 16, h.of(1).free, "none is lost, and none made")
		require.Zero(t, h.of(1).held)
		require.Empty(t, h.of(1).tenants)
	})
}
