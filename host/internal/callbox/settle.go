package callbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The classes of errors that time may cure.
func passes(class string) bool {
	switch sdk.Class(class) {
	case sdk.ClassTransient, sdk.ClassRateLimited, sdk.ClassAuth, sdk.ClassSystem:
		return true
	case sdk.ClassConfig, sdk.ClassRemote:
	}
	return false
}

// settle stores what became of a job, tells who waits, and returns the next event of
// the call if it is its turn.
func (c *Callbox) settle(claimed store.ClaimedEvent, res Result) (store.ClaimedEvent, bool) {
	e, o := c.outcome(claimed, res)
	reads := claimed.Event.Type == store.CallStarted
	if reads { // nobody waits for the disk: it would be found again
		c.waits.tell(e)
	}
	o.Next = !reads && !c.ending() // who only read holds no place among the writes
	next, more, err := c.finish(o)
	if err != nil {
		if !errors.Is(err, store.ErrStale) { // else a person decided, or another process
			c.opts.Log.Error("what became of a call event could not be stored", "event", e.ID, "state", e.State, "error", err)
		}
		return next, false
	}
	if !reads {
		c.waits.tell(e)
	}
	if e.State == store.EventUnknown && !claimed.Ask {
		c.untold.Store(true)
		c.nudge()
	}
	c.log(claimed, e)
	return next, more
}

// finish stores an outcome, again if that fails for a while: what was done must not be
// forgotten, whatever became of the host meanwhile.
func (c *Callbox) finish(o store.EventOutcome) (store.ClaimedEvent, bool, error) {
	for {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.life), time.Minute)
		_, next, more, err := c.inbox.FinishEvent(ctx, o)
		cancel()
		if err == nil || errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrClosed) || c.ending() {
			return next, more, err
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-timer.C:
		case <-c.life.Done():
			timer.Stop()
		}
	}
}

// log tells of what a person should know.
func (c *Callbox) log(claimed store.ClaimedEvent, e store.CallEvent) {
	if e.Error == nil {
		return
	}
	args := []any{"integration", claimed.Call.Tenant + "/" + claimed.Call.Name, "call", claimed.Call.External, "event", e.ID, "type", e.Type, "error", e.Error}
	switch {
	case e.State == store.EventUnknown && e.DueAt.IsZero():
		c.opts.Log.Warn("a write may have arrived at the remote system: a person has to look", args...)
	case e.State == store.EventFailed && e.Type.Writes():
		c.opts.Log.Warn("a call event failed", args...)
	default:
		c.opts.Log.Debug("call event", append(args, "state", e.State)...)
	}
}

// outcome decides what becomes of an event.
func (c *Callbox) outcome(claimed store.ClaimedEvent, res Result) (store.CallEvent, store.EventOutcome) {
	e := claimed.Event
	if claimed.Ask {
		c.asked(&e, claimed, res)
	} else {
		c.tried(&e, res)
	}
	o := store.EventOutcome{EventID: e.ID, Attempts: e.Attempts, State: e.State, Steps: e.Steps, Error: e.Error, DueAt: e.DueAt}
	res.Answer.FieldErrors = c.fields(res.Answer.FieldErrors)
	kept := known(claimed, res.Answer)
	if e.Type.Logs() && kept.ID != "" && (e.State == store.EventDone || made(e.Steps)) {
		o.Log = &store.CallLog{ID: kept.ID, URL: kept.URL} // there it is, whatever becomes of the event
	}
	o.Context = c.merge(claimed.Call, res.Answer.Context)
	if e.State != store.EventQueued && e.State != store.EventUnknown { // else the next attempt goes on from it
		kept.Context = nil
	}
	raw, err := json.Marshal(kept)
	if err != nil || len(raw) > store.MaxCallScreenBytes {
		c.opts.Log.Warn("the answer of a hook is too large to be kept", "call", claimed.Call.External, "event", e.ID, "bytes", len(raw))
		raw, _ = json.Marshal(sdk.CallAnswer{ID: kept.ID, URL: kept.URL, Route: kept.Route, Reject: kept.Reject})
	}
	e.Answer, o.Answer = raw, raw
	if e.Type == store.CallStarted && e.State == store.EventDone {
		o.Screen = raw
	}
	return e, o
}

// tried decides after an attempt.
func (c *Callbox) tried(e *store.CallEvent, res Result) {
	e.Steps = c.steps(append(e.Steps, res.Steps...))
	e.Error, e.DueAt = c.clean(res.Err), time.Time{}
	if res.Err == nil {
		e.State = store.EventDone
		if res.Skip != "" {
			e.State = store.EventSkipped
			e.Error = &store.HookError{Class: string(sdk.ClassRemote), Code: "skipped", Message: res.Skip, Outcome: store.OutcomeNotSent}
		}
		return
	}
	writes := e.Type.Writes() || wrote(res.Steps)
	switch {
	case e.Type == store.CallStarted && !wrote(res.Steps): // who waited has waited
		e.State = store.EventFailed
	case writes && res.Err.Outcome == store.OutcomeUnknown && !res.Err.Again:
		e.State = store.EventUnknown
		if res.Asks {
			e.DueAt = c.later(e.Attempts, res.Err)
		}
	case !passes(res.Err.Class) && res.Err.Outcome != store.OutcomeUnknown:
		e.State = store.EventFailed
	case c.opts.Now().Sub(e.ReceivedAt) > c.opts.GiveUp:
		e.State = store.EventFailed
		e.Error.Code, e.Error.Message = "given_up", "it was tried "+c.opts.GiveUp.String()+" long; at last "+e.Error.Error()
	default:
		e.State, e.DueAt = store.EventQueued, c.later(e.Attempts, res.Err)
	}
}

