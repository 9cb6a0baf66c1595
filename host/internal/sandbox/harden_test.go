//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// hardened is a process, started by box, that has closed itself to its user.
func hardened(t *testing.T, box *Sandbox) int {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0]) // the cleanup ends it
	cmd.Env = []string{hardenedVariable + "=1"}
	lifeline, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cell := start(t, box, cmd, Policy{Dir: t.TempDir()})
	t.Cleanup(func() {
		require.NoError(t, lifeline.Close())
		require.NoError(t, cmd.Wait())
		cell.Close()
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd.Process.Pid
}

// rows: L02, P04
//
// A process of the same user without capabilities, and without a sandbox, gets at the
// memory and the environment of one that is as it was started, but not of one that was
// hardened.
func TestAHardenedProcessIsClosedToItsUser(t *testing.T) {
	t.Parallel()
	user := New(Options{})
	user.can = abilities{bare: user.can.bare}
	closed := hardened(t, user)
	attempts := func(pid string) []attempt {
		return []attempt{{"environ", "environ", pid}, {"trace", "trace", pid}, {"peek", "peek", pid}}
	}
	for name, failed := range outcome(t, user, Policy{Dir: t.TempDir()}, attempts(strconv.Itoa(closed))...) {
		require.Regexp(t, "permission denied|not permitted", failed, name)
	}
	var core unix.Rlimit
	require.NoError(t, unix.Prlimit(closed, unix.RLIMIT_CORE, nil, &core))
	require.Equal(t, unix.Rlimit{}, core)

	open := outcome(t, user, Policy{Dir: t.TempDir()}, attempts(victim(t, user))...)
	require.Empty(t, open["environ"], "the attempt is no good one")
}
