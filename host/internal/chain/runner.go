package chain

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// DefaultLookup is how long a lookup at the start of a call may take if nobody says.
const DefaultLookup = 3 * time.Second

// The bounds of a flow.
const (
	maxItems    = 100 // of a list that a step is done for
	maxCalls    = 200 // of endpoints
	maxContacts = 50
	maxWarnings = 50
)

// Options are what a Runner needs; zero values are the documented defaults.
type Options struct {
	Lookup      time.Duration // for call.started, if neither template nor context says; DefaultLookup
	Fresh       time.Duration // how long contacts that were found are known; 30 s
	Nobody      time.Duration // how long it is known that there are none; 5 s
	MaxContacts int           // answers that are known; 4096
	Now         func() time.Time
}

// Runner runs flows. It is safe for concurrent use.
type Runner struct {
	opts  Options
	known *known
}

// New returns a Runner. It starts nothing.
func New(opts Options) *Runner {
	opts.Lookup = cmp.Or(opts.Lookup, DefaultLookup)
	opts.Fresh = cmp.Or(opts.Fresh, 30*time.Second)
	opts.Nobody = cmp.Or(opts.Nobody, 5*time.Second)
	opts.MaxContacts = cmp.Or(opts.MaxContacts, 4096)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Runner{opts: opts, known: newKnown(opts)}
}

// Forget drops the contacts that are known of an integration: one was made, or its
// remote system changed.
func (r *Runner) Forget(id string) { r.known.forget(id) }

// Progress says how far a flow has come: by step, how often its endpoint is done.
// What is in it is not done again.
type Progress map[string]int

// Input is what a flow is run with.
type Input struct {
	Target  Target
	Event   sdk.CallEvent
	Context map[string]any // what earlier events of the call left, and earlier attempts of this one
	// Progress is that of an earlier attempt at the same event.
	Progress Progress
}

// Result is what came of a flow. After an error it holds what there is: what was
// done stays done.
type Result struct {
	sdk.CallAnswer
	Steps    []StepFact `json:"steps,omitempty"`
	Progress Progress   `json:"progress,omitempty"`
	// Wrote says that something was, or may have been, changed at the remote system.
	Wrote bool `json:"wrote,omitempty"`
}

// StepFact is what became of a step.
type StepFact struct {
	Step     string `json:"step"`
	Endpoint string `json:"endpoint"`
	Status   int    `json:"status,omitempty"` // of HTTP
	TookMS   int64  `json:"took_ms"`
	Calls    int    `json:"calls,omitempty"`
	Cached   bool   `json:"cached,omitempty"`
	Skipped  string `json:"skipped,omitempty"` // why
	Code     string `json:"code,omitempty"`    // of its error
	Message  string `json:"message,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
}

// Run runs what is declared for an event. The error is an *Error: of the step that
// stopped the flow, and of those one that leaves a write unknown if there is one.
// The endpoints of triggers are called whatever became of the steps.
func (r *Runner) Run(ctx context.Context, in Input) (Result, error) {
	flow := in.Target.Flow(in.Event.Type)
	ctx, cancel := r.deadline(ctx, flow, in.Event.Type)
	defer cancel()
	event := normal(in.Event, flow, in.Target)
	w := &walk{
		runner: r, target: in.Target, flow: flow,
		given: Given{Call: callOf(event), Context: orEmpty(maps.Clone(in.Context)), Body: orEmpty(event.Fields)},
		out:   Result{Progress: orEmptyProgress(maps.Clone(in.Progress))},
		kept:  map[string]any{},
	}
	bad := w.steps(ctx)
	for _, s := range flow.Triggers {
		bad = worse(bad, w.step(ctx, s))
	}
	if len(in.Progress) > 0 && w.last == nil {
		w.last = w.before()
	}
	if event.Type == "contact.create" {
		r.known.forget(in.Target.ID())
	}
	w.answer(event.Type, bad)
	if bad != nil {
		w.out.Invalid = bad.Fields
		return w.out, bad
	}
	return w.out, nil
}

// deadline bounds a flow.
func (r *Runner) deadline(ctx context.Context, flow Flow, event string) (context.Context, context.CancelFunc) {
	if flow.Deadline > 0 {
		return context.WithTimeout(ctx, flow.Deadline)
	}
	if _, has := ctx.Deadline(); !has && event == "call.started" {
		return context.WithTimeout(ctx, r.opts.Lookup)
	}
	return context.WithCancel(ctx)
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func orEmptyProgress(p Progress) Progress {
	if p == nil {
		return Progress{}
	}
	return p
}
