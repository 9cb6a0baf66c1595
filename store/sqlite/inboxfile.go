package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackfield/jackfield/store"
)

// inboxID is what PRAGMA application_id of an inbox is.
const inboxID = 1246120270

// inboxSuffix is behind the name of a backup of the store, for that of the inbox.
const inboxSuffix = "-inbox"

// layout is what a database file is.
type layout struct {
	known  func() (int, error) // the newest schema
	checks func(current, deep bool) []check
}

// layoutOf tells a store from an inbox.
func layoutOf(ctx context.Context, t *sql.Tx) (layout, error) {
	var id int64
	if err := t.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return layout{}, err
	}
	if id == inboxID {
		return layout{inboxSchema, inboxChecks}, nil
	}
	return layout{Schema, checks}, nil
}

// inboxSchema returns the version of the inbox's schema that this program writes.
func inboxSchema() (int, error) {
	set, err := fs.Sub(inboxMigrations, "inbox")
	if err != nil {
		return 0, err
	}
	names, err := scripts(set)
	return len(names), err
}

// inboxChecks returns what is looked at in an inbox.
func inboxChecks(current, deep bool) []check {
	all := filed(deep)
	if !current {
		return all
	}
	all = append(all, check{name: "schema", first: true, query: `
		SELECT 'meta lacks ' || column1
		FROM   (VALUES ('host_epoch'), ('open_calls'))
		WHERE  column1 NOT IN (SELECT name FROM meta)`})
	if deep {
		all = append(all, callChecks()...)
	}
	return all
}

// callChecks are the invariants of calls. Each line names the law that is broken.
func callChecks() []check {
	return []check{
		{name: "I08 unknown", query: `
			SELECT 'event ' || id || ' of call ' || call_id || ' may have been written and is ' || state || ' with an answer that nobody has'
			FROM   call_events
			WHERE  writes = 1 AND state IN ('queued', 'done')
			  AND  json_extract(error, '$.outcome') = 'unknown' AND coalesce(json_extract(error, '$.again'), 0) = 0`},
		{name: "I08 keys", query: `
			SELECT 'event ' || id || ' has no idempotency key'
			FROM   call_events
			WHERE  uid = ''`},
		{name: "call counters", query: `
			SELECT 'call ' || c.id || ' counts ' || c.events || ' events, ' || c.open || ' open and ' || c.unknown || ' unknown, and has others'
			FROM   calls c
			WHERE  (c.events, c.open, c.unknown) <> (
			       SELECT count(*), count(CASE WHEN e.state IN ('queued', 'running') THEN 1 END), count(CASE WHEN e.state = 'unknown' THEN 1 END)
			       FROM   call_events e
			       WHERE  e.call_id = c.id)`},
		{name: "call lanes", query: `
			SELECT 'call ' || c.id || ' has an event that waits and no time for it'
			FROM   calls c
			WHERE  c.due_at IS NULL AND c.unknown = 0
			  AND  EXISTS (SELECT 1 FROM call_events e WHERE e.call_id = c.id AND e.state = 'queued')
			  AND  NOT EXISTS (SELECT 1 FROM call_events e WHERE e.call_id = c.id AND e.state = 'running')`},
		{name: "open calls", query: `
			SELECT 'there are ' || n || ' open calls, ' || value || ' are counted'
			FROM   meta, (SELECT count(*) AS n FROM calls WHERE closed_at IS NULL)
			WHERE  name = 'open_calls' AND value <> n`},
		{name: "K12 one at a time", query: `
			SELECT 'call ' || call_id || ' has ' || count(*) || ' events at work'
			FROM   call_events
			WHERE  state = 'running'
			GROUP  BY call_id
			HAVING count(*) > 1`},
	}
}

// examine adds to the look at the store what is wrong with the inbox.
func (b *Inbox) examine(ctx context.Context, deep bool, exam *store.Examination) error {
	in, err := examineFile(ctx, copierDSN(b.file), b.file, deep, b.schema)
	if err != nil {
		return err
	}
	for _, c := range in.Checks {
		exam.Checks = append(exam.Checks, store.Check{Name: "inbox: " + c.Name, Problems: c.Problems})
	}
	exam.Took += in.Took
	return nil
}

// backup copies the inbox beside the backup of the store.
func (b *Inbox) backup(ctx context.Context, of *store.Backup) error {
	in, err := backup(ctx, b.file, of.Path+inboxSuffix, b.schema)
	if err != nil {
		return errors.Join(fmt.Errorf("inbox: %w", err), discard(of.Path)) // half of a backup is none
	}
	of.Bytes += in.Bytes
	return nil
}

// readyInbox makes the inbox of a backup ready to take the place of that of dir, and
// returns where it is: empty if the backup has none. What waited in it may have been done
// since: it is asked about, or waits for a person.
func readyInbox(ctx context.Context, dir, file string) (partial string, err error) {
	from := file + inboxSuffix
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	partial = filepath.Join(dir, inboxName) + ".partial"
	if err := errors.Join(discard(partial), copyFile(ctx, from, partial)); err != nil {
		return partial, err
	}
	exam, err := Examine(ctx, partial, false)
	if err == nil {
		err = exam.Err()
	}
	if err == nil {
		err = doubt(ctx, partial)
	}
	if err == nil {
		err = syncFile(partial)
	}
	if err != nil {
		return partial, store.Hint(fmt.Errorf("check the backup %s: %w", from, err), "nothing was changed; try an older backup")
	}
	return partial, nil
}

// exchangeInbox puts partial in the place of the inbox of dir, which is kept beside the
// store that was there: under its name, as Restore of that finds it. No partial leaves
// none: what waits there belongs to what was replaced.
func exchangeInbox(ctx context.Context, dir, partial, aside string) (kept string, err error) {
	path := filepath.Join(dir, inboxName)
	if size, err := fileSize(path); err != nil {
		return "", err
	} else if size > 0 && aside != "" {
		if err := writeBack(ctx, path); err != nil {
			return "", err
		}
		kept = aside + inboxSuffix
		if err := os.Link(path, kept); err != nil {
			return "", err
		}
	}
	for _, part := range parts[1:] {
		if err := discard(path + part); err != nil {
			return kept, err
		}
	}
	if partial == "" {
		err = discard(path)
	} else {
		err = os.Rename(partial, path)
	}
	return kept, errors.Join(err, syncDir(dir))
}

// writeBack has the file at path be all of its database. One that is too damaged for
// that stays as it is: it is to be replaced.
func writeBack(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path, "synchronous(full)", "trusted_schema(0)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err = errors.Join(err, db.Close()); isDriver(err) {
		return nil
	}
	return err
}

// doubt says of what waited when a backup was made that it may have arrived since.
func doubt(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "journal_mode(delete)", "synchronous(full)", "trusted_schema(0)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// What is at work when a process opens an inbox becomes unknown there. Several of a
	// call at once would be none that a process had begun: all of them are in doubt.
	why, err := encode(&store.HookError{Class: "system", Code: store.CodeRestored, Message: "it waited when the backup was made, and may have been done since", Outcome: store.OutcomeUnknown})
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "UPDATE call_events SET state = 'running', error = $1 WHERE state = 'queued' AND writes = 1", why)
	return driverError(err)
}
