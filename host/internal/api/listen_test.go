package api

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K20, L01
func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for _, name := range []string{SocketName, TokenName} {
		info, err := os.Stat(filepath.Join(r.dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	first := r.token()
	require.Regexp(t, `^[0-9a-f]{64}$`, first)
	require.NoError(t, r.stop())
	require.NoFileExists(t, filepath.Join(r.dir, SocketName))
	require.NoFileExists(t, filepath.Join(r.dir, TokenName))
	entries, err := os.ReadDir(r.dir)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is left behind")
	require.NotEqual(t, first, serve(t).token(), "a token is for one start")
}

func TestListen(t *testing.T) {
	t.Parallel()
	t.Run("ReplacesWhatNobodyServes", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(socketDir(t), SocketName)
		old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		require.NoError(t, err)
		old.SetUnlinkOnClose(false)
		require.NoError(t, old.Close())
		require.FileExists(t, path)
		l, err := listen(t.Context(), path)
		require.NoError(t, err)
		l.remove()
		require.NoFileExists(t, path)
	})
	t.Run("RefusesWhereSomebodyAnswers", func(t *testing.T) {
		t.Parallel()
		r := serve(t)
		_, err := listen(t.Context(), r.server.opts.Socket)
		require.ErrorIs(t, err, store.ErrLocked)
		require.ErrorContains(t, err, "another daemon answers")
	})
	t.Run("KeepsWhatIsNoSocket", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(socketDir(t), SocketName)
		require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
		_, err := listen(t.Context(), path)
		require.ErrorContains(t, err, "no socket")
		require.FileExists(t, path)
	})
	t.Run("RefusesADirectoryOpenToOthers", func(t *testing.T) {
		t.Parallel()
		dir := socketDir(t)
		require.NoError(t, os.Chmod(dir, 0o755))
		_, err := listen(t.Context(), filepath.Join(dir, SocketName))
		require.ErrorContains(t, err, "open to others")
		require.ErrorContains(t, err, "chmod 700 "+dir)
	})
	t.Run("SaysWhenThePathIsTooLong", func(t *testing.T) {
		t.Parallel()
		_, err := listen(t.Context(), filepath.Join(socketDir(t), strings.Repeat("x", 120)))
		require.ErrorContains(t, err, "a socket can have 103")
		require.ErrorContains(t, err, "shorter data:")
	})
	t.Run("LeavesTheSocketOfASuccessor", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(socketDir(t), SocketName)
		l, err := listen(t.Context(), path)
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		next, err := listen(t.Context(), path)
		require.NoError(t, err)
		l.remove()
		require.FileExists(t, path)
		next.remove()
	})
}

func TestRunsOnce(t *testing.T) {
	t.Parallel()
	r := serve(t)
	require.ErrorContains(t, r.server.Run(t.Context()), "ran before")
}
