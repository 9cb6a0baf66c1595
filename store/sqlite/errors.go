package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/jackfield/jackfield/store"
)

// restoreHint is how a damaged database is cured.
const restoreHint = "stop the daemon, keep a copy of the data directory, and restore the newest good backup: jackfield db restore FILE"

// driverError gives an error of the driver its kind, by code.
func driverError(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if _, known := errors.AsType[*store.HintError](err); !ok || known {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return store.Hint(fmt.Errorf("%w: %w", store.ErrFull, err), "make room where the data directory is; work goes on by itself")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return store.Hint(fmt.Errorf("%w: %w", store.ErrDamaged, err), restoreHint)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", store.ErrIO, err)
	default:
		return err
	}
}

// isCorrupt reports whether the content of the file is at fault.
func isCorrupt(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// newerSchema refuses a database of a later version.
func newerSchema(version, known int) error {
	return store.Hint(fmt.Errorf("schema %d, this program knows %d: %w", version, known, store.ErrNewerSchema),
		"start the newer version of jackfield again, or restore a backup made before the upgrade")
}

// isDriver reports whether a statement failed, rather than what was asked for.
func isDriver(err error) bool {
	_, ok := errors.AsType[*sqlite.Error](err)
	return ok
}

// fatal reports whether a failed statement says something of the file or the
// machine: nothing more is tried in that transaction or with its parts.
func fatal(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrIO) || errors.Is(err, store.ErrDamaged)
}

// notFound turns the absence of a row into store.ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return driverError(err)
}

// conflict turns the violation of a unique key into store.ErrConflict.
func conflict(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return fmt.Errorf("%w: %w", store.ErrConflict, err)
	}
	return err
}
