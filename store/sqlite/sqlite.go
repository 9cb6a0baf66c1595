package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/jackfield/jackfield/store"
)

// The files in the data directory.
const (
	databaseName = "jackfield.db"
	lockName     = "jackfield.lock"
	madeName     = "jackfield.made" // there has been a database here
)

// Options say how to open a store. Path is required, the zero value of the rest
// means what is said there.
type Options struct {
	// Path is the data directory. It is made if it does not exist.
	Path string
	// Now tells the time; time.Now if nil.
	Now func() time.Time
	// OnRevoke is called after each commit that took lanes away from whoever
	// held them: disable, remove, cancel, continue of a stuck run. It must not
	// call the store.
	OnRevoke func(laneIDs []int64)
	// OnFull is called when a write finds the disk full, and when there is room
	// again. It must not call the store.
	OnFull func(full bool)
	// OnDamage is called once, when what is read is not what was written. Nothing
	// is written from then on (see Freeze). It must not call the store.
	OnDamage func(error)
	// OnCommit is called after each commit with the time that it took, from its first
	// statement, and how many writes it holds. It must not wait.
	OnCommit func(took time.Duration, writes int)
	// OnApply is called after each segment with the time from Apply to its commit, or
	// to its failure. It must not wait.
	OnApply func(took time.Duration)
	// OnStep is called before each commit that moves a run, with what must never be
	// and is there now, in that run, its streams and its lane: nothing, but for a
	// defect. It must not call the store. For tests: it costs a third of what small
	// runs do.
	OnStep func(found []store.Violation)
	// Readers is the number of connections for reading; 4 if zero.
	Readers int
	// ReaderIdle is how long a connection for reading is kept, with the memory of
	// its pages, when nobody reads; 2s if zero.
	ReaderIdle time.Duration
	// WriterIdle is how long nobody writes before the memory of the writer's pages
	// is given back, and how long a short log waits to be written back into the
	// database; a second and a minute if zero.
	WriterIdle time.Duration
	// NoSync leaves out every fsync. Commits may be lost with the power, and more:
	// for benchmarks of what the fsync costs, and for simulations.
	NoSync bool

	// What tests alone set.
	migrations fs.FS // the embedded ones if nil
	normalSync bool  // synchronous=NORMAL: what a power cut may lose
	frames     int64 // of the log between two checkpoints; checkpointFrames if zero
}

// DB is an open store. Its methods may be called by any goroutine. Close ends
// the goroutines that it started.
type DB struct {
	opts   Options
	path   string
	epoch  int64
	schema int
	lock   *os.File
	write  *writer
	read   *sql.DB
	hot    map[string]hotRead // what is read all the time, by its text
	asked  asked              // what is read now and then
	wakes  chan struct{}
	news   news
	room   *room
	inbox  atomic.Pointer[Inbox]    // nil: nobody opened it
	broken atomic.Pointer[error]    // why nothing is written any more
	loaded atomic.Pointer[[]string] // the plugins that ParkIntegrations was told of; nil before
	quit   chan struct{}
	// copying is of one: a backup is under way.
	copying chan struct{}
	wg      sync.WaitGroup
	once    sync.Once
	closed  error // by once

	mu      sync.Mutex // guards what follows
	counted recordCount
	cheap   *sql.Stmt // of VerifyCheap
}

// Open locks the data directory, opens the database in it, brings its schema up
// to date and frees what earlier processes held. A second opener gets
// store.ErrLocked with the holder's pid, a database of a newer version
// store.ErrNewerSchema. The caller closes the DB.
func Open(ctx context.Context, opts Options) (*DB, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.migrations == nil {
		opts.migrations = migrations
	}
	opts.Readers = cmp.Or(opts.Readers, 4)
	opts.ReaderIdle = cmp.Or(opts.ReaderIdle, 2*time.Second)
	opts.frames = cmp.Or(opts.frames, checkpointFrames)
	dir, err := filepath.Abs(opts.Path)
	if err != nil || opts.Path == "" {
		return nil, fmt.Errorf("open store %q: %w", opts.Path, cmp.Or(err, store.ErrInvalid))
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db := &DB{
		opts:    opts,
		path:    dir,
		lock:    lock,
		wakes:   make(chan struct{}, 1),
		quit:    make(chan struct{}),
		copying: make(chan struct{}, 1),
		room:    newRoom(dir, opts.OnFull),
	}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), unlockDir(lock))
	}
	return db, nil
}

// open does what needs the lock.
func (db *DB) open(ctx context.Context) error {
	file := filepath.Join(db.path, databaseName)
	if err := refuseEmptied(file); err != nil {
		return err
	}
	if err := makeFile(file); err != nil {
		return err
	}
	// The connections outlive ctx, which is for the opening alone.
	life := context.WithoutCancel(ctx)
	w, err := newWriter(life, file, db.opts)
	if err != nil {
		return err
	}
	db.write = w
	if db.schema, err = migrate(ctx, w.conn, file, db.opts); err != nil {
		return errors.Join(err, w.close())
	}
	if err := markMade(db.path); err != nil {
		return errors.Join(err, w.close())
	}
	ctx = life
	if db.epoch, err = w.recover(ctx); err != nil {
		return errors.Join(err, w.close())
	}
	if db.read, err = sql.Open("sqlite", readerDSN(file)); err != nil {
		return errors.Join(err, w.close())
	}
	db.read.SetMaxOpenConns(db.opts.Readers)
	db.read.SetMaxIdleConns(db.opts.Readers)
	db.read.SetConnMaxIdleTime(db.opts.ReaderIdle)
	if err := db.prepareHot(ctx); err != nil {
		return errors.Join(err, db.read.Close(), w.close())
	}
	keeper, err := newCheckpointer(file, db.opts, w)
	if err != nil {
		return errors.Join(err, db.closeHot(), db.read.Close(), w.close())
	}
	db.wg.Go(func() { w.loop(ctx, db.quit) })
	db.wg.Go(func() { keeper.loop(ctx, db.quit) })
	db.wg.Go(func() { db.room.loop(db.quit, db.wake) })
	return nil
}

