package config

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unique"

	"go.yaml.in/yaml/v4"
)

// longestCall bounds how long an endpoint may be waited for.
const longestCall = 2 * time.Minute

// wait reads how long something is waited for.
func (o object) wait(key string) time.Duration {
	text, ok := o.text(key)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 100*time.Millisecond || d > longestCall {
		o.src.failAt(CodeBadValue, o.at(key), "such as 5s, at most 2m", "%s: %q is not such a time", join(o.path, key), short(text))
		return 0
	}
	return d
}

// each reads a list of mappings.
func (o object) each(key string, read func(n *yaml.Node, path string)) {
	if !o.has(key) || empty(o.at(key)) {
		return
	}
	list := deref(o.at(key))
	if list.Kind != yaml.SequenceNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a list is needed, this is %s", join(o.path, key), kindOf(list))
		return
	}
	path := join(o.path, key)
	for i, n := range list.Content {
		read(n, path+"["+strconv.Itoa(i)+"]")
	}
}

// length returns how many entries a list has.
func (o object) length(key string) int { return len(deref(o.at(key)).Content) }

// unique refuses a name that two entries of a list have.
func (o object) unique(key string, n int, name func(i int) string) {
	lines := map[string]int{}
	for i := range n {
		at := deref(o.at(key)).Content[i]
		if line := lines[name(i)]; line > 0 && name(i) != "" {
			o.src.failAt(CodeDuplicateName, at, "", "%s[%d]: the name %q stands in line %d already", join(o.path, key), i, name(i), line)
			continue
		}
		lines[name(i)] = at.Line
	}
}

// identifier reads a name that expressions can have too.
func (o object) identifier(key string) string {
	v, ok := o.text(key)
	if !ok {
		return ""
	}
	good := v != "" && len(v) <= 63 && strings.IndexFunc(v, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
	}) < 0
	if !good {
		o.src.failAt(CodeBadName, o.at(key), "1 to 63 of a-z, A-Z, 0-9, '_', '-' and '.'", "%s: %q is not a name", join(o.path, key), short(v))
		return ""
	}
	return v
}

// anyText reads a scalar of any kind as it is written.
func (o object) anyText(key string) string {
	n, ok := o.scalar(key, "a string", "!!str", "!!int", "!!float", "!!bool", "!!timestamp")
	if !ok {
		return ""
	}
	return n.Value
}

// texts reads a mapping of texts.
func (o object) texts(key string) map[string]string {
	if !o.has(key) || empty(o.at(key)) {
		return nil
	}
	path := join(o.path, key)
	n := deref(o.at(key))
	if n.Kind != yaml.MappingNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a mapping is needed, this is %s", path, kindOf(n))
		return nil
	}
	out := map[string]string{}
	for _, p := range o.src.pairsOf(n, path) {
		v := deref(p.value)
		if v.Kind != yaml.ScalarNode || v.ShortTag() == "!!null" {
			o.src.failAt(CodeBadType, p.value, "", "%s: a string is needed, this is %s", join(path, p.key.Value), kindOf(v))
			continue
		}
		out[unique.Make(p.key.Value).Value()] = unique.Make(v.Value).Value()
	}
	return out
}

// mapping reads a mapping of anything as JSON.
func (o object) mapping(key string) json.RawMessage {
	if n := deref(o.at(key)); n.Kind != yaml.MappingNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a mapping is needed, this is %s", join(o.path, key), kindOf(n))
		return nil
	}
	return o.json(key)
}

// json reads anything as JSON.
func (o object) json(key string) json.RawMessage {
	v := o.src.tree(o.at(key), join(o.path, key))
	raw, err := json.Marshal(v)
	if err != nil {
		o.src.failAt(CodeBadValue, o.at(key), "", "%s: it cannot be written as JSON", join(o.path, key))
		return nil
	}
	return raw
}

// tree converts a node.
func (s *source) tree(n *yaml.Node, path string) any {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, p := range s.pairsOf(n, path) {
			out[p.key.Value] = s.tree(p.value, join(path, p.key.Value))
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = s.tree(item, path+"["+strconv.Itoa(i)+"]")
		}
		return out
	}
	r := settings{s: s, path: path, ok: true}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		return r.number(n, nil)
	default:
		return n.Value
	}
}