// wrote reports whether a step may have changed the remote system.
func wrote(steps []store.HookStep) bool {
	for _, s := range steps {
		if s.Write && s.Skipped == "" && (s.Error == nil || s.Error.Outcome != store.OutcomeNotSent) {
			return true
		}
	}
	return false
}

// asked decides after the question what became of a write.
func (c *Callbox) asked(e *store.CallEvent, claimed store.ClaimedEvent, res Result) {
	e.Steps = c.steps(append(e.Steps, res.Steps...))
	switch {
	case res.Err == nil && (res.Answer.ID != "" || len(res.Lost) > 0):
		e.State, e.Error, e.DueAt = store.EventDone, nil, time.Time{}
		if len(Lost(e.Steps)) == 0 {
			e.Steps = c.steps(append(e.Steps, res.Lost...))
		}
		if arrive(e.Steps) { // those after them were not done
			e.State, e.DueAt = store.EventQueued, c.opts.Now()
		}
	case res.Err == nil: // it did not arrive
		e.State, e.DueAt = store.EventQueued, c.opts.Now()
		e.Error = &store.HookError{Class: string(sdk.ClassTransient), Code: "not_arrived", Message: "the remote system knows nothing of it", Outcome: store.OutcomeNotSent}
	case !res.Asks || c.opts.Now().Sub(claimed.Event.ReceivedAt) > c.opts.GiveUp:
		e.DueAt = time.Time{} // it waits for a person
	default:
		e.DueAt = c.later(e.Attempts, res.Err)
	}
}

// later returns when the attempt after n is due.
func (c *Callbox) later(attempts int, e *store.HookError) time.Time {
	delay := c.opts.RetryBase
	for range attempts - 1 {
		if delay = min(2*delay, c.opts.RetryMost); delay == c.opts.RetryMost {
			break
		}
	}
	if e != nil {
		delay = max(delay, min(e.RetryAfter, time.Hour))
	}
	return c.opts.Now().Add(delay)
}

// maxSteps is how many steps of an event are kept: the newest that failed, and all
// that arrived.
const maxSteps = 100

// steps bounds what is kept, without secrets.
func (c *Callbox) steps(all []store.HookStep) []store.HookStep {
	out := make([]store.HookStep, 0, len(all))
	spare := len(all) - maxSteps
	for _, s := range all {
		if spare > 0 && !s.Arrived() {
			spare--
			continue
		}
		s.Error = c.clean(s.Error)
		s.Warnings = slices.Clone(s.Warnings)
		for i, text := range s.Warnings {
			s.Warnings[i] = short(c.opts.Redact(text))
		}
		out = append(out, s)
	}
	return out
}

// save keeps what was done of an event that is at work.
func (c *Callbox) save(ctx context.Context, claimed store.ClaimedEvent, steps []store.HookStep, a sdk.CallAnswer) error {
	raw, err := json.Marshal(known(claimed, a))
	if err != nil || len(raw) > store.MaxCallScreenBytes {
		raw = claimed.Event.Answer
	}
	all := c.steps(append(slices.Clone(claimed.Event.Steps), steps...))
	return c.inbox.SaveEvent(ctx, store.EventOutcome{EventID: claimed.Event.ID, Attempts: claimed.Event.Attempts, Steps: all, Answer: raw})
}

// clean returns an error that may be kept.
func (c *Callbox) clean(e *store.HookError) *store.HookError {
	if e == nil {
		return nil
	}
	out := *e
	out.Message, out.Hint = short(c.opts.Redact(out.Message)), short(c.opts.Redact(out.Hint))
	out.Fields = c.fields(e.Fields)
	return &out
}

// fields returns what a remote system says of single fields, as it may be kept.
func (c *Callbox) fields(said map[string]string) map[string]string {
	if len(said) == 0 {
		return nil
	}
	out := make(map[string]string, len(said))
	for name, text := range said {
		out[short(name)] = short(c.opts.Redact(text))
	}
	return out
}

func short(s string) string {
	const most = 2 << 10
	if len(s) > most {
		return string(bytes.ToValidUTF8([]byte(s[:most]), nil)) + "..."
	}
	return s
}

// merge returns the context of a call with what a hook left in it; nil if that is
// nothing, or too much.
func (c *Callbox) merge(call store.Call, left map[string]json.RawMessage) json.RawMessage {
	if len(left) == 0 {
		return nil
	}
	all := contextOf(call)
	for name, v := range left {
		if len(v) == 0 || string(v) == "null" {
			delete(all, name)
			continue
		}
		all[name] = v
	}
	raw, err := json.Marshal(all)
	if err != nil || len(raw) > store.MaxCallContextBytes {
		c.opts.Log.Warn("what a hook left for later ones is too large to be kept", "call", call.External, "bytes", len(raw))
		return nil
	}
	return raw
}

// contextOf returns what hooks left in a call.
func contextOf(call store.Call) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	if len(call.Context) > 0 {
		_ = json.Unmarshal(call.Context, &all) // it was written from such a map
	}
	return all
}
