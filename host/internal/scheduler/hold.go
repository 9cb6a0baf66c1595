package scheduler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Causes of a worker's context.
var (
	// ErrLost says that the lane belongs to somebody else now.
	ErrLost = errors.New("the lane was lost")
	// ErrStopping says that the host stops and the grace is over.
	ErrStopping = errors.New("the host is stopping")
)

// Hold is a claimed lane in the hands of a worker.
type Hold struct {
	lane    store.Lane
	yield   chan struct{}
	once    sync.Once
	crowded *atomic.Bool
	cancel  context.CancelCauseFunc
	// lost is set when the lane was taken away: it may be claimed again, by this
	// host too, while the old worker is still on its way out. Run's alone.
	lost bool
	// back is set when the worker has given the lane back, and due is when it can be
	// claimed again then; zero: never. The worker's, and Run's when it has ended.
	back bool
	due  time.Time
}

// Yield is closed when the worker should end at the next segment boundary: the
// host stops, or the lane was nudged and has something else to do.
func (h *Hold) Yield() <-chan struct{} { return h.yield }

// Crowded reports whether other lanes wait for a slot. A worker whose quantum is
// over then starts no more streams.
func (h *Hold) Crowded() bool { return h.crowded.Load() }

// GaveBack says that the worker has given the lane back itself, and when the lane can
// be claimed again; zero: never. The worker calls it before it returns, in the
// goroutine that it was called in.
func (h *Hold) GaveBack(due time.Time) { h.back, h.due = true, due }

// rest keeps a lane whose work failed for a moment: given back at once it would
// be due at once, and fail again.
func (h *Hold) rest(ctx context.Context) {
	const failed = 2 * time.Second
	timer := time.NewTimer(failed)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.yield:
	case <-ctx.Done():
	}
}

func (h *Hold) lose() {
	h.lost = true
	h.cancel(ErrLost)
}

func (h *Hold) askToYield() { h.once.Do(func() { close(h.yield) }) }
