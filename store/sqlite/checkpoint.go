package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/store/sqlite/internal/failpoint"
)

const (
	// checkpointFrames is how many pages the log takes before it is written back.
	checkpointFrames = 4000
	// checkpointRest is how few pages are left to the writer: it has to stop for
	// them, so that the log is empty at one moment and starts at its beginning.
	checkpointRest = 256
	// checkpointTries bounds the chase after a writer that is as fast.
	checkpointTries = 8
	// checkpointIdle is how long a log that is short may wait.
	checkpointIdle = time.Minute
	// longLog is how long the log's file may stay when nothing is in it: a long
	// reader has let it grow.
	longLog = 8 << 20
)

// checkpointer writes the log back into the database beside the writer, on a
// connection of its own. A checkpoint in the writer's would hold everybody up for
// as long as it takes.
type checkpointer struct {
	db   *sql.DB
	w    *writer
	idle time.Duration // that a log which is short waits
	file string        // the log's
}

func newCheckpointer(file string, opts Options, w *writer) (*checkpointer, error) {
	db, err := sql.Open("sqlite", checkpointDSN(file, opts))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1)
	return &checkpointer{db: db, w: w, idle: cmp.Or(opts.WriterIdle, checkpointIdle), file: file + "-wal"}, nil
}

// loop works until quit is closed. A checkpoint that fails loses nothing; the
// next one tries again.
func (c *checkpointer) loop(ctx context.Context, quit <-chan struct{}) {
	defer c.db.Close() //nolint:errcheck // it was only for reading the log
	idle := time.NewTicker(c.idle)
	defer idle.Stop()
	for {
		select {
		case <-quit:
			return
		case <-c.w.busy:
		case <-idle.C:
			if c.w.frames.Load() == 0 {
				c.shorten(ctx)
				continue
			}
		}
		c.w.frames.Store(0)
		c.run(ctx)
	}
}

// run chases the writer until little is left, and leaves that to it.
func (c *checkpointer) run(ctx context.Context) {
	for range checkpointTries {
		failpoint.Hit("write back")
		var busy, log, done int
		err := c.db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &done)
		if err != nil {
			return
		}
		if log-done <= checkpointRest {
			break
		}
	}
	hint(c.w.rest)
}

// shorten gives the room of a long log back (F12). It gives way to whoever reads or
// writes, and is tried again.
func (c *checkpointer) shorten(ctx context.Context) {
	if size, err := fileSize(c.file); err != nil || size < longLog {
		return
	}
	_, _ = c.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // what fails here loses nothing
}

// hint leaves a wake-up unless one waits already.
func hint(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
