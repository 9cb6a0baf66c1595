package endpoint

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/host/internal/nearest"
)

// words are a map of a template: what a value is called elsewhere. An integration may
// have another one of the name.
type words struct{ name string }

// others is the key of a map for all values that it does not name.
const others = "*"

// words returns a map of the template; nil if none is named.
func (b *builder) words(path, name string) *words {
	if name == "" {
		return nil
	}
	if _, ok := b.spec.Info.Maps[name]; !ok {
		known := slices.Sorted(maps.Keys(b.spec.Info.Maps))
		b.fault(path, nearest.Advice(name, known), "%s: info.maps has no %q", path, name)
		return nil
	}
	return &words{name}
}

// warnings are collected while a request is made or an answer is read.
type warnings struct{ texts []string }

// warningsKey is where a scope has its warnings: no name of an expression.
const warningsKey = " warnings"

// mapsKey is where a scope has the maps: likewise.
const mapsKey = " maps"

// maxWarnings bounds the warnings of a call.
const maxWarnings = 20

func (s scope) warn(format string, args ...any) {
	if w, ok := s[warningsKey].(*warnings); ok && len(w.texts) < maxWarnings {
		w.texts = append(w.texts, fmt.Sprintf(format, args...))
	}
}

// translate returns what a value is called. One that the map does not know stays as
// it is, with a warning.
func (m *words) translate(s scope, v any) any {
	if m == nil {
		return v
	}
	if list, ok := v.([]any); ok {
		out := make([]any, len(list))
		for i := range list {
			out[i] = m.translate(s, list[i])
		}
		return out
	}
	from := stringOf(v)
	tables, _ := s[mapsKey].(map[string]map[string]string)
	for _, name := range []string{from, others} {
		if to, ok := tables[m.name][name]; ok {
			return to
		}
	}
	s.warn("the map %s does not know %q", m.name, short(from, 64))
	return v
}
