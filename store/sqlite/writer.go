package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite/internal/failpoint"
)

// Bounds of a group. Whoever waits behind it waits at most as long.
const (
	groupBytes = 4 << 20
	groupTime  = 20 * time.Millisecond
	groupOps   = 1024
)

// frameBytes is what a page takes in the log.
const frameBytes = 24 + 4096

// choreEvery is how many groups of work may go before a chore in a row. One that
// waits is then let through, so that a store which is never idle is kept clean too.
const choreEvery = 64

// quietAfter is how long nothing is written before the writer gives the memory of
// its pages back.
const quietAfter = time.Second

// op is one write that waits for the writer.
type op struct {
	run   func(ctx context.Context, t *tx) error
	bytes int // of what it carries
	mark  *landmark
	taken atomic.Int32 // 0 waits, 1 the writer has it, 2 given up
	done  chan error   // of one
	after after        // of its commit; read after done
}

// landmark tells afterwards whether a commit happened: the seq that a stream has
// then.
type landmark struct {
	stream, seq int64
}

// after is what a committed transaction calls for.
type after struct {
	wake    bool
	revoked []int64 // lanes
}

// writer is the one that writes.
type writer struct {
	dsn     string
	now     func() time.Time
	onStep  func(found []store.Violation)
	onDone  func(took time.Duration, writes int) // may be nil
	idle    time.Duration                        // before the memory of the pages is given back
	queue   chan *op
	chores  chan *op // taken when queue is empty
	stopped chan struct{}
	failed  chan struct{}
	frames  atomic.Int64  // pages written to the log since the checkpointer looked
	most    int64         // of frames, before the checkpointer is told
	busy    chan struct{} // of one: there are frames
	rest    chan struct{} // of one: the checkpointer has left little

	// The loop's alone.
	begun time.Time // the transaction; zero if nobody wants to know
	db    *sql.DB
	conn  *sql.Conn
	tx    tx
	pos   int64 // of the last change in the feed
	// reserved is the position up to which the database knows that positions may
	// have been given away.
	reserved int64
	commit   func(ctx context.Context) error // a test makes it fail

	mu  sync.Mutex // guards err
	err error

	position atomic.Int64 // pos, for readers
}

func newWriter(ctx context.Context, file string, opts Options) (*writer, error) {
	w := &writer{
		dsn:     writerDSN(file, opts),
		now:     opts.Now,
		onStep:  opts.OnStep,
		onDone:  opts.OnCommit,
		idle:    cmp.Or(opts.WriterIdle, quietAfter),
		most:    opts.frames,
		queue:   make(chan *op, groupOps),
		chores:  make(chan *op),
		stopped: make(chan struct{}),
		failed:  make(chan struct{}),
		busy:    make(chan struct{}, 1),
		rest:    make(chan struct{}, 1),
	}
	w.commit = func(ctx context.Context) error {
		_, err := w.tx.exec(ctx, "COMMIT")
		return err
	}
	if log, err := os.Stat(file + "-wal"); err == nil { // of a process that was killed
		w.frames.Store(log.Size() / frameBytes)
	}
	return w, w.connect(ctx)
}

// connect opens the connection, again if there was one.
func (w *writer) connect(ctx context.Context) error {
	db, err := sql.Open("sqlite", w.dsn)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("open database: %w", driverError(err)), db.Close())
	}
	w.db, w.conn = db, conn
	w.tx = tx{conn: conn, stmts: make(map[string]statement)}
	if w.onStep != nil {
		w.tx.steps = newSteps()
	}
	return nil
}

func (w *writer) close() error {
	return errors.Join(w.tx.close(), w.conn.Close(), w.db.Close())
}

// submit hands o to the writer by one of its queues and waits until it is
// committed, or is not. ctx bounds the wait until the writer takes it; what is
// taken finishes.
func (w *writer) submit(ctx context.Context, queue chan<- *op, o *op, quit <-chan struct{}) (after, error) {
	select {
	case <-quit:
		return after{}, store.ErrClosed
	case <-w.failed:
		return after{}, w.failure()
	default:
	}
	select {
	case queue <- o:
	case <-quit:
		return after{}, store.ErrClosed
	case <-w.failed:
		return after{}, w.failure()
	case <-ctx.Done():
		return after{}, context.Cause(ctx)
	}
	select {
	case err := <-o.done:
		return o.after, err
	case <-w.stopped: // it may have been the last that was done
		select {
		case err := <-o.done:
			return o.after, err
		default:
			return after{}, store.ErrClosed
		}
	case <-ctx.Done():
		if o.taken.CompareAndSwap(0, 2) {
			return after{}, context.Cause(ctx)
		}
		err := <-o.done // before after, which it guards
		return o.after, err
	}
}

// loop writes until quit is closed and nothing waits any more.
func (w *writer) loop(ctx context.Context, quit <-chan struct{}) {
	defer close(w.stopped)
	quiet := time.NewTimer(w.idle)
	defer quiet.Stop()
	groups := 0 // in a row
	for {
		if groups < choreEvery {
			select {
			case o := <-w.queue: // work goes before chores
				w.group(ctx, o)
				groups++
				quiet.Reset(w.idle)
				continue
			default:
			}
		}
		groups = 0
		select {
		case o := <-w.queue:
			w.group(ctx, o)
			quiet.Reset(w.idle)
		case o := <-w.chores:
			w.group(ctx, o)
			quiet.Reset(w.idle)
		case <-w.rest:
			w.pragma(ctx, "wal_checkpoint(PASSIVE)")
		case <-quiet.C:
			w.pragma(ctx, "shrink_memory")
		case <-quit:
			for {
				select {
				case o := <-w.queue:
					w.group(ctx, o)
				default:
					return
				}
			}
		}
	}
}

