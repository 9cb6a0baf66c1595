package callbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Request is an event that somebody sends.
type Request struct {
	Event sdk.CallEvent
	Key   string // of idempotency; empty: none
	// Wait is how long to wait for the hook; nil: as the type of the event asks for.
	Wait *time.Duration
}

// Sent is what the sender is told.
type Sent struct {
	Call     store.Call // as it was when the event was stored
	Event    store.CallEvent
	Answer   sdk.CallAnswer
	Replayed bool // the event was known already
}

// MaxWait is how long a sender may wait.
const MaxWait = 30 * time.Second

// slack is how much later than its deadline a lookup may tell that it is over.
const slack = 100 * time.Millisecond

// Send stores an event and has its hook run, after those of the call's earlier events.
// It answers when the hook did, or when the wait is over: the event goes on. What is
// wrong with the event comes as *InvalidError.
func (c *Callbox) Send(ctx context.Context, in store.Integration, r Request) (Sent, error) {
	now := c.opts.Now()
	if err := check(r.Event, now); err != nil {
		return Sent{}, err
	}
	if err := checkKey(r.Key); err != nil {
		return Sent{}, err
	}
	plan := c.hooks.Plan(ctx, in, store.CallEventType(r.Event.Type))
	n, err := newEvent(in, r, plan, now)
	if err != nil {
		return Sent{}, err
	}
	wait := c.patience(r, plan)
	begin := now
	s := &sending{c: c, n: n, key: laneKey(n.Integration, n.External)}
	acc, done, err := s.accept(ctx, plan)
	if err != nil {
		return Sent{}, err
	}
	out := Sent{Call: acc.Call, Event: acc.Event, Replayed: acc.Replayed}
	if done != nil {
		defer c.waits.drop(acc.Event.ID, done)
		e, err := c.await(ctx, acc.Event, done, wait-c.opts.Now().Sub(begin))
		if err != nil {
			return Sent{}, err
		}
		out.Event = e
	}
	if len(out.Event.Answer) > 0 {
		if err := json.Unmarshal(out.Event.Answer, &out.Answer); err != nil {
			return Sent{}, fmt.Errorf("decode answer of event %d: %w", out.Event.ID, err)
		}
	}
	return out, nil
}

// checkKey looks at a key of idempotency.
func checkKey(key string) error {
	c := checker{}
	c.text("idempotency_key", key, maxName/2, false)
	if len(c) > 0 {
		return &InvalidError{c}
	}
	return nil
}

// newEvent makes of a request what is stored.
func newEvent(in store.Integration, r Request, plan Plan, now time.Time) (store.NewCallEvent, error) {
	given, err := json.Marshal(r.Event)
	if err != nil {
		return store.NewCallEvent{}, fmt.Errorf("encode event: %w", err)
	}
	sum := sha256.Sum256(given)
	e := complete(r.Event, now)
	body, err := json.Marshal(e)
	if err != nil {
		return store.NewCallEvent{}, fmt.Errorf("encode event: %w", err)
	}
	var uid [16]byte
	_, _ = rand.Read(uid[:]) // never fails
	n := store.NewCallEvent{
		Integration: in.UID, Tenant: in.Tenant, Name: in.Name, External: e.CallID, UID: hex.EncodeToString(uid[:]),
		Type: store.CallEventType(e.Type), Body: body, Writes: plan.Writes, Skip: plan.Nothing(), Sum: sum[:],
	}
	if plan.Same != nil && n.Type == store.ContactCreate {
		if what := plan.Same(e.Fields); what != "" {
			n.Same = in.UID + " " + what
		}
	}
	n.Details, n.State = details(e)
	switch {
	case r.Key != "":
		n.Key = "key:" + r.Key
	case !r.Event.At.IsZero(): // the same in every field, and at the same time
		n.Key = "sum:" + hex.EncodeToString(sum[:])
	}
	return n, nil
}

// patience returns how long the sender waits.
func (c *Callbox) patience(r Request, plan Plan) time.Duration {
	typ := store.CallEventType(r.Event.Type)
	most := MaxWait
	if typ == store.CallStarted && plan.Lookup > 0 {
		most = plan.Lookup + slack
	}
	switch {
	case r.Wait != nil:
		return min(*r.Wait, most)
	case typ == store.CallStarted:
		return most
	case typ == store.TicketCreate || typ == store.ContactCreate:
		return c.opts.FormWait
	}
	return 0
}

// sending is an event on its way into the inbox.
type sending struct {
	c   *Callbox
	n   store.NewCallEvent
	key string // of the lane
	// What it holds until somebody works on the event.
	lane, place bool
	early       chan Result // of a lookup that began beside the storing
	cancel      context.CancelFunc
}

// accept stores the event, and has it worked on. The channel tells what becomes of
// it; it is nil if that is known.
func (s *sending) accept(ctx context.Context, plan Plan) (store.AcceptedEvent, chan store.CallEvent, error) {
	c := s.c
	if s.lane = !s.n.Skip && c.lanes.take(s.key); s.lane {
		if s.n.Type == store.CallStarted && !plan.Writes && s.fresh(ctx) {
			s.lookup() //nolint:contextcheck // hooks have a life of their own
		} else {
			s.place = c.writes.TryAcquire(1)
		}
	}
	s.n.Begin = s.place || s.early != nil
	acc, err := c.inbox.AcceptEvent(ctx, s.n)
	if err != nil {
		s.giveUp()
		return acc, nil, err
	}
	if !acc.Begun {
		s.giveUp()
		return s.behind(ctx, acc)
	}
	done := c.waits.add(acc.Event.ID)
	if !c.spawn(func() { s.work(store.ClaimedEvent{Call: acc.Call, Event: acc.Event}) }) { //nolint:contextcheck // likewise
		s.giveUp() // it is stored: the next start goes on with it
		c.waits.drop(acc.Event.ID, done)
		return acc, nil, ErrStopping
	}
	return acc, done, nil
}

