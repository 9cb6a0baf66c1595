package callbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/semaphore"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Inbox keeps events: see sqlite.Inbox.
type Inbox interface {
	AcceptEvent(ctx context.Context, n store.NewCallEvent) (store.AcceptedEvent, error)
	ClaimEvent(ctx context.Context, call int64) (store.ClaimedEvent, bool, error)
	FinishEvent(ctx context.Context, o store.EventOutcome) (call store.Call, next store.ClaimedEvent, more bool, err error)
	DueCalls(ctx context.Context, limit int) (due []store.DueCall, next int64, err error)
	CallByExternal(ctx context.Context, integration, external string) (store.Call, error)
	CallEvent(ctx context.Context, id int64) (store.CallEvent, error)
	SaveEvent(ctx context.Context, o store.EventOutcome) error
	Unknowns
	MadeOfSame(ctx context.Context, event int64) (made store.CallEvent, ok bool, err error)
	ResolveEvent(ctx context.Context, id int64, how store.EventResolution, answer json.RawMessage, log store.CallLog) (store.CallEvent, error)
}

// Options of a Callbox. The zero value means the documented defaults.
type Options struct {
	Lookups   int           // hooks that read, at once; 512 if zero
	Writes    int           // calls whose hooks write, at once; 256 if zero
	WriteTime time.Duration // of a hook that writes; 30s if zero
	FormWait  time.Duration // for what was made of a form; 10s if zero
	RetryBase time.Duration // first delay of a write that did not arrive, doubled each time up to RetryMost; 1s if zero
	RetryMost time.Duration // 1 minute if zero
	GiveUp    time.Duration // after which a write is tried no more; 72h if zero
	Grace     time.Duration // for hooks to end when the host stops; 5s if zero
	Now       func() time.Time
	Log       hclog.Logger
	// Redact takes known secrets out of what is kept of errors.
	Redact func(string) string
	// Unknown tells people, once each, of a write of which nobody knows whether it
	// arrived; nil: nobody is told.
	Unknown func(ctx context.Context, w store.UnknownWrite) error
}

// ErrStopping is the answer of a Callbox that ends.
var ErrStopping = errors.New("no call events are taken: the host is stopping")

// Callbox takes events and runs their hooks.
type Callbox struct {
	inbox Inbox
	hooks Hooks
	opts  Options

	lanes   lanes
	sames   sames
	waits   waits
	lookups *semaphore.Weighted
	writes  *semaphore.Weighted
	kick    chan struct{} // of one: something may be due
	untold  atomic.Bool   // a write may be unknown that nobody was told of

	life context.Context //nolint:containedctx // that of the hooks: they outlive who sent the event
	end  context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	stopped bool
	failing bool      // no event could be claimed of late
	rest    time.Time // until when none is claimed by dispatch
	working sync.WaitGroup
}

// New returns a Callbox. It starts nothing.
func New(inbox Inbox, hooks Hooks, opts Options) *Callbox {
	opts.Lookups = cmp.Or(opts.Lookups, 512)
	opts.Writes = cmp.Or(opts.Writes, 256)
	opts.WriteTime = cmp.Or(opts.WriteTime, 30*time.Second)
	opts.FormWait = cmp.Or(opts.FormWait, 10*time.Second)
	opts.RetryBase = cmp.Or(opts.RetryBase, time.Second)
	opts.RetryMost = cmp.Or(opts.RetryMost, time.Minute)
	opts.GiveUp = cmp.Or(opts.GiveUp, 72*time.Hour)
	opts.Grace = cmp.Or(opts.Grace, 5*time.Second)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Redact == nil {
		opts.Redact = func(s string) string { return s }
	}
	c := &Callbox{
		inbox: inbox, hooks: hooks, opts: opts,
		lanes:   lanes{busy: map[string]bool{}},
		sames:   sames{busy: map[string]chan struct{}{}},
		waits:   waits{of: map[int64][]chan store.CallEvent{}},
		lookups: semaphore.NewWeighted(int64(opts.Lookups)), writes: semaphore.NewWeighted(int64(opts.Writes)),
		kick: make(chan struct{}, 1),
	}
	c.untold.Store(true) // a host before this one may have ended too early
	c.life, c.end = context.WithCancelCause(context.Background())
	return c
}

// spawn runs fn beside its caller, unless the Callbox ends.
func (c *Callbox) spawn(fn func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	c.working.Go(fn)
	return true
}

// Run works what is due until ctx ends: what waited when the host ended before, and
// what is to be tried again. Hooks that are under way then get a grace; a write that is
// cut off is unknown.
func (c *Callbox) Run(ctx context.Context) error {
	defer c.stop()
	for {
		c.tell(ctx)
		wait, err := c.dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			c.opts.Log.Error("call events", "error", err)
			wait = 5 * time.Second
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-c.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// stop waits for what is under way, and cuts it off after the grace.
func (c *Callbox) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.working.Wait()
		close(done)
	}()
	timer := time.NewTimer(c.opts.Grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		c.end(ErrStopping)
		<-done
	}
	c.end(ErrStopping)
}

