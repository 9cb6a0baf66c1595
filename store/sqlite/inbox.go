package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/jackfield/jackfield/store"
)

// inboxName is the file of what has to be answered at once.
const inboxName = "inbox.db"

//go:embed inbox/migrations/*.sql
var inboxMigrations embed.FS

// Inbox keeps call events, the lanes of calls and idempotency keys in a file of
// their own, whose writer waits for no import (K16). Its methods may be called by
// any goroutine. It is closed with its DB.
type Inbox struct {
	db     *DB
	opts   Options
	file   string
	schema int
	epoch  int64
	write  *writer
	read   *sql.DB
	hot    map[string]*sql.Stmt // what is read all the time, by its text
	news   news
	quit   chan struct{}
	wg     sync.WaitGroup

	watchers watchers
}

// OpenInbox opens the inbox of the data directory that db holds, brings its schema up
// to date, and frees what earlier processes were working on: what may have been written
// to a remote system is unknown from then on (F31). It is opened once.
func (db *DB) OpenInbox(ctx context.Context) (*Inbox, error) {
	set, err := fs.Sub(inboxMigrations, "inbox")
	if err != nil {
		return nil, fmt.Errorf("open inbox: %w", err)
	}
	b := &Inbox{db: db, opts: db.opts, file: filepath.Join(db.path, inboxName), quit: make(chan struct{})}
	b.opts.migrations, b.opts.OnStep = set, nil
	b.opts.OnCommit, b.opts.OnApply = nil, nil // those tell of the store
	if !db.inbox.CompareAndSwap(nil, b) {
		return nil, fmt.Errorf("open inbox: %w: it is open", store.ErrConflict)
	}
	if err := b.open(ctx); err != nil {
		db.inbox.Store(nil)
		return nil, fmt.Errorf("open inbox: %w", err)
	}
	return b, nil
}

func (b *Inbox) open(ctx context.Context) error {
	if err := makeFile(b.file); err != nil {
		return err
	}
	life := context.WithoutCancel(ctx)
	w, err := newWriter(life, b.file, b.opts)
	if err != nil {
		return err
	}
	b.write = w
	if b.schema, err = migrate(ctx, w.conn, b.file, b.opts); err != nil {
		return errors.Join(err, w.close())
	}
	if err := b.recover(life); err != nil {
		return errors.Join(err, w.close())
	}
	if b.read, err = sql.Open("sqlite", readerDSN(b.file)); err != nil {
		return errors.Join(err, w.close())
	}
	b.read.SetMaxOpenConns(b.opts.Readers)
	b.read.SetMaxIdleConns(b.opts.Readers)
	b.read.SetConnMaxIdleTime(b.opts.ReaderIdle)
	if err := b.prepare(life); err != nil {
		return errors.Join(err, b.read.Close(), w.close())
	}
	keeper, err := newCheckpointer(b.file, b.opts, w)
	if err != nil {
		return errors.Join(err, b.unprepare(), b.read.Close(), w.close())
	}
	b.wg.Go(func() { w.loop(life, b.quit) })
	b.wg.Go(func() { keeper.loop(life, b.quit) })
	return nil
}

// close waits for the writes that were taken.
func (b *Inbox) close() error {
	close(b.quit)
	b.wg.Wait()
	return errors.Join(b.unprepare(), b.read.Close(), b.write.close())
}

// Failed is closed when the inbox can write no more, as DB.Failed is.
func (b *Inbox) Failed() <-chan struct{} { return b.write.failed }

// Err returns why the inbox failed, or nil.
func (b *Inbox) Err() error { return b.write.failure() }

// Epoch returns the number of this opening.
func (b *Inbox) Epoch() int64 { return b.epoch }

// Changed returns a channel that is closed after the next write.
func (b *Inbox) Changed() <-chan struct{} { return b.news.changed() }

// update runs fn in a write transaction, as DB.update does.
func (b *Inbox) update(ctx context.Context, fn func(ctx context.Context, t *tx) error) error {
	if err := b.db.room.refused(); err != nil {
		return err
	}
	return b.always(ctx, fn)
}

// always is update for the end of what was begun: it is tried on a full disk as well.
func (b *Inbox) always(ctx context.Context, fn func(ctx context.Context, t *tx) error) error {
	return b.submitTo(ctx, b.write.queue, fn)
}

// chore is update for what has time.
func (b *Inbox) chore(ctx context.Context, fn func(ctx context.Context, t *tx) error) error {
	return b.submitTo(ctx, b.write.chores, fn)
}

func (b *Inbox) submitTo(ctx context.Context, queue chan<- *op, fn func(ctx context.Context, t *tx) error) error {
	if broken := b.db.broken.Load(); broken != nil {
		return *broken
	}
	if _, err := b.write.submit(ctx, queue, &op{run: fn, done: make(chan error, 1)}, b.quit); err != nil {
		b.db.room.out(err)
		return b.db.sight(err)
	}
	b.news.tell()
	return nil
}

// list calls fn for each row of a query.
func (b *Inbox) list(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var (
		rows *sql.Rows
		err  error
	)
	if stmt, ok := b.hot[query]; ok {
		rows, err = stmt.QueryContext(ctx, args...)
	} else {
		rows, err = b.read.QueryContext(ctx, query, args...)
	}
	if err == nil {
		err = drain(rows, fn)
	}
	select {
	case <-b.quit:
		return store.ErrClosed
	default:
		return b.db.readError(err)
	}
}

// recover begins a new epoch of the inbox: no process but this one is there. What was
// at work and only read waits again. A write may have arrived: it is asked about, or
// waits for a person.
func (b *Inbox) recover(ctx context.Context) error {
	w := b.write
	if err := w.begin(ctx); err != nil {
		return err
	}
	t := &w.tx
	err := t.get(ctx, "UPDATE meta SET value = value + 1 WHERE name = 'host_epoch' RETURNING value", nil, &b.epoch)
	var calls []int64
	if err == nil { // as many as one process worked on, or asked about, at once
		err = t.each(ctx, `
			SELECT call_id FROM call_events WHERE state = 'running'
			UNION
			SELECT e.call_id FROM calls c JOIN call_events e ON e.call_id = c.id AND e.state = 'unknown' AND e.due_at IS NOT NULL
			WHERE  c.unknown > 0 AND c.due_at IS NULL`, nil, func(s scanner) error {
			var id int64
			err := s.Scan(&id)
			calls = append(calls, id)
			return err
		})
	}
	if err == nil {
		err = interrupt(ctx, t)
	}
	for _, id := range calls {
		if err != nil {
			break
		}
		err = settleCall(ctx, t, id)
	}
	if err == nil {
		err = w.commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("begin epoch of the inbox: %w", driverError(err))
	}
	return nil
}

// interrupt says of what was at work that nobody knows what became of its writes; what
// only read waits again.
func interrupt(ctx context.Context, t *tx) error {
	why, err := encode(&store.HookError{Class: "system", Code: store.CodeInterrupted, Message: "the host ended while this was under way", Outcome: store.OutcomeUnknown})
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `
		UPDATE call_events
		SET    state = 'unknown', error = CASE WHEN json_extract(error, '$.code') = $3 THEN error ELSE $1 END, due_at = $2
		WHERE  state = 'running' AND writes = 1`, why, t.ms, store.CodeRestored); err != nil {
		return err
	}
	_, err = t.exec(ctx, "UPDATE call_events SET state = 'queued', due_at = $1 WHERE state = 'running' AND writes = 0", t.ms)
	return err
}