// group runs first and what waits behind it in one transaction.
func (w *writer) group(ctx context.Context, first *op) {
	if !first.taken.CompareAndSwap(0, 1) {
		return
	}
	if err := w.failure(); err != nil {
		first.done <- err
		return
	}
	start := w.now()
	if err := w.begin(ctx); err != nil {
		w.answer([]*op{first}, err)
		return
	}
	failpoint.Hit("begun")
	var (
		ops  []*op // that are part of the transaction
		size int
	)
	for o := first; o != nil; o = w.next(len(ops), size, start) {
		if o.mark == nil { // it may want to read what applies have not written yet
			if err := w.tx.flush(ctx); err != nil {
				w.retry(ctx, append(ops, o), err)
				return
			}
		}
		before := w.tx.writes
		err := o.run(ctx, &w.tx)
		failpoint.Hit("part")
		switch {
		case err == nil:
			ops = append(ops, o)
			size += o.bytes
		case !isDriver(err) && w.tx.writes == before:
			o.done <- err // it asked for what cannot be, and wrote nothing
		default:
			w.retry(ctx, append(ops, o), err)
			return
		}
	}
	w.settle(ctx, ops)
}

// retry rolls back after a failed statement. What the group held is run again,
// each alone, unless the failure says that nothing can be written now.
func (w *writer) retry(ctx context.Context, ops []*op, err error) {
	err = errors.Join(driverError(err), w.rollback(ctx))
	switch {
	case fatal(err):
		w.answer(ops, err)
	case len(ops) == 1:
		ops[0].done <- ops[0].rejected(err)
	default:
		w.alone(ctx, ops)
	}
}

// alone runs each of ops in a transaction of its own, after one of them failed in
// a common one. The one that fails here fails by itself.
func (w *writer) alone(ctx context.Context, ops []*op) {
	for i, o := range ops {
		if err := errors.Join(w.failure(), w.begin(ctx)); err != nil {
			w.answer(ops[i:], err)
			return
		}
		if err := o.run(ctx, &w.tx); err != nil {
			w.retry(ctx, []*op{o}, err)
			continue
		}
		w.settle(ctx, []*op{o})
	}
}

// rejected marks the failure of a statement in the apply of one result.
func (o *op) rejected(err error) error {
	if o.mark != nil && isDriver(err) && !fatal(err) {
		return fmt.Errorf("%w: %w", store.ErrRejected, err)
	}
	return err
}

// next returns what waits, if the group may take more.
func (w *writer) next(n, size int, start time.Time) *op {
	for n < groupOps && size < groupBytes && w.now().Sub(start) < groupTime {
		select {
		case o := <-w.queue:
			if o.taken.CompareAndSwap(0, 1) {
				return o
			}
		default:
			return nil
		}
	}
	return nil
}

func (w *writer) begin(ctx context.Context) error {
	if w.onDone != nil {
		w.begun = time.Now()
	}
	w.tx.start(w.now(), w.pos, w.reserved)
	_, err := w.tx.exec(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		w.tx.writes = 0 // the driver tells again what the statement before it changed
		return nil
	}
	// The connection is of no more use, perhaps after an error of the disk. A new
	// one may be.
	err = errors.Join(err, w.close(), w.connect(ctx))
	w.tx.start(w.now(), w.pos, w.reserved)
	if _, again := w.tx.exec(ctx, "BEGIN IMMEDIATE"); again != nil {
		return fmt.Errorf("begin: %w", driverError(errors.Join(err, again)))
	}
	return nil
}

func (w *writer) rollback(ctx context.Context) error {
	_, err := w.tx.exec(ctx, "ROLLBACK")
	if isDriver(err) {
		return nil // the failed statement has ended the transaction already
	}
	return err
}

// pragma does what may be left undone until the next time: to write back what the
// checkpointer left of the log, so that the next transaction starts the log anew,
// and to give back the memory of the page cache. It waits for nobody.
func (w *writer) pragma(ctx context.Context, what string) {
	_ = w.tx.each(ctx, "PRAGMA "+what, nil, func(scanner) error { return nil }) // as said
}

// count tells the checkpointer how much was written.
func (w *writer) count() {
	var n int
	err := w.conn.Raw(func(c any) error {
		status, ok := c.(sqlite.DBStatus)
		if !ok {
			return driver.ErrSkip
		}
		var err error
		n, _, err = status.Status(sqlite.DBStatusCacheWrite, true)
		return err
	})
	if err != nil || n == 0 {
		return // the next commit tells
	}
	if w.frames.Add(int64(n)) >= w.most {
		hint(w.busy)
	}
}

func (w *writer) answer(ops []*op, err error) {
	for _, o := range ops {
		o.done <- err
	}
}

func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.failed)
	}
}

func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
