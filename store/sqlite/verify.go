package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/jackfield/jackfield/store"
)

// invariant is something that holds after every transaction. Each is one
// statement, so that it sees one state of the store.
type invariant struct {
	row  string // of the law
	name string
	rule string
	// query selects what breaks the rule, as text for people. {page} in it is the
	// condition that confines it to the rows of key in a page of the table over.
	query string
	over  string
	key   string
	page  int  // rows of over that one statement looks at
	late  bool // $3 is a time that nothing may wait for which is due
	// open, if not empty, is the condition instead of a page that confines it to
	// what is under way: the invariant is a cheap one.
	open string
}

const (
	// violationsNamed is how many rows a violation names.
	violationsNamed = 5
	// Rows that one statement looks at, where the invariant does not say another
	// number: it holds up nobody, and the log is written back meanwhile.
	verifyPage = 5000
	// lateAllowed is how far ahead a lane may wait that is due: the clock may have
	// been put back by an hour.
	lateAllowed = 2 * time.Hour
)

// Verify looks for what must never be, in all that is stored, a page at a time.
// What it costs grows with the store, the memory it takes does not. The pages are
// not of one moment, each invariant of a row is.
func (db *DB) Verify(ctx context.Context) (found []store.Violation, err error) {
	for _, inv := range invariants() {
		v, err := db.verify(ctx, inv)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", inv.name, err)
		}
		if v != nil {
			found = append(found, *v)
		}
	}
	for _, look := range []func(context.Context) (*store.Violation, error){db.verifyGuards, db.verifyHashes} {
		v, err := look(ctx)
		if err != nil {
			return nil, err
		}
		if v != nil {
			found = append(found, *v)
		}
	}
	return found, nil
}

// VerifyCheap looks for what must never be in what is under way, with one
// statement: after each step of a test.
func (db *DB) VerifyCheap(ctx context.Context) (found []store.Violation, err error) {
	stmt, err := db.cheapStatement(ctx) //nolint:sqlclosecheck // closeCheap closes it
	if err != nil {
		return nil, fmt.Errorf("verify: %w", db.readError(err))
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	rows, err := stmt.QueryContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", db.readError(err))
	}
	broken := make(map[string][]string)
	err = drain(rows, func(s scanner) error {
		var name, what string
		err := s.Scan(&name, &what)
		broken[name] = append(broken[name], what)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify: %w", db.readError(err))
	}
	for _, inv := range invariants() {
		if rows := broken[inv.name]; len(rows) > 0 {
			found = append(found, inv.violation(rows))
		}
	}
	return found, nil
}

// cheapStatement returns the cheap invariants as one statement, prepared once.
func (db *DB) cheapStatement(ctx context.Context) (*sql.Stmt, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.cheap != nil {
		return db.cheap, nil
	}
	var parts []string
	for _, inv := range invariants() {
		if inv.open != "" {
			parts = append(parts, "SELECT '"+inv.name+"', what FROM ("+inv.confined(inv.open)+")")
		}
	}
	stmt, err := db.read.PrepareContext(ctx, strings.Join(parts, " UNION ALL "))
	db.cheap = stmt
	return stmt, err
}

// closeCheap closes the statement of VerifyCheap.
func (db *DB) closeCheap() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.cheap == nil {
		return nil
	}
	return db.cheap.Close()
}

// confined returns the query for the rows that the condition selects.
func (i invariant) confined(condition string) string {
	return strings.ReplaceAll(i.query, "{page}", condition) + fmt.Sprintf(" LIMIT %d", violationsNamed+1)
}

func (i invariant) violation(rows []string) store.Violation {
	v := store.Violation{Row: i.row, Name: i.name, Rule: i.rule, Found: strings.Join(rows[:min(len(rows), violationsNamed)], ", ")}
	if len(rows) > violationsNamed {
		v.Found += ", and more"
	}
	return v
}

