package config

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackfield/jackfield/host/internal/secret"
)

// Mask returns settings in JSON with *** for every value that the schema marks as a
// secret or does not know: what may be shown to a person.
func Mask(schema, settings []byte) ([]byte, error) {
	var value any
	if err := json.Unmarshal(settings, &value); err != nil {
		return nil, fmt.Errorf("mask settings: not JSON") // the cause could show them
	}
	masked := walk(value, shapeOf(schema), func(v any, sh shape) any {
		if sh.secret() {
			return secret.Redacted
		}
		return v
	})
	return json.Marshal(masked)
}

// Secrets returns the strings in settings that the schema marks as secrets, for a
// Redactor.
func Secrets(schema, settings []byte) []string {
	var value any
	if err := json.Unmarshal(settings, &value); err != nil {
		return nil
	}
	var out []string
	walk(value, shapeOf(schema), func(v any, sh shape) any {
		if s, ok := v.(string); ok && sh.hidden {
			out = append(out, s)
		}
		return v
	})
	slices.Sort(out)
	return slices.Compact(out)
}

func shapeOf(schema []byte) shape {
	if len(schema) == 0 {
		return shape{}
	}
	return newShape(schema)
}

// walk returns v with every scalar in it changed by visit.
func walk(v any, sh shape, visit func(any, shape) any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, sub := range v {
			out[name] = walk(sub, sh.child(name), visit)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = walk(sub, sh.item(i), visit)
		}
		return out
	default:
		return visit(v, sh)
	}
}
