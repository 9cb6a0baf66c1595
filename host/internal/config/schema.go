package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// checker checks settings against one plugin's schema.
type checker struct {
	schema *jsonschema.Schema
	shape  shape
}

// newChecker compiles a settings schema. A schema refers to itself alone: no file
// and no address is read for it.
func newChecker(raw []byte) (*checker, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("decode settings schema: %w", err)
	}
	if root, ok := doc.(map[string]any); ok {
		delete(root, "$id") // local references then stay local
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.AssertFormat()
	const name = "settings.json"
	if err := c.AddResource(name, doc); err != nil {
		return nil, fmt.Errorf("read settings schema: %w", err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("compile settings schema: %w", err)
	}
	return &checker{schema: schema, shape: newShape(raw)}, nil
}

// noLoader refuses every reference out of a schema.
type noLoader struct{}

// Load returns an error.
func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a settings schema refers to nothing outside itself")
}

// shape is what a schema says of one place in the settings: all the sub-schemas
// that can apply there.
type shape struct {
	root   map[string]any
	nodes  []map[string]any
	hidden bool // the place, or one above it, is a secret
	file   bool // the place, or the list that it is in, is a path of the file system
	remote bool // likewise, names a host
	local  bool // likewise, does not, whatever its format
}

const maxShape = 64 // sub-schemas of one place

func newShape(raw []byte) shape {
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		return shape{}
	}
	return shape{root: root}.with(root)
}

// with adds a sub-schema and those that it refers to or combines.
func (s shape) with(n any) shape {
	node, ok := n.(map[string]any)
	if !ok || len(s.nodes) >= maxShape {
		return s
	}
	s.nodes = append(slices.Clip(s.nodes), node)
	secretive, _ := node["x-secret"].(bool)
	writeOnly, _ := node["writeOnly"].(bool)
	path, _ := node["x-path"].(bool)
	s.file = s.file || path
	host, marked := node["x-host"].(bool)
	s.remote, s.local = s.remote || host || namesHost(node["format"]), s.local || marked && !host
	s.hidden = s.hidden || secretive || writeOnly || node["format"] == "password"
	if ref, ok := node["$ref"].(string); ok {
		s = s.with(s.target(ref))
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := node[key].([]any)
		for _, sub := range list {
			s = s.with(sub)
		}
	}
	for _, key := range []string{"if", "then", "else"} {
		s = s.with(node[key])
	}
	return s
}

// namesHost reports whether a string of the format names a host.
func namesHost(format any) bool {
	switch format {
	case "uri", "iri", "hostname", "idn-hostname":
		return true
	default:
		return false
	}
}

// target returns what a local reference names, or nil.
func (s shape) target(ref string) any {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	var at any = s.root
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if part == "" {
			continue
		}
		node, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = node[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return at
}

// child returns what is said of a property.
func (s shape) child(name string) shape {
	out := shape{root: s.root, hidden: s.hidden}
	for _, n := range s.nodes {
		properties, _ := n["properties"].(map[string]any)
		property, found := properties[name]
		if found {
			out = out.with(property)
		}
		patterns, _ := n["patternProperties"].(map[string]any)
		for pattern, sub := range patterns {
			if re, err := regexp.Compile(pattern); err == nil && re.MatchString(name) {
				found, out = true, out.with(sub)
			}
		}
		if !found {
			out = out.with(n["additionalProperties"])
		}
	}
	return out
}

// item returns what is said of the i-th entry of a list.
func (s shape) item(i int) shape {
	out := shape{root: s.root, hidden: s.hidden, file: s.file, remote: s.remote, local: s.local}
	for _, n := range s.nodes {
		if prefix, _ := n["prefixItems"].([]any); i < len(prefix) {
			out = out.with(prefix[i])
			continue
		}
		out = out.with(n["items"])
	}
	return out
}

// at returns what is said of a place.
func (s shape) at(location []string) shape {
	for _, part := range location {
		next := s.child(part)
		if len(next.nodes) == 0 {
			if i, err := strconv.Atoi(part); err == nil {
				next = s.item(i)
			}
		}
		s = next
	}
	return s
}

// known reports whether the schema says anything of the place.
func (s shape) known() bool { return len(s.nodes) > 0 }

// secret reports whether the place may hold a secret: it is marked, or nothing is
// known of it.
func (s shape) secret() bool { return s.hidden || !s.known() }

// names returns the properties that the schema knows, sorted.
func (s shape) names() []string {
	var out []string
	for _, n := range s.nodes {
		properties, _ := n["properties"].(map[string]any)
		for name := range properties {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