// verify looks at all pages until enough is found.
func (db *DB) verify(ctx context.Context, inv invariant) (*store.Violation, error) {
	query := inv.confined(inv.key + " > $1 AND " + inv.key + " <= $2")
	var rows []string
	err := db.pages(ctx, inv.over, cmp.Or(inv.page, verifyPage), func(after, last int64) (bool, error) {
		args := []any{after, last}
		if inv.late {
			args = append(args, db.opts.Now().Add(lateAllowed).UnixMilli())
		}
		err := db.list(ctx, query, args, func(s scanner) error {
			var what string
			err := s.Scan(&what)
			rows = append(rows, what)
			return err
		})
		return len(rows) <= violationsNamed, err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	v := inv.violation(rows)
	return &v, nil
}

// pages calls fn for the rows of a table in portions: those after the one rowid up
// to the other.
func (db *DB) pages(ctx context.Context, table string, size int, fn func(after, last int64) (more bool, err error)) error {
	query := "SELECT max(id) FROM (SELECT rowid AS id FROM " + table + " WHERE rowid > $1 ORDER BY rowid LIMIT $2 + 0)" // see dueLaneQuery
	for after := int64(0); ; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var last sql.NullInt64
		err := db.list(ctx, query, []any{after, size}, func(s scanner) error { return s.Scan(&last) })
		if err != nil || !last.Valid {
			return err
		}
		if more, err := fn(after, last.Int64); err != nil || !more {
			return err
		}
		after = last.Int64
	}
}

// guards are what the schema itself refuses. A database without one is as sound
// as the program alone.
func guards() []string {
	return []string{
		"runs_birth", "runs_move", "streams_birth", "streams_move",
		"runs_active", "runs_open", "streams_ident", "streams_partition", "integrations_name",
	}
}

// verifyGuards looks for the triggers and unique indexes.
func (db *DB) verifyGuards(ctx context.Context) (*store.Violation, error) {
	have := make(map[string]bool)
	err := db.list(ctx, "SELECT name FROM sqlite_schema WHERE type = 'trigger' OR type = 'index' AND sql LIKE 'CREATE UNIQUE%'", nil, func(s scanner) error {
		var name string
		err := s.Scan(&name)
		have[name] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify schema: %w", err)
	}
	var missing []string
	for _, name := range guards() {
		if !have[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil, nil //nolint:nilnil // none is missing
	}
	return &store.Violation{
		Row: "I04", Name: "schema-guards", Rule: "the triggers and unique indexes of the schema are there",
		Found: "no " + strings.Join(missing, ", no "),
	}, nil
}

// errEnough ends a look that has found enough.
var errEnough = errors.New("enough")

// verifyHashes compares the records with their hashes: what a disk did to them is
// seen in no other way.
func (db *DB) verifyHashes(ctx context.Context) (*store.Violation, error) {
	inv := invariant{row: "K05", name: "record-hash", rule: "the hash of a record is that of what is stored"}
	var (
		rows  []string
		frame []byte
	)
	err := db.pages(ctx, "records", verifyPage, func(after, last int64) (bool, error) {
		err := db.list(ctx, hashedQuery, []any{after, last}, func(s scanner) (err error) {
			var (
				hash []byte
				r    store.Record
			)
			if r, hash, err = scanHashed(s); err != nil {
				return err
			}
			frame = frameRecord(frame[:0], &r)
			if sum := xxh3.Hash128(frame).Bytes(); hash != nil && string(hash) != string(sum[:]) {
				rows = append(rows, fmt.Sprintf("record %d", r.Born))
			}
			if len(rows) > violationsNamed {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		return len(rows) <= violationsNamed, err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	v := inv.violation(rows)
	return &v, nil
}

const hashedQuery = `
	SELECT kind, parent_kind, parent_id, version, occurred_at, deleted, data, hash, id
	FROM   records
	WHERE  id > $1 AND id <= $2`

func scanHashed(s scanner) (r store.Record, hash []byte, err error) {
	var (
		parentKind, parentID, data nullString
		occurred                   moment
	)
	err = s.Scan(&r.Kind, &parentKind, &parentID, &r.Version, &occurred, &r.Deleted, &data, &hash, &r.Born)
	r.ParentKind, r.ParentID, r.OccurredAt = parentKind.String, parentID.String, occurred.time()
	r.Data = []byte(data.String)
	return r, hash, err
}
