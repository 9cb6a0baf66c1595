package config

import (
	"encoding/json"
	"slices"
)

// Hosts returns the strings in settings that name a host which the plugin connects
// to, as they are: those that the schema gives the format of a URL or of a host, or
// marks with "x-host": true. "x-host": false takes one out.
func Hosts(schema, settings []byte) []string {
	var value any
	if err := json.Unmarshal(settings, &value); err != nil {
		return nil
	}
	var out []string
	walk(value, shapeOf(schema), func(v any, sh shape) any {
		if s, ok := v.(string); ok && s != "" && sh.remote && !sh.local {
			out = append(out, s)
		}
		return v
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// NamesHost reports whether a setting, or one within it, can name a host.
func NamesHost(schema []byte, name string, value []byte) bool {
	raw, err := json.Marshal(map[string]json.RawMessage{name: value})
	return err == nil && len(Hosts(schema, raw)) > 0
}
