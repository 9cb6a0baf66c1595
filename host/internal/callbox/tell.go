package callbox

import (
	"context"

	"github.com/jackfield/jackfield/store"
)

// Unknowns keeps which unknown writes people were told of: see sqlite.Inbox.
type Unknowns interface {
	UntoldUnknown(ctx context.Context, limit int) ([]store.UnknownWrite, error)
	ToldUnknown(ctx context.Context, event int64) error
}

// tellAtOnce is how many unknown writes are told of at once.
const tellAtOnce = 100

// tell tells of the writes that became unknown, once each. What cannot be told is told
// later.
func (c *Callbox) tell(ctx context.Context) {
	if c.opts.Unknown == nil || !c.untold.CompareAndSwap(true, false) {
		return
	}
	list, err := c.inbox.UntoldUnknown(ctx, tellAtOnce)
	for _, w := range list {
		if err == nil {
			err = c.opts.Unknown(ctx, w)
		}
		if err == nil {
			err = c.inbox.ToldUnknown(ctx, w.Event)
		}
	}
	if err != nil && ctx.Err() == nil {
		c.opts.Log.Warn("nobody could be told of an unknown write", "error", err)
	}
	if err != nil || len(list) == tellAtOnce {
		c.untold.Store(true)
	}
	if err == nil && len(list) == tellAtOnce {
		c.nudge()
	}
}
