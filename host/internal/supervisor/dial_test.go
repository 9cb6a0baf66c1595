//go:build linux

package supervisor

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jackfield/jackfield/sdk"
)

// What a process puts in the place of its socket after its handshake was read is not
// dialled, and nothing is said to anybody else who listens there.
//
// rows: P05
func TestASocketIsDialledOnlyAsItWasChecked(t *testing.T) {
	t.Parallel()
	tr := newTrap(t)
	dir := shortDir(t)
	address := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // of the test
	own := exec.CommandContext(t.Context(), "sleep", "300")
	own.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, own.Start())
	t.Cleanup(func() {
		_ = own.Process.Kill()
		_ = own.Wait() // killed
	})
	x := &execution{dir: dir, cmd: own}
	_, err = x.dial(t.Context(), "")
	require.ErrorContains(t, err, "no handshake")

	x.address, x.shook = address, true
	_, err = x.dial(t.Context(), "")
	require.ErrorContains(t, err, "none of its own", "this test listens there, not the process")

	require.NoError(t, os.Rename(address, address+".aside"))
	require.NoError(t, os.Symlink(tr.unix, address))
	_, err = x.dial(t.Context(), "")
	require.ErrorContains(t, err, "no socket any more")
	require.NoError(t, os.Remove(address))
	_, err = x.dial(t.Context(), "")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Zero(t, tr.dialled.Load())

	// Another socket under its name is dialled, by the process's own group alone.
	require.NoError(t, os.Link(tr.unix, address))
	_, err = x.dial(t.Context(), "")
	require.ErrorContains(t, err, "none of its own")
	pgid, err := syscall.Getpgid(os.Getpid())
	require.NoError(t, err)
	x.cmd = &exec.Cmd{Process: &os.Process{Pid: pgid}} // as if this test were of its group
	conn, err := x.dial(t.Context(), "")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// The bounds of messages hold for the connection to each process, whatever its program
// was made with: what is over them does not even leave the host.
//
// rows: P06, F06, H12
func TestTheBoundsOfMessagesHoldForEachProcess(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Sync(t.Context(), []Binary{animal(t, "ok")}))
	conn := s.actor("zoo-ok").process().conn
	large := wrapperspb.Bytes(make([]byte, sdk.MaxMessage))
	err := conn.Invoke(t.Context(), "/jackfield.test/Nothing", large, &emptypb.Empty{})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "trying to send message larger than max")
	require.JSONEq(t, `"hi"`, s.call(t, "zoo-ok", "echo"))
}
