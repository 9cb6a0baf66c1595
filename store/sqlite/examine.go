package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackfield/jackfield/store"
)

// maxProblems is how many problems a check names.
const maxProblems = 20

// Examine looks at the whole of a database file that no process writes, such as a
// backup. What is wrong with its content is in the answer; an error says that
// nobody could look. A file of a newer version is store.ErrNewerSchema.
func Examine(ctx context.Context, path string, deep bool) (store.Examination, error) {
	if err := settled(path); err != nil {
		return store.Examination{}, fmt.Errorf("examine: %w", err)
	}
	return examineCopy(ctx, path, deep, 0)
}

// settled refuses a file that is not all of its database.
func settled(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file: %w", path, store.ErrInvalid)
	}
	if size, err := fileSize(path + "-wal"); err != nil || size > 0 {
		return store.Hint(errors.Join(fmt.Errorf("%s is in use, or was not closed: its log holds a part of it: %w", path, store.ErrInvalid), err),
			"name a backup; the daemon's own database is checked by db check without a file")
	}
	return nil
}

// examineCopy is Examine for a program that knows the schema up to known; zero is what
// this one knows of such a file.
func examineCopy(ctx context.Context, path string, deep bool, known int) (store.Examination, error) {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&immutable=1&_pragma=trusted_schema(0)"}
	return examineFile(ctx, u.String(), path, deep, known)
}

// Examine looks at the whole database while it is in use. It reads the state of
// one moment; writes go on, and the log grows by them until it is done. A deep look
// asks for the invariants as well (Verify).
func (db *DB) Examine(ctx context.Context, deep bool) (store.Examination, error) {
	select {
	case <-db.quit:
		return store.Examination{}, store.ErrClosed
	default:
	}
	path := filepath.Join(db.path, databaseName)
	exam, err := examineFile(ctx, copierDSN(path), path, deep, db.schema)
	if b := db.inbox.Load(); err == nil && b != nil {
		err = b.examine(ctx, deep, &exam)
	}
	if err != nil || !deep || exam.Err() != nil {
		return exam, err
	}
	begin := time.Now()
	violations, err := db.Verify(ctx)
	if err != nil {
		return exam, fmt.Errorf("examine %s: %w", path, err)
	}
	rules := store.Check{Name: "invariants"}
	for _, v := range violations {
		rules.Problems = append(rules.Problems, v.String())
	}
	exam.Checks = append(exam.Checks, rules)
	exam.Took += time.Since(begin)
	return exam, nil
}

func examineFile(ctx context.Context, dsn, path string, deep bool, known int) (exam store.Examination, err error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return exam, fmt.Errorf("examine %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	exam, err = examine(ctx, db, deep, known)
	exam.Path = path
	if err != nil {
		return exam, fmt.Errorf("examine %s: %w", path, driverError(err))
	}
	return exam, nil
}

// examine runs every check in one read transaction.
func examine(ctx context.Context, db *sql.DB, deep bool, known int) (exam store.Examination, err error) {
	begin := time.Now()
	exam.Deep = deep
	t, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return exam, err
	}
	defer func() { err = errors.Join(err, t.Rollback()) }()
	if err := t.QueryRowContext(ctx, "PRAGMA user_version").Scan(&exam.Schema); err != nil {
		return exam, err
	}
	kind, err := layoutOf(ctx, t)
	if err == nil && known == 0 {
		known, err = kind.known()
	}
	if err != nil {
		return exam, err
	}
	if exam.Schema > known {
		return exam, newerSchema(exam.Schema, known)
	}
	for _, c := range kind.checks(exam.Schema == known, deep) {
		found, err := c.run(ctx, t)
		if err != nil {
			return exam, fmt.Errorf("check %s: %w", c.name, err)
		}
		exam.Checks = append(exam.Checks, store.Check{Name: c.name, Problems: found})
		if len(found) > 0 && c.first {
			break // what stands on broken pages says nothing
		}
	}
	exam.Took = time.Since(begin)
	return exam, nil
}

// check is a query for what is wrong.
type check struct {
	name  string
	query string // returns a line of text for each problem, or ok
	first bool   // nothing is asked after it failed
}

// filed returns what is looked at in every file.
func filed(deep bool) []check {
	pages := "PRAGMA quick_check(20)"
	if deep {
		pages = "PRAGMA integrity_check(20)"
	}
	return []check{
		{name: "pages", first: true, query: pages},
		{name: "references", query: `
			SELECT "table" || ' ' || coalesce(rowid, 0) || ' names a ' || parent || ' that there is not'
			FROM   pragma_foreign_key_check`},
	}
}

// checks returns what is looked at in a store. The content is asked only of a database
// of this program's own version.
func checks(current, deep bool) []check {
	all := filed(deep)
	if !current {
		return all
	}
	all = append(all,
		check{name: "schema", first: true, query: `
			SELECT 'meta lacks ' || column1
			FROM   (VALUES ('host_epoch'), ('position'))
			WHERE  column1 NOT IN (SELECT name FROM meta)`},
		check{name: "feed", query: `
			SELECT 'record ' || id || ' stands at ' || pos || ', positions are given away up to ' || (SELECT value FROM meta WHERE name = 'position')
			FROM   records
			WHERE  pos > (SELECT value FROM meta WHERE name = 'position')`})
	if deep {
		all = append(all, check{name: "counters", query: `
			SELECT 'run ' || r.id || ' counts ' || (n_pending + n_processing + n_delayed + n_processed + n_error + n_cancelled) ||
			       ' streams and has ' || count(s.id)
			FROM   runs r LEFT JOIN streams s ON s.run_id = r.id AND s.type IN ('root', 'child')
			WHERE  r.state IN ('pending', 'processing', 'delayed')
			GROUP  BY r.id
			HAVING count(s.id) <> n_pending + n_processing + n_delayed + n_processed + n_error + n_cancelled`})
	}
	return all
}

// run returns the first problems.
func (c check) run(ctx context.Context, t *sql.Tx) ([]string, error) {
	rows, err := t.QueryContext(ctx, c.query)
	if err != nil {
		return damaged(nil, err)
	}
	var found []string
	err = drain(rows, func(s scanner) error {
		var text string
		err := s.Scan(&text)
		if err == nil && text != "ok" && len(found) < maxProblems {
			found = append(found, text)
		}
		return err
	})
	return damaged(found, err)
}

// damaged turns the driver's word that the file is corrupt into a problem like
// others.
func damaged(found []string, err error) ([]string, error) {
	if isCorrupt(err) {
		return append(found, err.Error()), nil
	}
	return found, err
}
