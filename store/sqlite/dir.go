package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackfield/jackfield/store"
)

// makeDir makes the data directory, for its owner alone whatever the umask is. A
// directory that was there and is open to others is closed if it is ours by its
// content, and refused otherwise. Its name has reached the disk then, whoever made
// it.
func makeDir(dir string) error {
	if err := ownDir(dir); err != nil {
		return err
	}
	if err := syncName(dir); err != nil {
		return fmt.Errorf("sync data directory: %w", err)
	}
	return nil
}

// syncName has the name of dir reach the disk, where its parent lets us.
func syncName(dir string) error {
	if err := syncDir(filepath.Dir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// ownDir is makeDir without the disk.
func ownDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := mkdirAll(dir); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case !info.IsDir():
		return store.Hint(fmt.Errorf("data directory: %s is a file: %w", dir, store.ErrInvalid), "name a directory")
	case info.Mode().Perm()&0o077 == 0:
		return nil
	default:
		if ours, err := isOurs(dir); err != nil || !ours {
			return store.Hint(errors.Join(fmt.Errorf("data directory: %s is open to other users (%v) and holds other files: %w",
				dir, info.Mode().Perm(), store.ErrInvalid), err), "name a directory of its own, or chmod 700 "+dir)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs its x bit
		return fmt.Errorf("close data directory to others: %w", err)
	}
	return nil
}

// mkdirAll makes dir and what is missing above it, and has their names reach the
// disk: a commit is of no use in a directory that is gone with the power.
func mkdirAll(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncName(dir)
}

// isOurs reports whether dir is empty or was a data directory before.
func isOurs(dir string) (bool, error) {
	for _, name := range []string{lockName, databaseName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true, nil
		}
	}
	entries, err := os.ReadDir(dir)
	return len(entries) == 0, err
}

// makeFile makes an empty file for the owner alone, whose name has reached the
// disk. SQLite gives its log files
// the mode of the database.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the data directory
	if err != nil {
		return fmt.Errorf("make database file: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("make database file: %w", err)
	}
	return nil
}
