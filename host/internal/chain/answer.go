package chain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The bounds of what is kept for later events of a call, in bytes of JSON.
const (
	maxKept    = 64 << 10 // of a step
	maxContext = 256 << 10
)

// Found is the name in the context under which the contacts are that were found, in
// the words of sdk.CallContact. No step may have it.
const Found = "found"

// keep puts what a step answered into the context.
func (w *walk) keep(s Step, v any) {
	if s.Name != "" {
		w.given.Context[s.Name], w.kept[s.Name] = v, v
	}
}

// answer makes the hook's answer of what the steps gave.
func (w *walk) answer(hook string) {
	a := &w.out.Answer
	if w.made != nil {
		a.ID, a.URL = w.made.Values["id"], w.made.Values["url"]
	}
	a.ID = w.said("id", w.flow.ID, a.ID)
	if a.URL = w.said("url", w.flow.URL, a.URL); !sdk.WebAddress(a.URL) {
		a.URL = ""
	}
	if hook == sdk.HookGetDataIframe {
		if to := w.said("route", w.flow.Route, ""); to != "" {
			a.Route = &sdk.CallRoute{To: to}
		}
		if why := w.said("reject", w.flow.Reject, ""); why != "" {
			a.Route, a.Reject = nil, &sdk.CallReject{Reason: why}
		}
	}
	if w.flow.Screen == nil {
		return
	}
	screen, warnings := w.flow.Screen(w.given)
	a.Iframe = screen
	for _, text := range warnings {
		w.warn("%s", text)
	}
}

// shapes returns those of the things that a hook makes; what it answers is one of them.
func shapes(hook string) []string {
	switch hook {
	case sdk.HookSavePreLogCRM, sdk.HookSaveLogCRM:
		return []string{string(store.ShapeCallLog)}
	case sdk.HookCreateSMSNote:
		return []string{string(store.ShapeMessage), string(store.ShapeCallLog)}
	case sdk.HookCreateTicket:
		return []string{string(store.ShapeTicket)}
	case sdk.HookCreateContact:
		return []string{string(store.ShapeContact)}
	}
	return nil
}

// makes reports whether what a step answered may be what the hook made, or, if it is
// asked what became of that, found. What a trigger answered, or a step that only looks
// something up for later ones, never is; but a form that has no steps is a trigger's.
func (w *walk) makes(s Step, it Item) bool {
	return (s.Name != "" || w.form) && (!s.Reads || w.question != nil) && it.Values["id"] != "" && slices.Contains(w.shapes, it.Shape)
}

// said returns what an expression says; otherwise if there is none.
func (w *walk) said(name string, x Expression, otherwise string) string {
	if x == nil {
		return otherwise
	}
	v, err := x(w.given)
	if err != nil {
		w.warn("%s: %v", name, err)
		if w.question != nil && name == "id" {
			w.unsaid = configError(codeCondition, "id: %v", err)
		}
		return ""
	}
	if !truth(v) {
		return ""
	}
	return fmt.Sprint(v)
}

// bounded returns what is kept for later events: what an earlier attempt left and
// this one did not replace, and what is new. What is too large is left out.
func (w *walk) bounded(warn func(format string, args ...any)) map[string]json.RawMessage {
	out, sum := map[string]json.RawMessage{}, 0
	add := func(name string, raw []byte) {
		if len(raw) > maxKept || sum+len(raw) > maxContext {
			warn("what is kept under %s is too large for later events", name)
			return
		}
		sum += len(raw)
		out[name] = raw
	}
	for name, raw := range w.before {
		if _, again := w.kept[name]; !again {
			add(name, raw)
		}
	}
	for _, name := range w.names() {
		raw, err := json.Marshal(w.kept[name])
		if err != nil {
			warn("what is kept under %s cannot be written: %v", name, err)
			continue
		}
		add(name, raw)
	}
	return out
}

// names returns the names of what is kept in the order of the steps.
func (w *walk) names() []string {
	out := []string{}
	if _, ok := w.kept[Found]; ok {
		out = append(out, Found)
	}
	for _, s := range w.flow.Steps {
		for _, name := range []string{s.Name, marksOf(s.Name)} {
			if _, ok := w.kept[name]; ok && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.kept)) { // what is not of this flow: what a question found
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// asList returns contacts as expressions see them.
func asList(list []sdk.CallContact) []any {
	raw, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	v, err := decode(raw)
	if err != nil {
		return nil
	}
	out, _ := v.([]any)
	return out
}
