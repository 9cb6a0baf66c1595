package runner

import (
	"context"
	"slices"
	"sync"
)

// pool bounds the bytes that were received and not applied yet (K24). A call
// takes its share before it receives and gives it back after the apply.
//
// Calls that each hold part of a segment could wait for one another for ever, so
// one call at a time may overdraw: it gets all it needs until its segment is
// applied. The bound is thus the size and one segment. Those that wait are served in
// their order, but for calls that hold a part: they go first, for they end sooner.
type pool struct {
	mu       sync.Mutex // guards what follows
	free     int64
	overdraw *credit // who may
	waiters  []*drawer
}

// drawer is a call that waits for its share to grow.
type drawer struct {
	*credit
	n    int64
	done chan struct{} // closed when it has it, or is over
}

// credit is one call's share.
type credit struct {
	pool *pool
	held int64
	over bool // the call is: it gets nothing more
}

func newPool(size int64) *pool { return &pool{free: size} }

// take adds n bytes to the share, waiting until they are free.
func (c *credit) take(ctx context.Context, n int64) error {
	p := c.pool
	p.mu.Lock()
	if c.over {
		p.mu.Unlock()
		return errTooLong
	}
	if (c.held > 0 || len(p.waiters) == 0) && c.grow(n) {
		p.mu.Unlock()
		return nil
	}
	w := &drawer{credit: c, n: n, done: make(chan struct{})}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()
	var why error
	select {
	case <-w.done:
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.waiters, w); at >= 0 {
		p.waiters = slices.Delete(p.waiters, at, at+1)
		p.serve() // those behind it may have their turn now
		return why
	}
	if c.over { // what it got at that moment, it has given back
		return errTooLong
	}
	return nil
}

// grow adds n bytes to the share if it may have them now. The caller holds the pool's
// mu.
func (c *credit) grow(n int64) bool {
	if c.pool.free < n && !c.mayOverdraw() {
		return false
	}
	c.pool.free -= n
	c.held += n
	return true
}

// mayOverdraw reports whether c holds a part already and is the one that may
// take what is not there.
func (c *credit) mayOverdraw() bool {
	if c.held == 0 {
		return false
	}
	if c.pool.overdraw == nil {
		c.pool.overdraw = c
	}
	return c.pool.overdraw == c
}

// give returns n bytes of the share, for those that wait.
func (c *credit) give(n int64) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.giveBack(n)
}

// end returns the whole share. A call that comes back late takes nothing more.
func (c *credit) end() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.over = true
	c.pool.waiters = slices.DeleteFunc(c.pool.waiters, func(w *drawer) bool {
		if w.credit == c {
			close(w.done)
		}
		return w.credit == c
	})
	c.giveBack(c.held)
}

// giveBack is give for one who holds the pool's mu.
func (c *credit) giveBack(n int64) {
	p := c.pool
	n = min(n, c.held)
	c.held -= n
	p.free += n
	if p.overdraw == c {
		p.overdraw = nil
	}
	p.serve()
}

// serve lets those that wait have what is free: first those that hold a part. The
// caller holds mu.
func (p *pool) serve() {
	for _, holds := range []bool{true, false} {
		for at := 0; at < len(p.waiters); {
			w := p.waiters[at]
			switch {
			case (w.held > 0) != holds:
				at++
			case w.grow(w.n):
				p.waiters = slices.Delete(p.waiters, at, at+1)
				close(w.done)
			default:
				at = len(p.waiters) // nobody passes it
			}
		}
	}
}
