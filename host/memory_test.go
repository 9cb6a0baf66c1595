package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenBackOnceAfterWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var total, given atomic.Uint64
		done := make(chan error, 1)
		go func() { done <- whenQuiet(ctx, total.Load, func() { given.Add(1) }) }()
		looks := func(n int, each uint64) {
			for range n {
				synctest.Wait()
				total.Add(each)
				<-time.After(memoryEvery)
			}
			synctest.Wait()
		}
		looks(3, memoryLoud/2)
		require.Equal(t, uint64(1), given.Load(), "that of the start")
		looks(3, memoryLoud)
		require.Equal(t, uint64(1), given.Load(), "there is work")
		looks(3, 0)
		require.Equal(t, uint64(2), given.Load())
		looks(1, 5*memoryLoud)
		looks(3, memoryLoud/2)
		require.Equal(t, uint64(3), given.Load())
		cancel()
		require.NoError(t, <-done)
	})
}

func TestAllocatedRises(t *testing.T) {
	t.Parallel()
	before := allocated()
	kept := make([]byte, 1<<20)
	require.GreaterOrEqual(t, allocated()-before, uint64(len(kept)))
}

// The limit follows what is in use: under one that is lower the collector runs for
// ever and frees nothing.
func TestTheLimitOfMemoryIsAboveWhatIsInUse(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, memoryLimit, memoryFor(0, 0))
	require.EqualValues(t, memoryLimit, memoryFor(30<<20, 10<<20))
	require.EqualValues(t, 160<<20, memoryFor(100<<20, 0))
	require.EqualValues(t, 112<<20, memoryFor(40<<20, 50<<20), "gaps between objects are nothing that it could free")
	times := make(chan struct{}, 100)
	afterCollection(func() {
		select {
		case times <- struct{}{}:
		default:
		}
	})
	for range 3 {
		require.Eventually(t, func() bool {
			runtime.GC()
			select {
			case <-times:
				return true
			default:
				return false
			}
		}, time.Minute, time.Millisecond, "after each collection, and not only the first")
	}
	kept := make([]byte, 8<<20)
	runtime.GC()
	require.GreaterOrEqual(t, inUse(), uint64(len(kept)))
	require.Positive(t, overhead())
	runtime.KeepAlive(kept)
}
