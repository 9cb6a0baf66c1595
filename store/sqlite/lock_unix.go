//go:build unix

package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackfield/jackfield/store"
)

// lockDir takes the lock of the data directory for this process. It ends with
// the process, however that ends; closing the file gives it free.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the data directory
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := pidOf(f)
		err = errors.Join(err, f.Close())
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, store.Hint(fmt.Errorf("%s: %w, held by process %s", dir, store.ErrLocked, holder),
				"stop that process, or give this one a data directory of its own")
		}
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = errors.Join(f.Chmod(0o600), f.Truncate(0))
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory: %w", err), f.Close())
	}
	return f, nil
}

// unlockDir gives the lock free, even if a process that was being started at this
// moment has inherited the file.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// pidOf returns what the holder wrote into the lock file.
func pidOf(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	pid, perr := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil || perr != nil {
		return "(unknown)" // it holds the lock and has not written yet
	}
	return strconv.Itoa(pid)
}
