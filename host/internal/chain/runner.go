package chain

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The bounds of a flow.
const (
	maxItems    = 100 // of a list that a step is done for
	maxCalls    = 200 // of endpoints
	maxContacts = 50
	maxWarnings = 20 // of a step
)

// Options are what a Runner needs; zero values are the documented defaults.
type Options struct {
	Fresh       time.Duration // how long contacts that were found are known; 30 s
	Nobody      time.Duration // how long it is known that there are none; 5 s
	MaxContacts int           // answers that are known at once; 4096
	Now         func() time.Time
}

// Runner runs flows. It is safe for concurrent use.
type Runner struct {
	opts  Options
	known *known
}

// New returns a Runner. It starts nothing.
func New(opts Options) *Runner {
	opts.Fresh = cmp.Or(opts.Fresh, 30*time.Second)
	opts.Nobody = cmp.Or(opts.Nobody, 5*time.Second)
	opts.MaxContacts = cmp.Or(opts.MaxContacts, 4096)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Runner{opts: opts, known: newKnown(opts)}
}

// Forget drops the contacts that are known of an integration: one was made, or what
// it is of changed.
func (r *Runner) Forget(id string) { r.known.forget(id) }

// Input is what a flow is run with.
type Input struct {
	Target Target
	Name   string // of the hook; empty: what the event triggers alone
	Hook   sdk.CallHook
	// Done are the steps of earlier attempts that arrived or were left out, and Answer
	// what those attempts answered: writes among them are not done again.
	Done   []store.HookStep
	Answer sdk.CallAnswer
	// Lost are the writes that a question is about; none if nothing is known of them.
	Lost []store.HookStep
	// Cut says that a question is about an attempt that was killed: whatever a flow of
	// several writes sent in it was kept before.
	Cut bool
	// Save keeps what was done before a write is sent, with that write as its last step,
	// as one whose outcome is unknown. It is called if the flow writes several times; nil:
	// nothing is kept.
	Save func(ctx context.Context, steps []store.HookStep, answer sdk.CallAnswer) error
}

// Result is what came of a flow. With an error it holds what there is.
type Result struct {
	Steps  []store.HookStep // of this attempt, without those of Input.Done
	Answer sdk.CallAnswer
	// Err is why the flow is not done. Its outcome is unknown if any write may have
	// arrived and was not answered.
	Err *store.HookError
	// Lost are the writes that a question found to have arrived.
	Lost []store.HookStep
}

// Run runs what is declared for a hook. A step that fails stops those after it,
// unless it is optional; the endpoints that the event triggers are called whatever
// became of the steps.
func (r *Runner) Run(ctx context.Context, in Input) Result {
	event := store.CallEventType(in.Hook.Event.Type)
	flow := in.Target.Flow(in.Name, event)
	if flow.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flow.Deadline)
		defer cancel()
	}
	in.Hook.Event = normal(in.Hook.Event, flow, in.Target)
	w := &walk{
		runner: r, target: in.Target, flow: flow, attempt: max(in.Hook.Attempt, 1), done: map[string]bool{}, left: map[string]string{},
		given: Given{Call: callOf(in.Hook, flow), Context: contextOf(in.Hook.Context, in.Answer.Context), Body: orEmpty(in.Hook.Event.Fields)},
		out:   Result{Answer: sdk.CallAnswer{ID: in.Answer.ID, URL: in.Answer.URL, Contacts: in.Answer.Contacts}},
		kept:  map[string]any{}, shapes: shapes(in.Name), before: in.Answer.Context, save: in.Save,
	}
	if w.given.Context[Found] == nil {
		w.given.Context[Found] = []any{} // so that an expression can count them
	}
	w.form = flow.form(in.Name)
	if in.Name == sdk.HookLookup {
		w.out.Answer.ID, w.out.Answer.URL = "", "" // what is asked is whether there is one
		w.question, w.shapes = &question{}, shapes(in.Hook.Hook)
		if lost := w.lost(in); len(lost) > 0 {
			w.given.Call["lost"], _, _ = strings.Cut(lost[0].Key, "[")
		}
	}
	for _, s := range in.Done {
		switch {
		case s.Skipped != "":
			w.left[s.Key] = s.Skipped
		case s.Write && s.Arrived():
			w.done[s.Key] = true
		}
	}
	w.several()
	bad := w.steps(ctx)
	for _, s := range flow.Triggers {
		bad = worse(bad, w.step(ctx, s))
	}
	if event == store.ContactCreate {
		r.known.forget(in.Target.ID())
	}
	w.finish(in, bad)
	return w.out
}

// finish makes the hook's answer of what the steps gave.
func (w *walk) finish(in Input, bad *store.HookError) {
	w.answer(in.Name)
	if bad = worse(bad, w.unsaid); bad == nil {
		bad = w.verdict(in)
	}
	if bad == nil {
		w.recover(in)
		w.forget()
	}
	w.out.Answer.Context = w.bounded(w.warn)
	if bad == nil {
		return
	}
	if w.unsure && bad.Outcome != store.OutcomeUnknown {
		// Of an optional step before nobody knows whether it arrived: the flow must not
		// be run again by itself.
		bad.Outcome, bad.Again = store.OutcomeUnknown, false
	}
	if bad.Code == codeTimeout && in.Name == sdk.HookGetDataIframe {
		bad.Code = codeLookupTimeout
	}
	w.out.Answer.FieldErrors = bad.Fields
	w.out.Err = bad
}

// decode reads JSON with whole numbers as int, so that expressions count with them.
func decode(raw json.RawMessage) (any, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return whole(v), nil
}

// whole replaces numbers without a fraction, in place where it can.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, sub := range v {
			v[name] = whole(sub)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case float64:
		if n := int(v); float64(n) == v && n < 1<<53 && n > -(1<<53) {
			return n
		}
	}
	return v
}
