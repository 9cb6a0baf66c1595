package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// KindMember is the kind of records whose reach and attributes are patched by
// platform; of the others each field is patched as a whole.
const KindMember = "member"

// OriginPlugin is the origin of what a plugin updates.
const OriginPlugin = "plugin"

// MaxUpdateFields bounds the fields of one update.
const MaxUpdateFields = 1000

// Update changes some fields of a record. It never touches the record itself,
// which is the image of what the remote system said last (K05): it is kept beside
// it, field by field, and readers see both. So it does not matter which comes
// first. A field goes before the image's, unless both have a version and the
// image's is later.
type Update struct {
	Kind       string
	ExternalID string
	Version    []byte // sorts by bytes; nil if the remote has none
	Patch      []byte // JSON object: the fields to change; null removes one
}

// Patch is one field of an overlay.
type Patch struct {
	Field   string // a JSON pointer without its first slash: "bio", "reach/twitter"
	Version []byte
	Value   []byte // JSON
}

// Fields returns the fields that u changes, in their order.
func (u *Update) Fields() ([]Patch, error) {
	top, err := object(u.Patch)
	if err != nil {
		return nil, fmt.Errorf("update of %s %.80q: %w", u.Kind, u.ExternalID, err)
	}
	var out []Patch
	for _, name := range slices.Sorted(maps.Keys(top)) {
		out = appendPatches(out, escape(name), top[name], patchDepth(u.Kind, name), u.Version)
	}
	if len(out) > MaxUpdateFields {
		return nil, fmt.Errorf("update of %s %.80q: %d fields, over %d: %w", u.Kind, u.ExternalID, len(out), MaxUpdateFields, ErrLimit)
	}
	return out, nil
}

// Branch reports whether other fields of the kind stand below the field, so that
// what it says holds for them too.
func Branch(kind, field string) bool { return patchDepth(kind, field) > 0 }

// patchDepth returns how many levels of objects below a field are merged.
func patchDepth(kind, field string) int {
	switch {
	case kind != KindMember:
		return 0
	case field == "reach":
		return 1
	case field == "attributes":
		return 2
	default:
		return 0
	}
}

func appendPatches(out []Patch, field string, value json.RawMessage, depth int, version []byte) []Patch {
	if depth > 0 {
		if below, err := object(value); err == nil {
			for _, name := range slices.Sorted(maps.Keys(below)) {
				out = appendPatches(out, field+"/"+escape(name), below[name], depth-1, version)
			}
			return out
		}
	}
	return append(out, Patch{Field: field, Version: version, Value: value})
}

// Overlay returns the data of a record with the patches over it that its version
// does not outdate. They are sorted by field.
func (r *Record) Overlay(patches []Patch) ([]byte, error) {
	top, err := object(r.Data)
	if err != nil {
		return nil, fmt.Errorf("overlay of %s %.80q: %w", r.Kind, r.ExternalID, err)
	}
	changed := false
	for _, p := range patches {
		if p.Version != nil && r.Version != nil && bytes.Compare(p.Version, r.Version) < 0 {
			continue
		}
		changed = true
		if err := put(top, strings.Split(p.Field, "/"), p.Value); err != nil {
			return nil, fmt.Errorf("overlay of %s %.80q: %s: %w", r.Kind, r.ExternalID, p.Field, err)
		}
	}
	if !changed {
		return r.Data, nil
	}
	return encodeObject(top)
}

// put sets, or for null removes, what stands at path.
func put(in map[string]json.RawMessage, path []string, value json.RawMessage) error {
	name := unescape(path[0])
	switch {
	case len(path) == 1 && string(value) == "null":
		delete(in, name)
		return nil
	case len(path) == 1:
		in[name] = value
		return nil
	}
	below, err := object(in[name])
	if err != nil { // the image has something else there
		below = map[string]json.RawMessage{}
	}
	if err := put(below, path[1:], value); err != nil {
		return err
	}
	in[name], err = encodeObject(below)
	return err
}

// object decodes a JSON object.
func object(raw []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if m == nil {
		return nil, fmt.Errorf("%w: no JSON object", ErrInvalid)
	}
	return m, nil
}

// encodeObject encodes m with its names sorted and nothing escaped in vain.
func encodeObject(m map[string]json.RawMessage) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func unescape(name string) string { return strings.NewReplacer("~1", "/", "~0", "~").Replace(name) }
