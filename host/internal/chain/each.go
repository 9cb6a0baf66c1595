package chain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackfield/jackfield/store"
)

// each does a step for each of a list. What was done for one is known by the item, and
// not by its place: the list may be another one when the step is tried again.
func (w *walk) each(ctx context.Context, s Step) *store.HookError {
	v, err := s.ForEach(w.given)
	if err != nil {
		return w.stopped(ctx, s, w.key(s), configError(codeCondition, "foreach: %v", err))
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		return w.stopped(ctx, s, w.key(s), configError(codeNoList, "foreach gives no list but a %T", v))
	}
	if len(list) == 0 {
		w.skip(s, w.key(s), whyEmpty)
		return nil
	}
	all := list
	list = list[:min(len(list), maxItems)]
	names := marks(list)
	answers, last := w.had(s, names)
	for i, item := range list {
		key := w.element(s, names[i])
		if w.done[key] {
			continue
		}
		g := w.given
		g.Item = item
		a, err := w.call(ctx, s, key, g)
		if err != nil {
			if bad := w.forgive(s, failure(ctx, s, err)); bad != nil {
				w.keepList(s, answers[:max(i, last+1)], names)
				return bad
			}
			continue
		}
		answers[i] = a.Body
		w.keepList(s, answers[:max(i, last)+1], names)
	}
	w.keepList(s, answers, names)
	if len(list) < len(all) {
		w.warn("it was done for the first %d of %d", len(list), len(all))
		w.unheard(s, "its list is too long")
	}
	return nil
}

// element is the key of a step for one item.
func (w *walk) element(s Step, name string) string { return w.key(s) + "[" + name + "]" }

// some reports whether a step was done for some of a list.
func (w *walk) some(s Step) bool {
	if s.ForEach == nil {
		return false
	}
	for key := range w.done {
		if strings.HasPrefix(key, w.key(s)+"[") {
			return true
		}
	}
	return false
}

// marksOf is the name that the items are kept under that the answers of a step belong
// to: no expression has such a name.
func marksOf(name string) string { return name + "[]" }

// keepList keeps the answers of a list, and whose they are.
func (w *walk) keepList(s Step, answers []any, names []string) {
	w.keep(s, answers)
	if s.Name != "" && !s.Reads {
		w.kept[marksOf(s.Name)] = names[:len(answers)]
	}
}

// had returns room for the answers of a list, with those that earlier attempts of the
// event got, and where the last of these stands.
func (w *walk) had(s Step, names []string) (answers []any, last int) {
	answers, last = make([]any, len(names)), -1
	var was []string
	_ = json.Unmarshal(w.before[marksOf(s.Name)], &was) // there is none at first
	got, _ := contextOf(w.before)[s.Name].([]any)
	byName := map[string]any{}
	for i := range min(len(was), len(got)) {
		byName[was[i]] = got[i]
	}
	for i, name := range names {
		if w.done[w.element(s, name)] {
			answers[i], last = byName[name], i
		}
	}
	return answers, last
}

// forget drops whose the answers of lists are: nothing is tried again.
func (w *walk) forget() {
	for _, s := range w.flow.Steps {
		name := marksOf(s.Name)
		_, kept := w.kept[name]
		_, before := w.before[name]
		if !kept && !before {
			continue
		}
		if delete(w.kept, name); before {
			w.kept[name] = nil
		}
	}
}

// marks names the items of a list, each by its id if it has one, else by what it is.
// Of those that are the same the second one is another one.
func marks(list []any) []string {
	out, seen := make([]string, len(list)), map[string]int{}
	for i, item := range list {
		name := ""
		if m, ok := item.(map[string]any); ok && m["id"] != nil {
			name = fmt.Sprint(m["id"])
		}
		if !plain(name) {
			raw, err := json.Marshal(item)
			if err != nil {
				raw = fmt.Append(nil, item)
			}
			sum := sha256.Sum256(raw)
			name = "~" + hex.EncodeToString(sum[:8])
		}
		if seen[name]++; seen[name] > 1 {
			out[i] = fmt.Sprintf("%s#%d", name, seen[name])
			continue
		}
		out[i] = name
	}
	return out
}

// plain reports whether an id can stand in a key as it is.
func plain(id string) bool {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@+-"
	return id != "" && len(id) <= 64 && strings.Trim(id, signs) == ""
}
