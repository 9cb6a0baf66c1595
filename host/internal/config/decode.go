package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unique"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/sdk"
)

const nameHelp = "a name has 1 to 63 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"

// pair is a key of a mapping with its value, aliases followed.
type pair struct{ key, value *yaml.Node }

// object is a mapping with the keys that its reader knows.
type object struct {
	src   *source
	path  string // such as integrations[0].limit, for messages
	node  *yaml.Node
	pairs []pair // of known keys
}

// pair returns the key and its value; none if it is not given.
func (o object) pair(key string) pair {
	for _, p := range o.pairs {
		if p.key.Value == key {
			return p
		}
	}
	return pair{}
}

// sorted returns the keys by their names.
func (o object) sorted() []pair {
	return slices.SortedFunc(slices.Values(o.pairs), func(a, b pair) int { return cmp.Compare(a.key.Value, b.key.Value) })
}

// keys are those of a mapping, each once: a few are looked through, of many there is
// an index.
type keys struct {
	pairs []pair
	index map[string]int
}

const fewKeys = 24

// find returns the key of that name, or nil.
func (k *keys) find(name string) *yaml.Node {
	if k.index != nil {
		if i, ok := k.index[name]; ok {
			return k.pairs[i].key
		}
		return nil
	}
	for _, p := range k.pairs {
		if p.key.Value == name {
			return p.key
		}
	}
	return nil
}

func (k *keys) add(p pair) {
	k.pairs = append(k.pairs, p)
	switch {
	case k.index != nil:
		k.index[p.key.Value] = len(k.pairs) - 1
	case len(k.pairs) > fewKeys:
		k.index = make(map[string]int, 2*len(k.pairs))
		for i, p := range k.pairs {
			k.index[p.key.Value] = i
		}
	}
}

// deref follows aliases.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// kindOf names what a node is, for messages.
func kindOf(n *yaml.Node) string {
	switch deref(n).Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch deref(n).ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	default:
		return "a string"
	}
}

// pairsOf returns the keys of a mapping in their order; those that << merges come
// behind, as far as the mapping does not have them itself. Duplicate keys and keys
// that are no strings are problems.
func (s *source) pairsOf(n *yaml.Node, path string) []pair {
	n = deref(n)
	var merged []pair
	out := keys{pairs: make([]pair, 0, len(n.Content)/2)}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, s.merge(value, path)...)
			continue
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
			s.hide(value)
			s.failAt(CodeBadType, key, "", "%s: a key is needed that is a string", orTop(path))
			continue
		}
		if first := out.find(key.Value); first != nil {
			s.hide(value)
			s.failAt(CodeDuplicateKey, key, "", "%s: the key stands in line %d already", join(path, key.Value), first.Line)
			continue
		}
		out.add(pair{key, value})
	}
	for _, p := range merged {
		if out.find(p.key.Value) == nil {
			out.add(p)
		}
	}
	return out.pairs
}

// merge returns the keys of the mappings that << names; the first wins.
func (s *source) merge(value *yaml.Node, path string) []pair {
	value = deref(value)
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	var out []pair
	for _, n := range from {
		if deref(n).Kind != yaml.MappingNode {
			s.failAt(CodeBadType, n, "", "%s: << needs a mapping, this is %s", orTop(path), kindOf(n))
			continue
		}
		out = append(out, s.pairsOf(n, path)...)
	}
	return out
}

// object reads a mapping of known keys. Each other key is a problem, with the known
// one that was probably meant.
func (s *source) object(n *yaml.Node, path string, known ...string) (object, bool) {
	return s.objectWith(n, path, func(pair) bool { return false }, known...)
}

// objectWith is object for a mapping that may have keys which more says are known too.
func (s *source) objectWith(n *yaml.Node, path string, more func(pair) bool, known ...string) (object, bool) {
	o := object{src: s, path: path, node: n}
	if deref(n).Kind != yaml.MappingNode {
		s.hide(n)
		s.failAt(CodeBadType, n, "", "%s: a mapping is needed, this is %s", orTop(path), kindOf(n))
		return o, false
	}
	given := s.pairsOf(n, path)
	o.pairs = given[:0]
	for _, p := range given {
		if slices.Contains(known, p.key.Value) || more(p) {
			o.pairs = append(o.pairs, p)
			continue
		}
		s.hide(p.value)
		s.failAt(CodeUnknownKey, p.key, nearest.Advice(p.key.Value, known), "%s has no key %q", orTop(path), short(p.key.Value))
	}
	return o, true
}

