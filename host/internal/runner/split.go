package runner

import (
	"errors"
	"fmt"
	"sync"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// pageSizes are the page sizes of the lane's streams whose pages were too large:
// their next pages would be, too. They are forgotten with the lane. The zero value
// is ready.
type pageSizes struct {
	mu     sync.Mutex    // guards what follows
	stream map[int64]int // by id
}

// of returns the size for a stream, or what holds for all.
func (p *pageSizes) of(stream int64, otherwise int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size, ok := p.stream[stream]; ok {
		return size
	}
	return otherwise
}

func (p *pageSizes) set(stream int64, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stream == nil {
		p.stream = map[int64]int{}
	}
	p.stream[stream] = size
}

// split reports whether the call ended because of a segment or a message that is too
// large, and is to be made again from the last checkpoint with a page of half the
// size (F25). It costs no attempt. A page of one record is not split: a record that
// is too large was left out before.
func (c *call) split(out *sink, err error) bool {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || e.Code != "checkpoint_required" && e.Code != "message_too_large" {
		return false
	}
	if t := c.stream.Type; t != store.StreamRoot && t != store.StreamChild {
		return false
	}
	size := sdk.BatchRecords // what the plugin aims at, if nothing is known of the page
	if out.refused > 0 {
		size = out.refused
	}
	if c.size > 0 {
		size = min(size, c.size)
	}
	if size <= 1 {
		if c.size == 1 {
			e.Message += "; it was asked for pages of one record"
		}
		return false
	}
	c.size = size / 2
	c.pages.set(c.stream.ID, c.size)
	c.log.Info("page is too large; it is asked for in smaller ones", "run", c.run.ID, "stream", c.stream.Ident, "records", c.size, "error", fmt.Sprint(err))
	return true
}
