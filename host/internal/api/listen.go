package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackfield/jackfield/store"
)

// maxSocketPath is what the kernels take for a socket's path: 104 bytes with the
// final zero on macOS and the BSDs, 108 on Linux.
const maxSocketPath = 103

// listener is a Unix socket that nobody but its owner can open.
type listener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// listen makes the socket at path. A socket that is there is replaced, unless
// somebody answers on it. It is never open to others, whatever the umask: it is
// made in a directory of its own and moved to its place when its mode is set.
func listen(ctx context.Context, path string) (*listener, error) {
	if len(path) > maxSocketPath {
		return nil, store.Hint(fmt.Errorf("the path has %d bytes; a socket can have %d", len(path), maxSocketPath),
			"choose a shorter data: in host.yaml")
	}
	dir := filepath.Dir(path)
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	if err := checkFree(ctx, path); err != nil {
		return nil, err
	}
	// The name is short: the path of the socket has its limit here too.
	private := filepath.Join(dir, ".api")
	if err := os.RemoveAll(private); err != nil {
		return nil, fmt.Errorf("remove %s: %w", private, err)
	}
	if err := os.Mkdir(private, 0o700); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(private) }()
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would look for the first name
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &listener{UnixListener: l, path: path, made: info}, nil
}

// remove takes the socket away, if it is still this listener's.
func (l *listener) remove() {
	_ = l.Close()
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
		_ = os.Remove(l.path)
	}
}

// checkDir refuses a directory that others can look into.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return store.Hint(fmt.Errorf("%s is open to others (%s)", dir, info.Mode().Perm()), "chmod 700 "+dir)
	}
	return nil
}

// checkFree refuses a path on which somebody answers or that is no socket.
func checkFree(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return store.Hint(errors.New("there is something that is no socket"), "look at it, and remove it")
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil //nolint:nilerr // nobody answers: what is there is left over
	}
	_ = conn.Close()
	return store.Hint(fmt.Errorf("%w: another daemon answers", store.ErrLocked), "stop it, or give this one another data: directory")
}
