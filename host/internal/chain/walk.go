package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// walk is one run of a flow; one goroutine's alone.
type walk struct {
	runner  *Runner
	target  Target
	flow    Flow
	attempt int
	done    map[string]bool // writes of earlier attempts, by key
	given   Given
	out     Result
	kept    map[string]any // what steps answered, by name
	made    *Item          // the newest thing that may be what the hook made
	shapes  []string       // of what the hook makes
	form    bool           // it is of a form for which triggers alone are declared
	calls   int
	unsure  bool // an optional step may have arrived, and nobody knows

	left     map[string]string          // steps that earlier attempts left out, with the reason, by key
	before   map[string]json.RawMessage // what earlier attempts left
	question *question                  // nil: it does something
	unsaid   *store.HookError           // why a question's answer cannot be told
	save     func(ctx context.Context, steps []store.HookStep, answer sdk.CallAnswer) error
}

// Why a step was left out.
const (
	whyFalse = "its condition is false"
	whyEmpty = "its list is empty"
)

// steps does one step after the other, until one fails that must not.
func (w *walk) steps(ctx context.Context) *store.HookError {
	for i, s := range w.flow.Steps {
		bad := w.step(ctx, s)
		if bad == nil {
			continue
		}
		for _, rest := range w.flow.Steps[i+1:] {
			w.skip(rest, w.key(rest), "step "+s.Name+" failed")
		}
		return bad
	}
	return nil
}

func (w *walk) skip(s Step, key, why string) {
	w.unheard(s, why)
	w.out.Steps = append(w.out.Steps, store.HookStep{Way: s.way(), Name: s.Endpoint, Key: key, Attempt: w.attempt, Write: !s.Reads, Skipped: why})
}

// step does one step. It returns an error only if the flow stops at it.
func (w *walk) step(ctx context.Context, s Step) *store.HookError {
	if w.done[w.key(s)] {
		return nil // an earlier attempt did it, and its answer is in the context
	}
	if why := w.left[w.key(s)]; (why == whyFalse || why == whyEmpty) && w.passed(s) {
		w.skip(s, w.key(s), why)
		return nil
	}
	if s.When != nil {
		v, err := s.When(w.given)
		if err != nil {
			return w.stopped(ctx, s, w.key(s), configError(codeCondition, "when: %v", err))
		}
		if !truth(v) {
			w.skip(s, w.key(s), whyFalse)
			return nil
		}
	}
	if s.ForEach != nil {
		return w.each(ctx, s)
	}
	a, err := w.call(ctx, s, w.key(s), w.given)
	if err != nil {
		return w.forgive(s, failure(ctx, s, err))
	}
	w.keep(s, a.Body)
	return nil
}

// stopped notes a step that came to no call.
func (w *walk) stopped(ctx context.Context, s Step, key string, err error) *store.HookError {
	bad := failure(ctx, s, err)
	w.out.Steps = append(w.out.Steps, store.HookStep{Way: s.way(), Name: s.Endpoint, Key: key, Attempt: w.attempt, Write: !s.Reads, Error: bad})
	return w.forgive(s, bad)
}

// forgive lets the flow go on after a step that is optional.
func (w *walk) forgive(s Step, bad *store.HookError) *store.HookError {
	if !s.Optional {
		copied := *bad
		return &copied
	}
	w.unsure = w.unsure || rank(bad) > 0
	return nil
}

// call calls the endpoint of a step, or takes what is known, and notes it.
func (w *walk) call(ctx context.Context, s Step, key string, g Given) (Answer, error) {
	step := store.HookStep{Way: s.way(), Name: s.Endpoint, Key: key, Attempt: w.attempt, Write: !s.Reads}
	if err := w.keepUp(ctx, step, s); err != nil {
		step.Error = failure(ctx, s, err)
		w.out.Steps = append(w.out.Steps, step)
		return Answer{}, err
	}
	begin := w.runner.opts.Now()
	a, cached, err := w.ask(ctx, s, g)
	step.Took, step.Status, step.Cached = w.runner.opts.Now().Sub(begin), a.Status, cached
	if err != nil {
		step.Error = failure(ctx, s, err)
		step.Status = max(step.Status, step.Error.Status)
	}
	w.out.Steps = append(w.out.Steps, step)
	if err != nil {
		return a, err
	}
	w.heard(s, a)
	for _, text := range a.Warnings {
		w.warn("%s", text)
	}
	before := len(w.out.Answer.Contacts)
	for i := range a.Items {
		w.found(a.Items[i])
		if w.makes(s, a.Items[i]) {
			w.made = &a.Items[i]
		}
	}
	if len(w.out.Answer.Contacts) > before {
		list := asList(w.out.Answer.Contacts)
		w.given.Context[Found], w.kept[Found] = list, list
	}
	return a, nil
}

func (w *walk) ask(ctx context.Context, s Step, g Given) (a Answer, cached bool, err error) {
	if ctx.Err() != nil {
		return Answer{}, false, ended(ctx)
	}
	if w.calls++; w.calls > maxCalls {
		return Answer{}, false, configError(codeTooMany, "an event may call endpoints %d times", maxCalls)
	}
	if s.Reads && s.Contacts {
		return w.runner.known.call(ctx, w.target, s.Endpoint, g)
	}
	a, err = w.target.Call(ctx, s.Endpoint, g)
	return a, false, err
}

// warn adds a warning to the newest step.
func (w *walk) warn(format string, args ...any) {
	if len(w.out.Steps) == 0 {
		w.out.Steps = append(w.out.Steps, store.HookStep{Way: store.WayChain, Name: "answer", Key: "answer", Attempt: w.attempt})
	}
	if s := &w.out.Steps[len(w.out.Steps)-1]; len(s.Warnings) < maxWarnings {
		s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
	}
}

// found takes one thing that an endpoint answered.
func (w *walk) found(it Item) {
	if it.Shape != "contact" || len(w.out.Answer.Contacts) >= maxContacts {
		return
	}
	v := it.Values
	for _, c := range w.out.Answer.Contacts {
		if c.ID == v["id"] {
			return
		}
	}
	c := sdk.CallContact{
		ID: v["id"], Name: v["name"], Company: v["company"], Title: v["title"], Phone: v["phone"], Email: v["email"], URL: v["url"],
		Kind: v["kind"], Extra: maps.Clone(it.Extra),
	}
	if c.Name == "" {
		c.Name = joined(v["first_name"], v["last_name"])
	}
	if !sdk.WebAddress(c.URL) {
		c.URL = ""
	}
	w.out.Answer.Contacts = append(w.out.Answer.Contacts, c)
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

// truth reports whether a condition holds: whatever is there and not false or empty.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != "" && v != "false" && v != "0"
	case int:
		return v != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}
