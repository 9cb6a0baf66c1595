package api

import (
	"encoding/json"
)

// masked stands where a secret is.
const masked = "***"

// schemaNode is what of a JSON Schema tells which values are secret.
type schemaNode struct {
	Secret     bool                   `json:"x-secret"`
	Format     string                 `json:"format"`
	WriteOnly  bool                   `json:"writeOnly"`
	Properties map[string]*schemaNode `json:"properties"`
	Items      json.RawMessage        `json:"items"`
	Additional json.RawMessage        `json:"additionalProperties"`
	Ref        string                 `json:"$ref"`
	Defs       map[string]*schemaNode `json:"$defs"`
}

// maskSettings returns the settings as JSON that may be shown: a value is shown
// only where the schema names it and does not call it secret, and known secrets
// are taken out of what is shown. Without a schema nothing is.
func maskSettings(settings, schema []byte, redact func(string) string) []byte {
	var value any
	if len(settings) == 0 || json.Unmarshal(settings, &value) != nil {
		return nil
	}
	var root *schemaNode
	if json.Unmarshal(schema, &root) != nil {
		root = nil
	}
	m := masker{redact: redact}
	if root != nil {
		m.defs = root.Defs
	}
	out, err := json.Marshal(m.object(value, root))
	if err != nil {
		return nil
	}
	return out
}

type masker struct {
	defs   map[string]*schemaNode
	redact func(string) string
}

// object keeps the names of the outermost level in any case: they are the
// plugin's, and a person has to see what is set.
func (m masker) object(value any, n *schemaNode) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return m.value(value, n)
	}
	n = m.resolve(n)
	out := make(map[string]any, len(fields))
	for name, v := range fields {
		out[name] = m.value(v, n.property(name))
	}
	return out
}

func (m masker) value(value any, n *schemaNode) any {
	n = m.resolve(n)
	if n == nil || n.Secret || n.WriteOnly || n.Format == "password" {
		return masked
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, one := range v {
			child := n.property(name)
			if child == nil && m.redact(name) != name {
				name = masked
			}
			out[name] = m.value(one, child)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = m.value(one, parseNode(n.Items))
		}
		return out
	case string:
		return m.redact(v)
	default:
		return v
	}
}

// property returns the schema of a member; nil if there is none.
func (n *schemaNode) property(name string) *schemaNode {
	if n == nil {
		return nil
	}
	if child, ok := n.Properties[name]; ok {
		return child
	}
	return parseNode(n.Additional)
}

// parseNode returns nil for what is no schema, such as true.
func parseNode(text json.RawMessage) *schemaNode {
	var n *schemaNode
	if len(text) == 0 || json.Unmarshal(text, &n) != nil {
		return nil
	}
	return n
}

// maxRefs bounds a chain of references.
const maxRefs = 8

// resolve follows references into $defs; one that leads nowhere is nil.
func (m masker) resolve(n *schemaNode) *schemaNode {
	const prefix = "#/$defs/"
	for range maxRefs {
		if n == nil || n.Ref == "" {
			return n
		}
		if n.Secret || len(n.Ref) <= len(prefix) || n.Ref[:len(prefix)] != prefix {
			return nil
		}
		n = m.defs[n.Ref[len(prefix):]]
	}
	return nil
}
