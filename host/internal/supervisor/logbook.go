package supervisor

import (
	"context"
	"sync"
)

// What a logbook keeps.
const (
	keptLines    = 1000
	followBuffer = 256
)

// logbook keeps the last lines of a plugin, over its restarts, and passes new
// ones to those who follow.
type logbook struct {
	mu        sync.Mutex // guards what follows
	lines     ring[Line]
	followers map[chan Line]struct{}
}

func newLogbook() *logbook {
	return &logbook{lines: ring[Line]{size: keptLines}, followers: map[chan Line]struct{}{}}
}

// write adds a line. A follower that does not keep up misses it: the plugin is
// not made to wait for a reader of its log.
func (b *logbook) write(line Line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines.add(line)
	for f := range b.followers {
		select {
		case f <- line:
		default:
		}
	}
}

// last returns up to n of the newest lines, oldest first.
func (b *logbook) last(n int) []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.last(n)
}

// follow returns lines as they come, until ctx ends, which closes the channel.
func (b *logbook) follow(ctx context.Context) <-chan Line {
	f := make(chan Line, followBuffer)
	b.mu.Lock()
	b.followers[f] = struct{}{}
	b.mu.Unlock()
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.followers, f)
		close(f)
	})
	return f
}

// ring keeps the last size items.
type ring[T any] struct {
	size  int
	items []T
	next  int // where the oldest is, once the ring is full
}

func (r *ring[T]) add(item T) {
	if len(r.items) < r.size {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % r.size
}

func (r *ring[T]) last(n int) []T {
	all := make([]T, 0, len(r.items))
	all = append(append(all, r.items[r.next:]...), r.items[:r.next]...)
	return all[max(0, len(all)-n):]
}
