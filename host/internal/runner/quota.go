package runner

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/jackfield/jackfield/store"
)

const (
	// limitBatch is how many records a stream is expected to bring before it can be
	// stopped. Towards the end of a limit fewer streams work beside each other, so
	// that little comes beyond it.
	limitBatch = 1000
	// drawAgain is how long a lane whose limit is reached waits before it asks
	// whether others gave something back.
	drawAgain = 10 * time.Second
)

// allowance is what a lane may still import of its integration's limit (K14).
type allowance struct {
	drawing sync.Mutex // one draw at a time; taken before mu

	mu      sync.Mutex // guards what follows
	quota   store.Quota
	pending int64     // records that are taken off quota.Left and not applied yet
	asked   time.Time // when the last draw gave nothing
}

// take counts the records of a segment that is closed.
func (a *allowance) take(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quota.Left -= int64(n)
	a.pending += int64(n)
}

// applied says that the records of a segment are counted in the store now.
func (a *allowance) applied(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending -= int64(n)
}

// spent reports whether the lane's part is used up.
func (a *allowance) spent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.quota.Free && a.quota.Left <= 0
}

// reached reports whether the last draw gave nothing.
func (a *allowance) reached() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.asked.IsZero()
}

// streams returns how many may work beside each other; known is false if that
// takes a draw.
func (a *allowance) streams(now time.Time) (n int, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.quota
	if q.Free || !q.Reset.IsZero() && !now.Before(q.Reset) {
		return 0, false
	}
	if q.Left > 0 {
		return int(max((q.Left+q.Rest)/limitBatch, 1)), true
	}
	return 0, !a.asked.IsZero() && now.Sub(a.asked) < drawAgain
}

func (a *allowance) set(q store.Quota, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q.Left -= a.pending
	a.quota, a.asked = q, time.Time{}
	if !q.Free && q.Left <= 0 {
		a.asked = now
	}
}

// limited reports whether the integration has a limit of records.
func (w *lane) limited() bool { return w.in.Limit.Records > 0 }

// inLimit returns how many streams of the run may work beside each other: none if
// the limit is reached.
func (w *lane) inLimit(ctx context.Context, run int64) (int, error) {
	if !w.limited() {
		return math.MaxInt, nil
	}
	a := &w.quota
	a.drawing.Lock()
	defer a.drawing.Unlock()
	now := w.r.opts.Now()
	if n, known := a.streams(now); known {
		return n, nil
	}
	q, err := w.r.db.DrawQuota(ctx, w.lane.Ref(), run)
	if err != nil {
		return 0, err
	}
	a.set(q, now)
	if q.Free {
		return math.MaxInt, nil
	}
	n, _ := a.streams(now)
	return n, nil
}

// limit lets the run wait for its limit to begin anew, if that is what keeps it.
func (rw *runWork) limit(ctx context.Context) error {
	if !rw.limited() || !rw.quota.reached() {
		return nil
	}
	run, err := rw.r.db.LimitRun(ctx, rw.lane.lane.Ref(), rw.run.ID)
	switch {
	case err != nil:
		return err
	case run.State.Terminal():
		rw.tellEnd(ctx, run.State)
	case run.State == store.RunDelayed:
		rw.log.Info("run waits", "run", run.ID, "until", run.DelayedUntil, "reason", run.DelayReason)
	}
	return nil
}

// within reports, after a checkpoint, whether the stream may go on. What is
// fetched is applied first.
func (s *sink) within(ctx context.Context) bool {
	if !s.limited() || !s.quota.spent() {
		return true
	}
	if _, err := s.drain(); err != nil {
		return false // it is told by the end of the call
	}
	n, err := s.inLimit(ctx, s.run.ID)
	return err == nil && n > 0
}
