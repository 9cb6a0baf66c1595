package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenBackOnceAfterWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var total uint64
		given := 0
		done := make(chan error, 1)
		go func() { done <- whenQuiet(ctx, func() uint64 { return total }, func() { given++ }) }()
		looks := func(n int, each uint64) {
			for range n {
				synctest.Wait()
				total += each
				<-time.After(memoryEvery)
			}
			synctest.Wait()
		}
		looks(3, memoryLoud/2)
		require.Zero(t, given, "there was no work")
		looks(3, memoryLoud)
		require.Zero(t, given, "there is work")
		looks(3, 0)
		require.Equal(t, 1, given)
		looks(1, 5*memoryLoud)
		looks(3, memoryLoud/2)
		require.Equal(t, 2, given)
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
