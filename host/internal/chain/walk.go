package chain

import (
	"context"
	"fmt"

	"github.com/jackfield/jackfield/sdk"
)

// walk is one run of a flow; one goroutine's alone.
type walk struct {
	runner *Runner
	target Target
	flow   Flow
	given  Given
	out    Result
	kept   map[string]any // what steps answered, by name
	last   *Item          // the last thing that a step answered
	calls  int
}

// steps does one step after the other, until one fails that must not.
func (w *walk) steps(ctx context.Context) *Error {
	for i, s := range w.flow.Steps {
		bad := w.step(ctx, s)
		if bad == nil {
			continue
		}
		for _, rest := range w.flow.Steps[i+1:] {
			w.skip(rest, "step "+s.Name+" failed")
		}
		return bad
	}
	return nil
}

func (w *walk) skip(s Step, why string) {
	w.out.Steps = append(w.out.Steps, StepFact{Step: s.key(), Endpoint: s.Endpoint, Skipped: why})
}

func (w *walk) warn(format string, args ...any) {
	if len(w.out.Warnings) < maxWarnings {
		w.out.Warnings = append(w.out.Warnings, fmt.Sprintf(format, args...))
	}
}

// whole marks a step in a Progress as done, however often.
const whole = -1

// step does one step. It returns an error only if the flow stops at it.
func (w *walk) step(ctx context.Context, s Step) *Error {
	if w.out.Progress[s.key()] == whole {
		w.skip(s, "it was done before")
		return nil
	}
	if s.When != nil {
		v, err := s.When(w.given)
		if err != nil {
			return w.stopped(ctx, s, &StepFact{}, err)
		}
		if !truth(v) {
			w.skip(s, "its condition is false")
			return nil
		}
	}
	fact := &StepFact{}
	begin := w.runner.opts.Now()
	err := w.times(ctx, s, fact)
	fact.TookMS = w.runner.opts.Now().Sub(begin).Milliseconds()
	if err != nil {
		return w.stopped(ctx, s, fact, err)
	}
	w.noted(s, fact)
	if !s.Reads {
		w.out.Progress[s.key()] = whole
	}
	return nil
}

func (w *walk) noted(s Step, fact *StepFact) {
	fact.Step, fact.Endpoint = s.key(), s.Endpoint
	w.out.Steps = append(w.out.Steps, *fact)
}

// stopped says what a failed step means: the end of the flow, or a warning.
func (w *walk) stopped(ctx context.Context, s Step, fact *StepFact, err error) *Error {
	bad := failure(ctx, s, err)
	fact.Status, fact.Code, fact.Message, fact.Outcome = bad.Status, bad.Code, bad.Message, string(bad.Outcome)
	w.noted(s, fact)
	if bad.Outcome == Unknown {
		w.out.Wrote = true
	}
	if !s.Optional {
		return bad
	}
	w.warn("%s failed: %s: %s", s.key(), bad.Code, bad.Message)
	if !s.Reads && bad.Outcome != NotSent {
		w.out.Progress[s.key()] = whole // it may have arrived: not again
	}
	return nil
}

// times calls the endpoint of a step once, or for each of a list.
func (w *walk) times(ctx context.Context, s Step, fact *StepFact) error {
	if s.ForEach == nil {
		a, err := w.call(ctx, s, w.given, fact)
		if err != nil {
			return err
		}
		w.keep(s, a.Body)
		return nil
	}
	v, err := s.ForEach(w.given)
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		return &Error{Class: sdk.ClassConfig, Code: codeNoList, Message: fmt.Sprintf("foreach gives no list but %T", v), Outcome: NotSent}
	}
	if len(list) > maxItems {
		w.warn("%s is done for the first %d of %d", s.key(), maxItems, len(list))
		list = list[:maxItems]
	}
	answers := w.answered(s, len(list))
	for _, item := range list[len(answers):] {
		g := w.given
		g.Item = item
		a, err := w.call(ctx, s, g, fact)
		if err != nil {
			w.keep(s, answers)
			return err
		}
		answers = append(answers, a.Body)
		if !s.Reads {
			w.out.Progress[s.key()] = len(answers)
		}
	}
	w.keep(s, answers)
	return nil
}

// answered returns what an earlier attempt got for the first of a list. What was not
// kept is nothing, but it was done.
func (w *walk) answered(s Step, n int) []any {
	done := min(w.out.Progress[s.key()], n)
	if done <= 0 {
		return []any{}
	}
	had, _ := w.given.Context[s.Name].([]any)
	out := make([]any, done)
	copy(out, had)
	return out
}

// call calls the endpoint of a step, or takes what is known.
func (w *walk) call(ctx context.Context, s Step, g Given, fact *StepFact) (Answer, error) {
	if ctx.Err() != nil {
		return Answer{}, ended(ctx)
	}
	if w.calls++; w.calls > maxCalls {
		return Answer{}, &Error{Class: sdk.ClassConfig, Code: "too_many_calls", Message: fmt.Sprintf("an event may call endpoints %d times", maxCalls), Outcome: NotSent}
	}
	var a Answer
	var err error
	var cached bool
	if s.Reads && s.Contacts {
		a, cached, err = w.runner.known.call(ctx, w.target, s.Endpoint, g)
	} else {
		a, err = w.target.Call(ctx, s.Endpoint, g)
	}
	fact.Calls++
	fact.Status, fact.Cached = a.Status, cached
	if err != nil {
		return a, err
	}
	if !s.Reads {
		w.out.Wrote = true
	}
	for _, text := range a.Warnings {
		w.warn("%s: %s", s.key(), text)
	}
	for i := range a.Items {
		w.found(a.Items[i])
	}
	return a, nil
}

// found takes one thing that an endpoint answered.
func (w *walk) found(it Item) {
	w.last = &it
	if it.Shape != "contact" || len(w.out.Contacts) >= maxContacts {
		return
	}
	for _, c := range w.out.Contacts {
		if c.ID == it.Values["id"] {
			return
		}
	}
	v := it.Values
	w.out.Contacts = append(w.out.Contacts, sdk.Contact{
		ID: v["id"], Name: v["name"], FirstName: v["first_name"], LastName: v["last_name"], Company: v["company"], Title: v["title"],
		Phone: v["phone"], Email: v["email"], URL: v["url"], Kind: v["kind"], CreatedAt: v["created_at"], UpdatedAt: v["updated_at"], Extra: it.Extra,
	})
}

// truth reports whether a condition holds: whatever is there and not false.
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
