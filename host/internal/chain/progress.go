package chain

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// several lets go of save if the flow sends one write at most: if that is cut off,
// everybody knows which one it was.
func (w *walk) several() {
	if len(w.flow.only()) == 1 || len(w.flow.writes()) == 0 {
		w.save = nil
	}
}

// keepUp keeps what was done before a write is sent. Nothing is sent that is not kept.
func (w *walk) keepUp(ctx context.Context, step store.HookStep, s Step) error {
	if w.save == nil || s.Reads {
		return nil
	}
	step.Error = &store.HookError{Class: string(sdk.ClassSystem), Code: codeInterrupted, Message: "it was cut off", Outcome: store.OutcomeUnknown, Again: s.Again}
	a := w.out.Answer
	if w.made != nil {
		a.ID, a.URL = w.made.Values["id"], w.made.Values["url"]
	}
	a.Context = w.bounded(func(string, ...any) {})
	if err := w.save(ctx, append(slices.Clone(w.out.Steps), step), a); err != nil {
		return &store.HookError{Class: string(sdk.ClassTransient), Code: "not_kept", Message: "what was done could not be kept: " + err.Error(), Outcome: store.OutcomeNotSent}
	}
	return nil
}

// passed reports whether a write that stands behind a step in the flow arrived in an
// earlier attempt: what was decided before it is not decided anew.
func (w *walk) passed(s Step) bool {
	i := slices.IndexFunc(w.flow.Steps, func(o Step) bool { return o.key() == s.key() })
	return i >= 0 && slices.ContainsFunc(w.flow.Steps[i+1:], func(o Step) bool { return w.done[w.key(o)] || w.some(o) })
}

// recover makes of what a question found the answers of the steps that were lost, as far
// as the template says how such an answer looks: later steps read it. The hook answers
// it only if it is what the hook makes.
func (w *walk) recover(in Input) {
	if w.question == nil || w.out.Answer.ID == "" {
		return
	}
	it := Item{Values: map[string]string{}}
	if w.made != nil {
		maps.Copy(it.Values, w.made.Values)
	}
	it.Values["id"] = w.out.Answer.ID
	if w.out.Answer.URL != "" {
		it.Values["url"] = w.out.Answer.URL
	}
	w.out.Lost = w.lost(in)
	for _, s := range w.out.Lost {
		if s.Way != store.WayChain || strings.HasSuffix(s.Key, "]") { // which one of a list it was nobody knows
			continue
		}
		if v, ok := w.target.As(s.Name, it); ok {
			w.kept[s.Key] = v
		}
	}
	if !w.own(in) {
		w.out.Answer.ID, w.out.Answer.URL = "", ""
	}
}
