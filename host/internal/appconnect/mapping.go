package appconnect

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/store"
)

// shapes are what the answers of operations are.
func shapes() map[string]store.ItemShape {
	return map[string]store.ItemShape{
		"findContact": store.ShapeContact, "findContactWithName": store.ShapeContact, "createContact": store.ShapeContact,
		"createCallLog": store.ShapeCallLog, "getCallLog": store.ShapeCallLog, "updateCallLog": store.ShapeCallLog, "upsertCallDisposition": store.ShapeCallLog,
		"createMessageLog": store.ShapeMessage, "updateMessageLog": store.ShapeMessage,
		"getUserList": store.ShapeList, "getUserInfo": store.ShapeList,
	}
}

// keys are our names for what a mapping names.
func keys(shape store.ItemShape) map[string]string {
	out := map[string]string{
		"idPath": "id", "namePath": "name", "phonePath": "phone", "typePath": "kind", "titlePath": "title", "companyPath": "company",
		"emailPath": "email", "createdDatePath": "created_at", "mostRecentActivityDatePath": "updated_at", "subjectPath": "subject", "notePath": "note",
	}
	if shape == store.ShapeList {
		out["namePath"] = "label"
	}
	return out
}

// response converts how an answer is read.
func (c *converter) response(name string, mapping map[string]json.RawMessage) *response {
	if len(mapping) == 0 {
		return nil
	}
	shape := shapes()[name]
	r := &response{Shape: string(shape), Item: map[string]string{}, Extra: map[string]string{}}
	prefix := "body"
	paths := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		var path string
		switch raw := mapping[key]; {
		case key == "item":
			if json.Unmarshal(raw, &paths) != nil {
				c.note("operations.%s.responseMapping.item is no mapping of paths", name)
			}
			prefix = ""
		case json.Unmarshal(raw, &path) != nil:
			c.note("operations.%s.responseMapping.%s has no counterpart", name, key)
		case key == "listPath":
			r.List = below(path, "body")
			if r.List == "" {
				r.List = "{{ response }}"
			}
			prefix = ""
		case key == "messagePath":
			r.Error = below(path, "body")
		default:
			paths[key] = path
		}
	}
	c.paths(r, name, shape, paths, prefix)
	if shape != "" && r.Item["id"] == "" && len(r.Item)+len(r.Extra) > 0 { // that of a log is known to who asks for it
		r.Item["id"] = "{{ body.thirdPartyLogId }}"
	}
	if len(r.Item)+len(r.Extra) == 0 {
		r.Shape = ""
	}
	if r.Shape == "" && r.Error == "" {
		return nil
	}
	return r
}

// paths converts where the values of an item are. What its shape does not have goes
// beside it.
func (c *converter) paths(r *response, name string, shape store.ItemShape, paths map[string]string, prefix string) {
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		path := below(paths[key], prefix)
		ours := keys(shape)[key]
		switch {
		case path == "":
			c.note("operations.%s.responseMapping.%s: %q names nothing of the answer", name, key, paths[key])
		case shape == "":
			c.note("operations.%s.responseMapping.%s has no counterpart", name, key)
		case slices.Contains(shape.Keys(), ours):
			r.Item[ours] = path
		default:
			r.Extra[strings.TrimSuffix(key, "Path")] = path
		}
	}
}

// below returns a path without what it begins with; empty if that is all of it.
func below(path, prefix string) string {
	if prefix == "" {
		return path
	}
	if path == prefix {
		return ""
	}
	return strings.TrimPrefix(path, prefix+".")
}
