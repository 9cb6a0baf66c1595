package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackfield/jackfield/store"
)

const (
	// roomFile is written to find out whether there is room again.
	roomFile = "jackfield.room"
	// roomNeeded is what a full group takes, in the log and in the database.
	roomNeeded = 4 * groupBytes
	// The first look waits for roomEvery, each one after it twice as long, up to
	// roomLongest, until the disk has had room for roomCalm.
	roomEvery   = time.Second
	roomLongest = 30 * time.Second
	roomCalm    = time.Minute
)

// room knows whether the disk is full. It is, from a write that failed for it to a
// look that finds room for a whole group: where there is room for claims and none
// for results, the remote systems would be asked for nothing.
type room struct {
	dir   string
	full  atomic.Bool
	look  chan struct{} // of one: the disk is full
	try   func() error  // fails while it is
	every time.Duration // of the first look
	told  func(full bool)
}

func newRoom(dir string, told func(full bool)) *room {
	r := &room{dir: dir, look: make(chan struct{}, 1), every: roomEvery, told: told}
	if told == nil {
		r.told = func(bool) {}
	}
	r.try = r.write
	return r
}

// out is told of each error of a write.
func (r *room) out(err error) {
	if errors.Is(err, store.ErrFull) && r.full.CompareAndSwap(false, true) {
		r.told(true)
		hint(r.look)
	}
}

// refused returns why nothing new may be written, or nil.
func (r *room) refused() error {
	if !r.full.Load() {
		return nil
	}
	return store.Hint(fmt.Errorf("%w: nothing can be changed", store.ErrFull), "make room where "+r.dir+" is; work goes on by itself")
}

// loop waits for room whenever the disk is full, until quit is closed. It calls
// back when there is.
func (r *room) loop(quit <-chan struct{}, back func()) {
	wait := r.every
	var since time.Time // there was room
	for {
		select {
		case <-quit:
			return
		case <-r.look:
		}
		if time.Since(since) > roomCalm {
			wait = r.every
		}
		for {
			timer := time.NewTimer(wait)
			select {
			case <-quit:
				timer.Stop()
				return
			case <-timer.C:
			}
			wait = min(2*wait, roomLongest)
			if r.try() == nil {
				break
			}
		}
		since = time.Now()
		r.full.Store(false)
		r.told(false)
		back()
	}
}

// write takes the room that is needed, and gives it back.
func (r *room) write() (err error) {
	if free, ok := freeBytes(r.dir); ok && free < 2*roomNeeded {
		return store.ErrFull
	}
	path := filepath.Join(r.dir, roomFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // in the data directory
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	block := make([]byte, 1<<20)
	for written := 0; written < roomNeeded && err == nil; written += len(block) {
		_, err = f.Write(block)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// always is update for what is tried on a full disk as well: it gives work back,
// or keeps what the remote system will not give again.
func (db *DB) always(ctx context.Context, fn func(ctx context.Context, t *tx) error) error {
	return db.submit(ctx, &op{run: fn, done: make(chan error, 1)})
}
