package sdktest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

// shortestSecret is the length from which a value is looked for: shorter ones
// turn up by chance.
const shortestSecret = 6

// secrets checks that no secret of the settings is in what a run emits or logs.
func (e *exercise) secrets(r *run) {
	needles := Secrets(r.manifest, r.opts.Settings)
	look := func(where string, v ...[]byte) {
		for _, b := range v {
			if holds(b, needles) {
				e.broken("%s: a secret of the settings is in it", where)
				return
			}
		}
	}
	for _, s := range r.result.Streams {
		look("stream "+s.ID, s.Data, []byte(s.ID+" "+s.Partition+" "+s.LimitKey))
	}
	for n, seg := range r.plan {
		if seg.checkpoint != nil {
			look(fmt.Sprintf("get streams: checkpoint %d", n+1), seg.checkpoint.Data)
		}
	}
	for _, p := range r.pages {
		where := "stream " + p.call.Stream.ID + ": "
		look(where+"next page", p.outcome.NextPage)
		look(where+"cursor", p.outcome.Cursor)
		for n, seg := range p.segments {
			if seg.checkpoint != nil {
				look(fmt.Sprintf("%scheckpoint %d", where, n+1), seg.checkpoint.Data, seg.checkpoint.Cursor)
			}
		}
	}
	look("preprocessed data", r.of.Preprocessed)
	if state, err := stateOf(r.result.Records, r.result.Members, r.result.Activities); err == nil {
		for key, v := range state {
			look("record "+key, []byte(key), []byte(v))
		}
	}
	for key, v := range r.result.Settings {
		look("setting "+key, v)
	}
	for _, w := range r.result.Warnings {
		look("a warning", []byte(w.RecordID+" "+w.Message))
	}
	for _, err := range e.refused {
		if holds([]byte(err.Error()), e.canaries) {
			e.broken("an error: a secret of the settings is in it")
		}
	}
	if h, ok := r.host.(*Host); ok {
		for _, line := range h.Lines() {
			look("the log", []byte(line))
		}
	}
}

// Secrets returns the values of settings that the manifest marks as secret, as they
// are and as they stand in JSON. Those shorter than 6 characters are left out: they
// turn up by chance.
func Secrets(m sdk.Manifest, settings []byte) [][]byte {
	var values any
	if json.Unmarshal(settings, &values) != nil {
		return nil
	}
	var found []string
	var schema map[string]any
	if m.SettingsSchema != nil && json.Unmarshal(m.SettingsSchema, &schema) == nil {
		bySchema(schema, values, &found)
	} else if m.Settings != nil {
		byType(reflect.TypeOf(m.Settings), values, &found)
	}
	var needles [][]byte
	for _, s := range found {
		if len(s) < shortestSecret {
			continue
		}
		needles = append(needles, []byte(s))
		if quoted, err := sdk.Marshal(s); err == nil && len(quoted) != len(s)+2 {
			needles = append(needles, quoted[1:len(quoted)-1])
		}
	}
	return needles
}

func bySchema(schema map[string]any, value any, found *[]string) {
	if secret, ok := schema["x-secret"].(bool); ok && secret {
		texts(value, found)
		return
	}
	sub := func(key string) map[string]any { s, _ := schema[key].(map[string]any); return s }
	switch v := value.(type) {
	case map[string]any:
		properties := sub("properties")
		for name, inner := range v {
			if s, ok := properties[name].(map[string]any); ok {
				bySchema(s, inner, found)
			} else {
				bySchema(sub("additionalProperties"), inner, found)
			}
		}
	case []any:
		for _, inner := range v {
			bySchema(sub("items"), inner, found)
		}
	}
}

func byType(t reflect.Type, value any, found *[]string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[sdk.Secret]() {
		texts(value, found)
		return
	}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			switch t.Kind() {
			case reflect.Map:
				byType(t.Elem(), inner, found)
			case reflect.Struct:
				if f, ok := fieldOf(t, name); ok {
					byType(f, inner, found)
				}
			}
		}
	case []any:
		if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
			for _, inner := range v {
				byType(t.Elem(), inner, found)
			}
		}
	}
}

// fieldOf returns the type of the field that JSON reads name into.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name || tag == "" && !f.Anonymous && strings.EqualFold(f.Name, name) {
			return f.Type, true
		}
	}
	return nil, false
}

func texts(value any, found *[]string) {
	switch v := value.(type) {
	case string:
		*found = append(*found, v)
	case map[string]any:
		for _, inner := range v {
			texts(inner, found)
		}
	case []any:
		for _, inner := range v {
			texts(inner, found)
		}
	}
}
