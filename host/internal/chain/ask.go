package chain

import (
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Asks reports whether lookup, the flow of a question, can tell what became of the
// writes of flow that were lost: it says itself what it found, or it finds things of the
// kind that the hook makes and each of the lost steps makes one. Of any other write its
// answer says nothing.
func Asks(lookup, flow Flow, hook string, lost []store.HookStep) bool {
	if len(lookup.Steps) == 0 || lookup.ID != nil {
		return len(lookup.Steps) > 0
	}
	kinds := shapes(hook)
	if !slices.ContainsFunc(lookup.Steps, func(s Step) bool { return slices.Contains(kinds, s.Shape) }) {
		return false
	}
	if len(lost) == 0 {
		lost = flow.only()
	}
	form := flow.form(hook)
	return !slices.ContainsFunc(lost, func(l store.HookStep) bool {
		return l.Way == store.WayTrigger && !form || !slices.Contains(kinds, flow.shape(l.Name))
	})
}

// form reports whether the triggers of a form are its chain.
func (f Flow) form(hook string) bool {
	return len(f.Steps) == 0 && (hook == sdk.HookCreateTicket || hook == sdk.HookCreateContact)
}

// shape returns that of an endpoint's answer.
func (f Flow) shape(endpoint string) string {
	for _, s := range slices.Concat(f.Steps, f.Triggers) {
		if s.Endpoint == endpoint {
			return s.Shape
		}
	}
	return ""
}

// only returns the one write of a flow, as the step of which nothing is known; none if
// the flow writes several times.
func (f Flow) only() []store.HookStep {
	out := f.writes()
	if len(out) != 1 || out[0].ForEach != nil {
		return nil
	}
	s := out[0]
	why := &store.HookError{Class: string(sdk.ClassSystem), Code: codeInterrupted, Message: "it was cut off", Outcome: store.OutcomeUnknown, Again: s.Again}
	return []store.HookStep{{Way: s.way(), Name: s.Endpoint, Key: s.key(), Attempt: 1, Write: true, Error: why}}
}

func (f Flow) writes() []Step {
	return slices.DeleteFunc(slices.Concat(f.Steps, f.Triggers), func(s Step) bool { return s.Reads })
}

// question is what a walk knows that asks what became of a write.
type question struct {
	asked bool   // something that would find it was asked
	doubt string // why its answer is none
}

// key tells the step from the others of its event. Those of a question are none of the
// event's own.
func (w *walk) key(s Step) string {
	if w.question != nil {
		return sdk.HookLookup + ":" + s.key()
	}
	return s.key()
}

// own reports whether what was found is what the hook made, and not what a step besides
// did.
func (w *walk) own(in Input) bool {
	flow := in.Target.Flow(in.Hook.Hook, store.CallEventType(in.Hook.Event.Type))
	makes := slices.ContainsFunc(flow.writes(), func(s Step) bool { return slices.Contains(w.shapes, s.Shape) })
	return slices.ContainsFunc(w.lost(in), func(l store.HookStep) bool {
		shape := flow.shape(l.Name)
		return slices.Contains(w.shapes, shape) || shape == "" && !makes && in.Answer.ID == ""
	})
}

// tells reports whether what a step answers says something of what is asked.
func (w *walk) tells(s Step) bool {
	return slices.Contains(w.shapes, s.Shape) || w.flow.ID != nil && s.Shape == ""
}

// heard notes that a step of a question was answered.
func (w *walk) heard(s Step, a Answer) {
	switch {
	case w.question == nil || !w.tells(s) && w.flow.ID == nil:
	case a.Bare:
		w.question.doubt = "the answer of " + s.Endpoint + " has another form than the template says"
	default:
		w.question.asked = true
	}
}

// unheard notes that a step of a question was not done, or not for all.
func (w *walk) unheard(s Step, why string) {
	if w.question != nil && w.tells(s) {
		w.question.doubt = "step " + s.Name + " was not done: " + why
	}
}

// verdict says why nobody knows what became of the write that was asked about; nil if
// it was found, or if all who would know it were asked.
func (w *walk) verdict(in Input) *store.HookError {
	found := w.out.Answer.ID != ""
	switch {
	case w.question == nil:
		return nil
	case found && in.Cut && w.out.Answer.ID == in.Answer.ID && len(w.lost(in)) == 0:
		w.out.Answer.ID, w.out.Answer.URL = "", "" // it was known; what was sent besides would have been kept
		return nil
	case found && len(w.lost(in)) == 0:
		return configError(codeNotAsked, "it was found, and nobody knows what was done of the steps besides")
	case found:
		return nil
	case w.question.doubt != "":
		return configError(codeNotAsked, "%s", w.question.doubt)
	case !w.question.asked:
		return configError(codeNotAsked, "no step was done that would find it")
	}
	return nil
}

// lost returns the writes that are asked about.
func (w *walk) lost(in Input) []store.HookStep {
	if len(in.Lost) > 0 {
		return in.Lost
	}
	return in.Target.Flow(in.Hook.Hook, store.CallEventType(in.Hook.Event.Type)).only()
}
