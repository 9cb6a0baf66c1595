//go:build unix

package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackfield/jackfield/store"
)

// How long the lock of a process that is no more is waited for, and how often it is
// tried.
const (
	lockPatience = 5 * time.Second
	lockAgain    = 5 * time.Millisecond
)

// lockDir takes the lock of the data directory for this process. It ends with
// the process, however that ends; closing the file gives it free.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the data directory
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if holder, err := flock(ctx, f); err != nil {
		err = errors.Join(err, f.Close())
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, store.Hint(fmt.Errorf("%s: %w, held by process %s", dir, store.ErrLocked, nameOf(holder)),
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

// flock takes the lock of the file, or returns who has it. If that process has been
// killed while it started another one, the child has the lock with it until it
// executes its program: that is waited for.
func flock(ctx context.Context, f *os.File) (holder int, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	again := time.NewTicker(lockAgain)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, err
		}
		holder := pidOf(f)
		if holder != 0 && alive(holder) {
			return holder, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return holder, err
		}
	}
}

func nameOf(pid int) string {
	if pid == 0 {
		return "(unknown)" // it has not written yet who it is
	}
	return strconv.Itoa(pid)
}

// alive reports whether there is a process of the number.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// unlockDir gives the lock free, even if a process that was being started at this
// moment has inherited the file.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// pidOf returns what the holder wrote into the lock file, zero if it holds the lock
// and has not written yet.
func pidOf(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid, perr := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil || perr != nil || pid < 0 {
		return 0
	}
	return pid
}
