package chain

import (
	"encoding/json"
	"fmt"
)

// The bounds of what is kept for later events of a call, in bytes of JSON.
const (
	maxKept    = 64 << 10 // of a step
	maxContext = 256 << 10
)

// Found is the name in the context under which the contacts are that were found.
const Found = "found"

// keep puts what a step answered into the context.
func (w *walk) keep(s Step, v any) {
	if s.Name == "" {
		return
	}
	w.given.Context[s.Name], w.kept[s.Name] = v, v
}

// before returns what an earlier attempt made, if this one made nothing.
func (w *walk) before() *Item {
	made, ok := w.given.Context[madeName].(map[string]any)
	if !ok {
		return nil
	}
	id, _ := made["id"].(string)
	address, _ := made["url"].(string)
	return &Item{Values: map[string]string{"id": id, "url": address}}
}

// madeName is where an attempt that failed leaves the id of what it made.
const madeName = "made"

// answer makes the hook's answer of what the steps gave.
func (w *walk) answer(event string, bad *Error) {
	if len(w.out.Contacts) > 0 {
		w.given.Context[Found], w.kept[Found] = asList(w.out.Contacts), asList(w.out.Contacts)
	}
	if w.last != nil && event != "call.started" {
		w.out.ID, w.out.URL = w.last.Values["id"], w.last.Values["url"]
	}
	for _, part := range []struct {
		name string
		from Expression
		to   *string
	}{{"id", w.flow.ID, &w.out.ID}, {"url", w.flow.URL, &w.out.URL}, {"route", w.flow.Route, &w.out.Route}, {"reject", w.flow.Reject, &w.out.Reject}} {
		if part.from == nil {
			continue
		}
		v, err := part.from(w.given)
		if err != nil {
			w.warn("%s: %v", part.name, err)
			continue
		}
		if *part.to = ""; truth(v) {
			*part.to = fmt.Sprint(v)
		}
	}
	if w.flow.Screen != nil {
		screen, warnings := w.flow.Screen(w.given)
		w.out.Screen = screen
		for _, text := range warnings {
			w.warn("%s", text)
		}
	}
	if bad != nil && w.out.ID != "" {
		w.kept[madeName] = map[string]any{"id": w.out.ID, "url": w.out.URL}
	}
	w.out.Context = w.bounded()
}

// bounded returns what is kept for later events: what is too large is left out.
func (w *walk) bounded() map[string]any {
	out, sum := make(map[string]any, len(w.kept)), 0
	for _, name := range w.names() {
		raw, err := json.Marshal(w.kept[name])
		if err != nil || len(raw) > maxKept || sum+len(raw) > maxContext {
			w.warn("what %s answered is too large to be kept for later events", name)
			continue
		}
		sum += len(raw)
		out[name] = w.kept[name]
	}
	return out
}

// names returns the names of what is kept in the order of the steps.
func (w *walk) names() []string {
	out := []string{}
	for _, name := range []string{Found, madeName} {
		if _, ok := w.kept[name]; ok {
			out = append(out, name)
		}
	}
	for _, s := range w.flow.Steps {
		if _, ok := w.kept[s.Name]; ok {
			out = append(out, s.Name)
		}
	}
	return out
}

// asList returns contacts as expressions see them.
func asList[V any](list []V) []any {
	raw, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	var out []any
	if json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}
