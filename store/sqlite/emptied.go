package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackfield/jackfield/store"
)

// refuseEmptied returns store.ErrDamaged for a database of no bytes where there was
// one with content: SQLite takes it for a new one, and throws its log away. A first
// start that was cut off leaves an empty file too, but never the mark, nor a log
// that holds something.
func refuseEmptied(file string) error {
	size, err := fileSize(file)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	if size > 0 {
		return nil
	}
	log, err := fileSize(file + "-wal")
	if err != nil {
		return fmt.Errorf("look at the database's log: %w", err)
	}
	_, err = os.Lstat(file)
	there := err == nil
	_, err = os.Lstat(filepath.Join(filepath.Dir(file), madeName))
	switch {
	case log > 0, there && err == nil:
		return store.Hint(fmt.Errorf("%w: %s has no content, though it was in use", store.ErrDamaged, file), restoreHint)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look at the data directory: %w", err)
	default:
		return nil
	}
}

// markMade notes in the data directory that its database has content, which is on
// the disk by now. Where there is no room for that, the next opening does it.
func markMade(dir string) error {
	path := filepath.Join(dir, madeName)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := makeFile(path); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}
