package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Backup copies the store, as it is at one moment, into a new file for its owner
// alone, and after it the inbox, if that is open, into another one beside it, whose
// name ends with -inbox. A file gets its name once it was checked and is on the disk; a name
// that is taken is store.ErrConflict. Writes go on in the meantime, and the log
// grows by them: it is written back when the copy is done. One backup is made at
// a time.
func (db *DB) Backup(ctx context.Context, path string) (store.Backup, error) {
	select {
	case <-db.quit:
		return store.Backup{}, store.ErrClosed
	case <-ctx.Done():
		return store.Backup{}, context.Cause(ctx)
	case db.copying <- struct{}{}:
	}
	defer func() { <-db.copying }()
	begin := time.Now()
	b, err := backup(ctx, filepath.Join(db.path, databaseName), path, db.schema)
	if in := db.inbox.Load(); err == nil && in != nil {
		err = in.backup(ctx, &b)
	}
	if err != nil {
		return b, fmt.Errorf("back up: %w", err)
	}
	b.Took = time.Since(begin)
	return b, nil
}

// backup copies the database at from, of a schema up to known, to path.
func backup(ctx context.Context, from, path string, known int) (b store.Backup, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return b, err
	}
	if err := unused(path); err != nil {
		return b, err
	}
	partial := path + ".partial"
	if err := discard(partial); err != nil { // what a copy left that was interrupted
		return b, err
	}
	defer func() { err = errors.Join(err, discard(partial)) }()
	if err := makeFile(partial); err != nil {
		return b, err
	}
	if err := vacuumInto(ctx, from, partial); err != nil {
		return b, driverError(err)
	}
	exam, err := examineCopy(ctx, partial, false, known)
	if err == nil {
		err = exam.Err()
	}
	if err != nil {
		return b, fmt.Errorf("check the copy: %w", err)
	}
	if err := syncFile(partial); err != nil {
		return b, err
	}
	size, err := fileSize(partial)
	if err != nil {
		return b, err
	}
	if err := giveName(partial, path); err != nil {
		return b, err
	}
	return store.Backup{Path: path, Bytes: size, Schema: exam.Schema}, nil
}

// vacuumInto reads through a connection of its own: one of the readers would
// refuse to write, and the writer would have to wait.
func vacuumInto(ctx context.Context, from, to string) (err error) {
	db, err := sql.Open("sqlite", copierDSN(from))
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", to); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return nil
}

// unused returns store.ErrConflict for a name that is taken.
func unused(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return store.Hint(fmt.Errorf("%s is there already: %w", path, store.ErrConflict), "name a file that there is not")
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// giveName renames a finished file, and has the disk know its new name. It never
// replaces a file that has come in the meantime, where the file system can tell.
func giveName(partial, path string) error {
	err := os.Link(partial, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return unused(path)
	case err != nil: // a file system without links
		if err := errors.Join(unused(path), os.Rename(partial, path)); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

// discard removes a file that may not be there.
func discard(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFile has a file reach the disk.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
