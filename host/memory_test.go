package main

import (
	"context"
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
