package runner

import (
	"context"
	"sync"
)

// pool bounds the bytes that were received and not applied yet (K24). A call
// takes its share before it receives and gives it back after the apply.
//
// Calls that each hold part of a segment could wait for one another for ever, so
// one call at a time may overdraw: it gets all it needs until its segment is
// applied. The bound is thus the size and one segment.
type pool struct {
	mu       sync.Mutex // guards what follows
	free     int64
	overdraw *credit // who may
	waiters  []chan struct{}
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
	for {
		p.mu.Lock()
		if c.over {
			p.mu.Unlock()
			return errTooLong
		}
		if p.free >= n || c.mayOverdraw() {
			p.free -= n
			c.held += n
			p.mu.Unlock()
			return nil
		}
		wait := make(chan struct{})
		p.waiters = append(p.waiters, wait)
		p.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
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

// give returns n bytes of the share and wakes who waits.
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
	for _, w := range p.waiters {
		close(w)
	}
	p.waiters = nil
}