// fresh reports whether the event is the first of its call: none before it left
// anything that its hook has to know, and it was not sent before.
func (s *sending) fresh(ctx context.Context) bool {
	_, err := s.c.inbox.CallByExternal(ctx, s.n.Integration, s.n.External)
	return errors.Is(err, store.ErrNotFound)
}

// lookup begins a lookup beside the storing of its event (K16): it only reads.
func (s *sending) lookup() {
	c := s.c
	call := store.Call{
		Integration: s.n.Integration, Tenant: s.n.Tenant, Name: s.n.Name, External: s.n.External, State: store.CallRinging, CallDetails: s.n.Details,
	}
	claimed := store.ClaimedEvent{Call: call, Event: store.CallEvent{UID: s.n.UID, Type: s.n.Type, Body: s.n.Body, Attempts: 1, State: store.EventRunning}}
	ctx, cancel := context.WithTimeout(c.life, c.opts.WriteTime)
	early := make(chan Result, 1)
	if !c.spawn(func() {
		defer cancel()
		if c.lookups.Acquire(ctx, 1) != nil {
			early <- Result{Err: &store.HookError{Class: string(sdk.ClassTransient), Code: "busy", Message: "too many lookups are under way", Outcome: store.OutcomeNotSent}}
			return
		}
		defer c.lookups.Release(1)
		job, res, ok := c.job(claimed)
		if ok {
			res = c.hooks.Run(ctx, job)
		}
		early <- res
	}) {
		cancel()
		return
	}
	s.early, s.cancel = early, cancel
}

// giveUp gives back what is held for an event that is not begun.
func (s *sending) giveUp() {
	if s.cancel != nil {
		s.cancel()
	}
	if s.place {
		s.c.writes.Release(1)
	}
	if s.lane {
		for !s.c.lanes.leave(s.key) { // whoever asked for more is found by the dispatcher
		}
	}
	s.c.nudge()
}

// behind returns how to wait for an event that another works on, or will.
func (s *sending) behind(ctx context.Context, acc store.AcceptedEvent) (store.AcceptedEvent, chan store.CallEvent, error) {
	if decided(acc.Event) {
		return acc, nil, nil
	}
	done := s.c.waits.add(acc.Event.ID)
	e, err := s.c.inbox.CallEvent(ctx, acc.Event.ID) // it may have been done before anybody waited
	if err != nil || decided(e) {
		s.c.waits.drop(acc.Event.ID, done)
		if err == nil {
			acc.Event = e
		}
		return acc, nil, err
	}
	return acc, done, nil
}

// decided reports whether there is something to tell of an event.
func decided(e store.CallEvent) bool {
	return e.State.Final() || e.State == store.EventUnknown || e.State == store.EventQueued && e.Error != nil
}

// work works an event that was begun with its storing, and what comes after it.
func (s *sending) work(claimed store.ClaimedEvent) {
	c := s.c
	defer c.nudge()
	if s.place {
		defer c.writes.Release(1)
		c.lane(s.key, claimed.Call.ID, claimed, true)
		return
	}
	c.settle(claimed, <-s.early)
	if c.lanes.leave(s.key) {
		return
	}
	for !c.lanes.leave(s.key) { // the dispatcher finds what came meanwhile
	}
}

// await waits for what becomes of an event.
func (c *Callbox) await(ctx context.Context, e store.CallEvent, done <-chan store.CallEvent, wait time.Duration) (store.CallEvent, error) {
	select {
	case e = <-done:
		return e, nil
	default:
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case e = <-done:
			return e, nil
		case <-ctx.Done():
			return e, context.Cause(ctx)
		case <-timer.C:
		}
	}
	if e.Type == store.CallStarted {
		e.Error = &store.HookError{Class: string(sdk.ClassTransient), Code: CodeLookupTimeout, Message: "the lookup takes too long", Outcome: store.OutcomeNotSent}
	}
	return e, nil
}

// CodeLookupTimeout is the code of a lookup that took too long.
const CodeLookupTimeout = "lookup_timeout"

// ErrAction says that there is no such resolution of an event.
var ErrAction = errors.New("an event is resolved by retry, made or drop")

// Resolve stores what a person says of an event, and goes on with its call.
func (c *Callbox) Resolve(ctx context.Context, event int64, how store.EventResolution, log store.CallLog) (store.CallEvent, error) {
	var answer json.RawMessage
	switch how {
	case store.ResolveMade:
		raw, err := json.Marshal(sdk.CallAnswer{ID: log.ID, URL: log.URL})
		if err != nil {
			return store.CallEvent{}, fmt.Errorf("encode answer: %w", err)
		}
		answer = raw
	case store.ResolveRetry, store.ResolveDrop:
	default:
		return store.CallEvent{}, fmt.Errorf("%w: %w", store.ErrInvalid, ErrAction)
	}
	e, err := c.inbox.ResolveEvent(ctx, event, how, answer, log)
	if err != nil {
		return e, err
	}
	c.nudge()
	return e, nil
}
