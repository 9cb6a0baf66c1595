package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/store"
)

// lanes is what the scheduler needs of the store.
type lanes interface {
	ClaimLanes(ctx context.Context, c store.LaneClaim) ([]store.Lane, error)
	RenewLanes(ctx context.Context, refs []store.LaneRef, lease time.Duration) (map[int64]int64, error)
	ReleaseLane(ctx context.Context, l store.Lane) error
	NextWake(ctx context.Context, plugins []string) (store.Due, error)
}

// Work works a lane's due streams and returns when none is due, when the hold
// asks to yield, or when ctx ends.
type Work func(ctx context.Context, lane store.Lane, hold *Hold) error

// Options of a Scheduler. The zero value means the documented defaults.
type Options struct {
	Slots   int             // lanes held at once; 32 if zero
	Lease   time.Duration   // of a claim; 30s if zero, renewed at a third of it
	Idle    time.Duration   // the longest time without a look at what is due; 30s if zero
	Grace   time.Duration   // from asking a worker to stop to cancelling it; 15s if zero
	Plugins func() []string // the plugins that can take work now
	Wake    <-chan struct{} // something may have become due
	Paused  func() bool     // nothing is begun, and what is held is given back; never if nil
	Now     func() time.Time
	Log     hclog.Logger
}

// Scheduler claims lanes and has them worked.
type Scheduler struct {
	db   lanes
	work Work
	opts Options

	wake    chan struct{}
	revoked chan []int64
	done    chan *Hold
	crowded atomic.Bool

	// Run's alone.
	held    map[*Hold]struct{}
	shares  shares
	renewed time.Time  // by the clock on the wall, as leases are
	quiet   time.Time  // likewise: nothing is due before that; zero: nobody knows
	next    *store.Due // as the last claim of a fill has left it; nil: it claimed nothing
}

// New returns a Scheduler that is not running yet.
func New(db lanes, work Work, opts Options) *Scheduler {
	opts.Slots = cmp.Or(opts.Slots, 32)
	opts.Lease = cmp.Or(opts.Lease, 30*time.Second)
	opts.Idle = cmp.Or(opts.Idle, 30*time.Second)
	opts.Grace = cmp.Or(opts.Grace, 15*time.Second)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	return &Scheduler{
		db: db, work: work, opts: opts,
		wake:    make(chan struct{}, 1),
		revoked: make(chan []int64, 64),
		done:    make(chan *Hold, opts.Slots),
		held:    map[*Hold]struct{}{},
		shares:  newShares(opts.Slots),
	}
}

// fullDelay is how long a full disk is left alone.
const fullDelay = time.Second

// Wake makes the scheduler look again, such as after a plugin was loaded.
func (s *Scheduler) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is already waiting
	}
}

// Revoke cancels the work on lanes that were taken away, sooner than the next
// renewal would find out. It never blocks.
func (s *Scheduler) Revoke(ids []int64) {
	select {
	case s.revoked <- ids:
	default:
		s.Wake() // the renewal that follows finds out
	}
}

// Run claims and works lanes until ctx ends. Then it asks the workers to yield,
// cancels them after the grace, and returns when all have given back their lanes.
func (s *Scheduler) Run(ctx context.Context) error {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	renew := time.NewTicker(s.opts.Lease / 3)
	defer renew.Stop()
	for ctx.Err() == nil {
		if len(s.held) > 0 && s.wall().Sub(s.renewed).Abs() >= s.opts.Lease/2 {
			s.renew(hard) // the clock has jumped: what is held would be claimed anew
		}
		wait := s.claim(hard)
		if s.listen(ctx, hard, wait, renew.C) {
			s.renew(hard)
		}
	}
	return s.drain(hard, cancel, renew.C)
}

// listen waits until something happens and takes in all that has by then, so that
// many lanes which end together are one reason to look again. It reports whether
// the leases are to be renewed.
func (s *Scheduler) listen(ctx, hard context.Context, wait time.Duration, renew <-chan time.Time) (due bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	quiet := s.quiet
	s.quiet = time.Time{} // unless lanes have come back, and nothing else has happened
	select {
	case <-ctx.Done():
	case <-timer.C:
	case h := <-s.done:
		s.quiet = quiet
		s.forget(h)
	case ids := <-s.revoked:
		s.revoke(hard, ids)
	case <-s.wake:
		due = true
	case <-s.opts.Wake:
		due = true
	case <-renew:
		due = true
	}
	for {
		select {
		case h := <-s.done:
			s.forget(h)
		case <-s.wake:
			due = true
		case <-s.opts.Wake:
			due = true
		default:
			if due {
				s.quiet = time.Time{}
			}
			return due
		}
	}
}

// drain ends the workers in two steps.
func (s *Scheduler) drain(hard context.Context, cancel context.CancelCauseFunc, renew <-chan time.Time) error {
	for h := range s.held {
		h.askToYield()
	}
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	for len(s.held) > 0 {
		select {
		case h := <-s.done:
			s.forget(h)
		case ids := <-s.revoked:
			s.revoke(hard, ids)
		case <-renew:
			s.renew(hard)
		case <-grace.C:
			cancel(ErrStopping)
		}
	}
	return nil
}

