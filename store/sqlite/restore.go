package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackfield/jackfield/store"
)

// The parts of a database: the file, and what stands beside it while it is in
// use.
var parts = [...]string{"", "-wal", "-shm"}

// Restore makes the backup file the database of the data directory dir, which no
// process may hold. What the directory held is kept beside it under a dated name;
// nothing is changed before the backup was checked and its copy is on the disk.
// The epoch and the positions of the feed go on above those of both, so that
// nobody who followed the feed takes new changes for old ones. An interrupted
// Restore has happened, or has not.
func Restore(ctx context.Context, dir, file string, now time.Time) (r store.Restoration, err error) {
	if err := makeDir(dir); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, unlockDir(lock)) }()
	begin := time.Now()
	r, err = restore(ctx, dir, file, now)
	r.Took = time.Since(begin)
	if err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	return r, nil
}

// restore does what needs the lock.
func restore(ctx context.Context, dir, file string, now time.Time) (r store.Restoration, err error) {
	path := filepath.Join(dir, databaseName)
	partial := path + ".partial"
	if err := unlike(file, path); err != nil {
		return r, err
	}
	if err := discard(partial); err != nil {
		return r, err
	}
	defer func() {
		for _, part := range parts {
			err = errors.Join(err, discard(partial+part))
		}
	}()
	if err := copyFile(ctx, file, partial); err != nil {
		return r, err
	}
	exam, err := Examine(ctx, partial, false)
	if err == nil {
		err = exam.Err()
	}
	if err != nil {
		return r, store.Hint(fmt.Errorf("check the backup %s: %w", file, err), "nothing was changed; try an older backup")
	}
	inbox, err := readyInbox(ctx, dir, file)
	defer func() {
		if inbox != "" {
			err = errors.Join(err, discard(inbox))
		}
	}()
	if err != nil {
		return r, err
	}
	kept, err := keepOld(path, now)
	if err == nil {
		err = exchange(ctx, path, partial)
	}
	if err != nil {
		for _, name := range kept {
			err = errors.Join(err, discard(name))
		}
		return r, err
	}
	aside := ""
	if len(kept) > 0 {
		aside = kept[0]
	}
	old, err := exchangeInbox(ctx, dir, inbox, aside)
	if err != nil {
		return r, err
	}
	if old != "" {
		defer func() { r.Kept = append(r.Kept, old) }()
	}
	for _, name := range kept {
		if size, err := fileSize(name); err == nil && size > 0 { // else a log that was written back
			r.Kept = append(r.Kept, name)
			continue
		}
		if err := discard(name); err != nil {
			return r, err
		}
	}
	size, err := fileSize(path)
	r.Backup = store.Backup{Path: path, Bytes: size, Schema: exam.Schema}
	return r, err
}

// unlike refuses to restore the database from itself.
func unlike(file, path string) error {
	if err := settled(file); err != nil {
		return err
	}
	from, err := os.Stat(file)
	if err != nil {
		return err
	}
	if to, err := os.Stat(path); err == nil && os.SameFile(from, to) {
		return fmt.Errorf("%s is the database itself: %w", file, store.ErrInvalid)
	}
	return nil
}

// numbers are what a restored database must not fall behind.
type numbers struct {
	epoch, position int64
}

// settleOld writes the log of the old database back into it, so that the file
// alone is all of it, and returns its numbers. One that is too damaged for that
// keeps its log beside it.
func settleOld(ctx context.Context, path string) (n numbers, err error) {
	if size, err := fileSize(path); err != nil || size == 0 {
		return n, err
	}
	db, err := sql.Open("sqlite", dsn(path, "synchronous(full)", "trusted_schema(0)"))
	if err != nil {
		return n, err
	}
	db.SetMaxOpenConns(1)
	n, err = readNumbers(ctx, db)
	if err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	err = errors.Join(err, db.Close())
	if isDriver(err) {
		return n, nil // why it is to be replaced
	}
	return n, err
}

func readNumbers(ctx context.Context, db *sql.DB) (n numbers, err error) {
	err = db.QueryRowContext(ctx, `
		SELECT coalesce(max(CASE name WHEN 'host_epoch' THEN value END), 0),
		       coalesce(max(CASE name WHEN 'position'   THEN value END), 0)
		FROM   meta`).Scan(&n.epoch, &n.position)
	return n, err
}

// goOn raises the numbers of the database at path to those of the old one.
func goOn(ctx context.Context, path string, old numbers) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "journal_mode(delete)", "synchronous(full)", "trusted_schema(0)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `
		UPDATE meta
		SET    value = max(value, CASE name WHEN 'host_epoch' THEN $1 ELSE $2 END)
		WHERE  name IN ('host_epoch', 'position')`, old.epoch, old.position)
	if err != nil {
		return fmt.Errorf("raise epoch and position: %w", driverError(err))
	}
	return nil
}

// keepOld gives what is there a second, dated name: at no moment is there no
// database.
func keepOld(path string, now time.Time) (kept []string, err error) {
	aside := fmt.Sprintf("%s.before-restore-%s", path, now.UTC().Format("20060102T150405.000Z"))
	for _, part := range parts[:2] {
		size, err := fileSize(path + part)
		if err != nil {
			return kept, err
		}
		if size == 0 {
			continue
		}
		if err := os.Link(path+part, aside+part); err != nil {
			return kept, err
		}
		kept = append(kept, aside+part)
	}
	return kept, syncDir(filepath.Dir(path))
}

// exchange puts partial in the place of the database at path.
func exchange(ctx context.Context, path, partial string) error {
	old, err := settleOld(ctx, path)
	if err != nil {
		return err
	}
	if err := goOn(ctx, partial, old); err != nil {
		return err
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	for _, part := range parts[1:] { // a log belongs to the database that wrote it
		if err := discard(path + part); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// copyFile copies a file into a new one for the owner alone.
func copyFile(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // in the data directory
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for err == nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err = io.CopyN(out, in, 16<<20)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
