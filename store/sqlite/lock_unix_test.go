//go:build unix

package sqlite

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: F01, F15
//
// A daemon that is killed while it starts a plugin leaves its lock, for a moment, to
// the child that has not executed its program yet. The next daemon waits for that.
func TestTheLockOfADeadProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	dead := exec.CommandContext(t.Context(), self, "-test.run=^$")
	require.NoError(t, dead.Run())
	lock, err := lockDir(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, lock.Truncate(0))
	_, err = lock.WriteAt([]byte(strconv.Itoa(dead.Process.Pid)+"\n"), 0)
	require.NoError(t, err)

	type taken struct {
		file *os.File
		err  error
	}
	next := make(chan taken, 1)
	go func() {
		f, err := lockDir(t.Context(), dir)
		next <- taken{f, err}
	}()
	select {
	case got := <-next:
		require.Fail(t, "it did not wait", got.err)
	case <-time.After(20 * lockAgain):
	}
	require.NoError(t, unlockDir(lock))
	got := <-next
	require.NoError(t, got.err)
	require.NoError(t, unlockDir(got.file))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lock, err = lockDir(ctx, dir)
	require.NoError(t, err, "one that is free needs no wait")
	require.NoError(t, unlockDir(lock))
}