// Close waits for the writes that were taken, writes the log back into the
// database, and gives the data directory free. Calls after it get
// store.ErrClosed.
func (db *DB) Close() error {
	db.once.Do(func() {
		var inbox error
		if b := db.inbox.Load(); b != nil {
			inbox = b.close()
		}
		close(db.quit)
		db.wg.Wait()
		// The writer goes last: the last connection to leave removes the log.
		db.closed = errors.Join(inbox, db.closeCheap(), db.asked.close(), db.closeHot(), db.read.Close(), db.write.close(), unlockDir(db.lock))
	})
	return db.closed
}

// Path returns the data directory.
func (db *DB) Path() string { return db.path }

// Epoch returns the number of this opening. It rises with each.
func (db *DB) Epoch() int64 { return db.epoch }

// Wakes receives after a commit that may have made a lane due in this process.
// Wake-ups coalesce: one stands for all since the last was taken. Who gives a lane
// back, or holds it, is not told of what that alone brings about later.
func (db *DB) Wakes() <-chan struct{} { return db.wakes }

// Failed is closed when the store can write no more: the outcome of a commit is
// unknown. The process must end; the next start decides by looking. Err says
// why.
func (db *DB) Failed() <-chan struct{} { return db.write.failed }

// Err returns why the store failed, or nil.
func (db *DB) Err() error { return db.write.failure() }

// Freeze has every later write answered with err: whoever looked found that the
// content of the file is not what was written. Reads go on.
func (db *DB) Freeze(err error) { db.broken.CompareAndSwap(nil, &err) }

// sight freezes the store when err says that the file is damaged, and returns err.
func (db *DB) sight(err error) error {
	if err == nil || !errors.Is(err, store.ErrDamaged) || !db.broken.CompareAndSwap(nil, &err) {
		return err
	}
	if db.opts.OnDamage != nil {
		db.opts.OnDamage(err)
	}
	return err
}

// wake tells the reader of Wakes.
func (db *DB) wake() {
	hint(db.wakes)
}

// update runs fn in a write transaction and answers after its commit. Others may
// share the transaction. If fn returns an error nothing of it is written; fn may
// then run a second time, so it sets its results anew each time. While the disk is
// full it is store.ErrFull.
func (db *DB) update(ctx context.Context, fn func(ctx context.Context, t *tx) error) error {
	if err := db.room.refused(); err != nil {
		return err
	}
	return db.submit(ctx, &op{run: fn, done: make(chan error, 1)})
}

// submit queues o and waits for its outcome.
func (db *DB) submit(ctx context.Context, o *op) error {
	return db.submitTo(ctx, db.write.queue, o)
}

func (db *DB) submitTo(ctx context.Context, queue chan<- *op, o *op) error {
	if broken := db.broken.Load(); broken != nil {
		return *broken
	}
	after, err := db.write.submit(ctx, queue, o, db.quit)
	if err != nil {
		db.room.out(err)
		return db.sight(err)
	}
	db.news.tell()
	if after.wake {
		db.wake()
	}
	if len(after.revoked) > 0 && db.opts.OnRevoke != nil {
		db.opts.OnRevoke(after.revoked)
	}
	return nil
}

func dsn(file string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	q.Set("_txlock", "immediate")
	q.Set("_dqs", "0")
	q.Set("_defensive", "1")
	u := url.URL{Scheme: "file", Path: file, RawQuery: q.Encode()}
	return u.String()
}

// synchronous returns the pragma of the connections that write.
func (o Options) synchronous() string {
	switch {
	case o.NoSync:
		return "synchronous(off)"
	case o.normalSync:
		return "synchronous(normal)"
	default:
		return "synchronous(full)"
	}
}

// writerDSN is for the connection that writes. A page that it keeps takes twice its size
// of memory, for the allocator rounds up; with twice as many of them a sync is not faster.
func writerDSN(file string, opts Options) string {
	return dsn(file, "journal_mode(wal)", opts.synchronous(), "foreign_keys(1)", "trusted_schema(0)",
		"cache_size(-8192)", "temp_store(memory)", "journal_size_limit(67108864)", "wal_autocheckpoint(0)")
}

func readerDSN(file string) string {
	return dsn(file, "query_only(1)", "trusted_schema(0)", "cache_size(-1024)", "temp_store(memory)")
}

// copierDSN is for a connection that reads the whole database.
func copierDSN(file string) string {
	return dsn(file, "trusted_schema(0)", "cache_size(-2048)", "temp_store(memory)") + "&mode=ro"
}

// checkpointDSN is for the connection that writes the log back. It gives way at
// once.
func checkpointDSN(file string, opts Options) string {
	return dsn(file, "busy_timeout(0)", opts.synchronous(), "trusted_schema(0)", "cache_size(-256)")
}