// How often the inbox is asked at least, and how many calls it tells at once.
const (
	lookAgain = time.Minute
	dueAtOnce = 256
	claimRest = 5 * time.Second        // after an event could not be claimed
	busyAgain = 100 * time.Millisecond // calls are due that are held for a moment
)

// dispatch begins what is due, and returns how long to wait for more.
func (c *Callbox) dispatch(ctx context.Context) (time.Duration, error) {
	if d := c.resting(); d > 0 {
		return d, nil
	}
	due, next, err := c.inbox.DueCalls(ctx, dueAtOnce)
	if err != nil {
		return 0, err
	}
	for _, call := range due {
		if !c.writes.TryAcquire(1) {
			return lookAgain, nil // whoever ends kicks
		}
		key := laneKey(call.Integration, call.External)
		if !c.lanes.take(key) {
			c.writes.Release(1)
			continue
		}
		if !c.spawn(func() { c.claim(key, call.ID) }) { //nolint:contextcheck // hooks have a life of their own
			c.writes.Release(1)
			c.lanes.leave(key)
			return lookAgain, nil
		}
	}
	switch {
	case len(due) > 0:
		return busyAgain, nil
	case next > 0:
		return min(max(time.UnixMilli(next).Sub(c.opts.Now()), time.Millisecond), lookAgain), nil
	}
	return lookAgain, nil
}

func (c *Callbox) nudge() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// claim works the lane of a call, from the event whose turn it is. It holds the lane
// and a place among the writes.
func (c *Callbox) claim(key string, call int64) {
	defer c.nudge()
	defer c.writes.Release(1)
	c.lane(key, call, store.ClaimedEvent{}, false)
}

// lane works the events of a call until none is due, and gives the lane back. With ok
// set, one is claimed already.
func (c *Callbox) lane(key string, call int64, claimed store.ClaimedEvent, ok bool) {
	for first := true; ; first = false {
		for ok {
			claimed, ok = c.turn(claimed)
			first = false
		}
		if !first && c.lanes.leave(key) {
			return
		}
		if c.ending() {
			for !c.lanes.leave(key) {
			}
			return
		}
		var err error
		if claimed, ok, err = c.inbox.ClaimEvent(c.life, call); c.failed(err) {
			c.opts.Log.Error("claim call event", "call", call, "error", err)
		}
	}
}

// failed keeps what became of a claim: after an error dispatch rests, whoever nudges
// it. It reports whether that is to be logged, which is once until claims work again.
func (c *Callbox) failed(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.failing
	if c.failing = err != nil; c.failing {
		c.rest = c.opts.Now().Add(claimRest)
	}
	return c.failing && !was
}

// resting returns how long nothing is to be claimed.
func (c *Callbox) resting() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(c.rest.Sub(c.opts.Now()), claimRest)
}

// ending reports whether nothing is begun any more.
func (c *Callbox) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// do runs the hook of an event that was claimed.
func (c *Callbox) do(claimed store.ClaimedEvent) Result {
	job, res, ok := c.job(claimed)
	if !ok {
		return res
	}
	return c.bounded(job, c.opts.WriteTime)
}

// job makes an event ready to be run; false with what became of it if nothing is to
// be run.
func (c *Callbox) job(claimed store.ClaimedEvent) (Job, Result, bool) {
	job := Job{Call: claimed.Call, Event: claimed.Event, Hook: Hook(claimed.Event.Type), Ask: claimed.Ask}
	if err := json.Unmarshal(claimed.Event.Body, &job.Body); err != nil {
		return job, badEvent(fmt.Errorf("decode event: %w", err)), false
	}
	if len(claimed.Event.Answer) > 0 {
		if err := json.Unmarshal(claimed.Event.Answer, &job.Answer); err != nil {
			return job, badEvent(fmt.Errorf("decode answer: %w", err)), false
		}
	}
	for _, s := range claimed.Event.Steps {
		if s.Arrived() || s.Skipped != "" {
			job.Done = append(job.Done, s)
		}
	}
	job.Lost = Lost(claimed.Event.Steps)
	job.Cut = claimed.Event.Error != nil && claimed.Event.Error.Code == store.CodeInterrupted
	job.Save = func(ctx context.Context, steps []store.HookStep, answer sdk.CallAnswer) error {
		return c.save(ctx, claimed, steps, answer)
	}
	job.Body = told(job.Body, claimed.Call)
	if log := claimed.Call.Log.ID; claimed.Event.Type == store.CallConnected && log != "" && log != job.Answer.ID && !claimed.Ask {
		return job, Result{Skip: "the call has a log already"}, false
	}
	return job, Result{}, true
}

func badEvent(err error) Result {
	return Result{Err: &store.HookError{Class: "config", Code: "bad_event", Message: err.Error(), Outcome: store.OutcomeFailed}}
}

// bounded runs a job within its time.
func (c *Callbox) bounded(job Job, within time.Duration) Result {
	ctx, cancel := context.WithTimeout(c.life, within)
	defer cancel()
	return c.hooks.Run(ctx, job)
}
