package endpoint

import "slices"

// As returns a thing that was found, as an endpoint that makes such things would have
// answered it: its values stand where the endpoint's response says. It is false if the
// response does not say where anything of it stands.
func (t *Template) As(name string, i Item) (any, bool) {
	c := t.endpoints[name]
	if c == nil || c.response.shape == "" || c.response.list != nil {
		return nil, false
	}
	out := map[string]any{}
	some := false
	for _, r := range c.response.item {
		v, there := i.Values[r.name]
		if !there || r.reader == nil || r.expr != nil || r.words != nil || !place(out, r.path, v) {
			continue
		}
		some = true
	}
	return out, some
}

// place puts a value at a path of names, and makes what leads there.
func place(m map[string]any, path []string, v any) bool {
	if slices.ContainsFunc(path, func(name string) bool { return name == "" || name[0] >= '0' && name[0] <= '9' }) {
		return false // of a list, which has more
	}
	for _, name := range path[:len(path)-1] {
		next, ok := m[name].(map[string]any)
		if m[name] != nil && !ok {
			return false
		}
		if !ok {
			next = map[string]any{}
			m[name] = next
		}
		m = next
	}
	m[path[len(path)-1]] = v
	return true
}