// claim fills the free slots and returns how long nothing more will be due. It
// looks before it writes: mostly nothing is.
func (s *Scheduler) claim(ctx context.Context) time.Duration {
	const crowded = 50 * time.Millisecond
	plugins := s.opts.Plugins()
	if len(plugins) == 0 {
		return s.opts.Idle
	}
	if s.opts.Paused != nil && s.opts.Paused() {
		for h := range s.held {
			h.askToYield()
		}
		s.crowded.Store(false)
		return s.opts.Idle
	}
	if left := s.quiet.Sub(s.wall()); left > 0 {
		return max(crowded, min(left, s.opts.Idle))
	}
	due, err := s.db.NextWake(ctx, plugins)
	if err == nil && s.claimable(due) {
		if err = s.fill(ctx, plugins, due.Prios); err == nil {
			due, err = s.afterFill(ctx, plugins)
		}
	}
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrDamaged) {
		return fullDelay // the store says so once, and wakes when there is room
	}
	if err != nil {
		s.opts.Log.Error("claim", "error", err)
		return time.Second
	}
	wait := s.until(due)
	waits := len(due.Prios) > 0 || wait <= 0
	s.crowded.Store(waits) // due, and no slot for it
	if !waits {
		s.quiet = s.wall().Add(wait)
	}
	return max(crowded, min(wait, s.opts.Idle))
}

// claimable reports whether something is due of a class that has a slot for it.
func (s *Scheduler) claimable(due store.Due) bool {
	return slices.ContainsFunc(due.Prios, func(prio int) bool { return s.shares.free(prio) > 0 })
}

// afterFill says what is due for who has just filled the slots: the last claim has said
// it, if there was one.
func (s *Scheduler) afterFill(ctx context.Context, plugins []string) (store.Due, error) {
	if s.next != nil {
		return *s.next, nil
	}
	return s.db.NextWake(ctx, plugins)
}

// until returns how long there is nothing to claim. What is due of classes that hold
// all they may waits for a lane to end, which Run is told of: to look for it meanwhile
// would find the same each time.
func (s *Scheduler) until(due store.Due) time.Duration {
	at := due.At
	if len(due.Prios) > 0 {
		at = due.Later
	}
	switch {
	case s.claimable(due):
		return 0
	case at.IsZero():
		return s.opts.Idle
	default:
		return at.Sub(s.opts.Now())
	}
}

// start has a lane worked in a goroutine that ends before Run does.
func (s *Scheduler) start(ctx context.Context, lane store.Lane) {
	ctx, cancel := context.WithCancelCause(ctx)
	h := &Hold{lane: lane, yield: make(chan struct{}), crowded: &s.crowded, cancel: cancel}
	for old := range s.held {
		if old.lane.ID == lane.ID && !old.lost {
			old.lose() // its lease ran out before it could be renewed
		}
	}
	if len(s.held) == 0 {
		s.renewed = s.wall()
	}
	s.held[h] = struct{}{}
	s.shares.add(lane, 1)
	go func() {
		defer func() { s.done <- h }() // has room for every slot
		defer cancel(nil)
		if err := s.work(ctx, lane, h); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("work lane", "integration", lane.IntegrationID, "error", err)
			h.rest(ctx)
		}
		if h.back {
			return
		}
		err := s.release(ctx, h)
		if err != nil && !errors.Is(err, store.ErrStale) {
			s.opts.Log.Error("release lane", "integration", lane.IntegrationID, "error", err)
		}
	}()
}

// release gives a lane back. A full disk is waited for: a lane that is not given
// back costs its streams an interrupt (K11).
func (s *Scheduler) release(ctx context.Context, h *Hold) error {
	for {
		err := s.db.ReleaseLane(context.WithoutCancel(ctx), h.lane)
		if !errors.Is(err, store.ErrFull) {
			return err
		}
		timer := time.NewTimer(fullDelay)
		select {
		case <-timer.C:
		case <-h.yield: // the host stops, or somebody else wants it
			timer.Stop()
			return err
		}
	}
}

// renew extends all leases in one statement, cancels what was lost and asks
// nudged lanes to yield: they are claimed again at once, with a fresh look at
// what they have to do. It reports whether the store answered.
func (s *Scheduler) renew(ctx context.Context) bool {
	if len(s.held) == 0 {
		return true
	}
	refs := make([]store.LaneRef, 0, len(s.held))
	for h := range s.held {
		if !h.lost {
			refs = append(refs, h.lane.Ref())
		}
	}
	nudges, err := s.db.RenewLanes(ctx, refs, s.opts.Lease)
	if err != nil {
		s.opts.Log.Error("renew lanes", "error", fmt.Errorf("%d lanes: %w", len(refs), err))
		return false // the leases hold for two more renewals
	}
	s.renewed = s.wall()
	for h := range s.held {
		n, ours := nudges[h.lane.ID]
		switch {
		case h.lost:
		case !ours:
			h.lose()
		case n != h.lane.Nudges:
			h.askToYield()
		}
	}
	return true
}

// wall returns the time without its monotonic part, which stands still while the
// machine sleeps.
func (s *Scheduler) wall() time.Time { return s.opts.Now().Round(0) }

// revoke cancels the work on lanes that were taken away. A renewal tells it from
// work on the same lanes that was begun since.
func (s *Scheduler) revoke(ctx context.Context, ids []int64) {
	if s.renew(ctx) {
		return
	}
	for h := range s.held {
		if slices.Contains(ids, h.lane.ID) {
			h.lose()
		}
	}
}

func (s *Scheduler) forget(h *Hold) {
	delete(s.held, h)
	s.shares.add(h.lane, -1)
	switch {
	case !h.back:
		s.quiet = time.Time{}
	case !h.due.IsZero() && h.due.Before(s.quiet):
		s.quiet = h.due
	}
}