// has reports whether the key is given.
func (o object) has(key string) bool { return o.pair(key).key != nil }

// at returns the node to point at for a key: its value, or the mapping.
func (o object) at(key string) *yaml.Node {
	if p := o.pair(key); p.value != nil {
		return p.value
	}
	return o.node
}

// text reads a string.
func (o object) text(key string) (string, bool) {
	n, ok := o.scalar(key, "a string", "!!str", "!!timestamp")
	if !ok {
		return "", false
	}
	return n.Value, true
}

// name reads a string that can be a name (E04).
func (o object) name(key string) (string, bool) {
	n, ok := o.scalar(key, "a name", "!!str", "!!int", "!!timestamp")
	if !ok {
		return "", false
	}
	if !sdk.ValidName(n.Value) {
		o.src.failAt(CodeBadName, n, nameHelp, "%s: %q is not a name", join(o.path, key), short(n.Value))
		return "", false
	}
	return n.Value, true
}

// integer reads a whole number from 1 to high.
func (o object) integer(key string, high int) (int, bool) {
	n, ok := o.scalar(key, "a whole number", "!!int")
	if !ok {
		return 0, false
	}
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < 1 || v > high {
		o.src.failAt(CodeBadValue, n, "", "%s: %s is not between 1 and %d", join(o.path, key), short(n.Value), high)
		return 0, false
	}
	return v, true
}

// boolean reads true or false.
func (o object) boolean(key string, otherwise bool) bool {
	n, ok := o.scalar(key, "true or false", "!!bool")
	if !ok {
		return otherwise
	}
	return strings.EqualFold(n.Value, "true")
}

// word reads one of a list of words.
func (o object) word(key, otherwise string, words ...string) string {
	v, ok := o.text(key)
	if !ok {
		return otherwise
	}
	i := slices.Index(words, v)
	if i < 0 {
		help := "one of " + strings.Join(words, ", ")
		o.src.failAt(CodeBadValue, o.at(key), help, "%s: %q is unknown", join(o.path, key), short(v))
		return otherwise
	}
	return words[i] // not the file's copy
}

// shared reads a string of which there are many alike in a thousand files: they are
// kept once.
func (o object) shared(key string) string {
	v, _ := o.text(key)
	return unique.Make(v).Value()
}

// names reads a list of names, each once.
func (o object) names(key string) ([]string, bool) {
	if !o.has(key) {
		return nil, false
	}
	list := deref(o.at(key))
	if list.Kind != yaml.SequenceNode {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: a list is needed, this is %s", join(o.path, key), kindOf(list))
		return nil, false
	}
	out := []string{}
	for _, n := range list.Content {
		v := deref(n)
		switch {
		case v.Kind != yaml.ScalarNode || !sdk.ValidName(v.Value):
			o.src.failAt(CodeBadName, n, nameHelp, "%s: an entry is not a name", join(o.path, key))
		case slices.Contains(out, v.Value):
			o.src.failAt(CodeDuplicateName, n, "", "%s: %q stands in the list twice", join(o.path, key), v.Value)
		default:
			out = append(out, v.Value)
		}
	}
	return out, true
}

// scalar returns the value of a key if it has one of the tags. An absent key is no
// problem.
func (o object) scalar(key, need string, tags ...string) (*yaml.Node, bool) {
	if !o.has(key) {
		return nil, false
	}
	n := deref(o.at(key))
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		o.src.failAt(CodeBadType, o.at(key), "", "%s: %s is needed, this is %s", join(o.path, key), need, kindOf(n))
		return nil, false
	}
	return n, true
}

// need reports keys that are required and absent.
func (o object) need(keys ...string) {
	for _, key := range keys {
		if !o.has(key) {
			o.src.failAt(CodeMissingKey, o.node, "", "%s needs the key %q", orTop(o.path), key)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// short cuts a value for a message.
func short(v string) string {
	const most = 60
	if utf8.RuneCountInString(v) <= most {
		return v
	}
	return string([]rune(v)[:most]) + "..."
}
