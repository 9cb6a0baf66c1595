package supervisor

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
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

// Logs returns the last n lines of the plugin, oldest first; all that are kept,
// 1,000, if n is not positive.
func (s *Supervisor) Logs(name string, n int) ([]Line, error) {
	a := s.actor(name)
	if a == nil {
		return nil, fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
	}
	if n <= 0 {
		n = keptLines
	}
	return a.book.last(n), nil
}

// Follow returns the plugin's lines as they come. The channel is closed when ctx
// ends. A reader that does not keep up misses lines.
func (s *Supervisor) Follow(ctx context.Context, name string) (<-chan Line, error) {
	a := s.actor(name)
	if a == nil {
		return nil, fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
	}
	return a.book.follow(ctx), nil
}

// Say adds a line to those of the plugin, as if its process had written it: what
// is logged in a call comes another way than what is printed. It counts against
// the same bound. Without a process it is dropped.
func (s *Supervisor) Say(name string, level hclog.Level, message string, fields map[string]string) {
	a := s.actor(name)
	if a != nil && a.branches != nil {
		a = a.branches.find(fields["tenant"])
	}
	if a != nil {
		if p := a.process(); p != nil {
			p.x.out.say(level, message, fields)
		}
	}
}
