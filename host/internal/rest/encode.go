package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// encodeJSON writes what is JSON within a message as protojson wants bytes. All bytes
// of the API are JSON.
func encodeJSON(d protoreflect.MessageDescriptor, data []byte) ([]byte, error) {
	if !hasJSON(d, nil) || bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return data, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	for name, raw := range members {
		f := d.Fields().ByJSONName(name)
		if f == nil {
			f = d.Fields().ByTextName(name)
		}
		if f == nil || f.IsMap() || bytes.Equal(raw, []byte("null")) {
			continue
		}
		encoded, err := encodeField(f, raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		members[name] = encoded
	}
	return json.Marshal(members)
}

func encodeField(f protoreflect.FieldDescriptor, raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case f.IsList() && f.Message() != nil:
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		for i := range list {
			var err error
			if list[i], err = encodeJSON(f.Message(), list[i]); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	case f.Message() != nil:
		return encodeJSON(f.Message(), raw)
	case f.Kind() == protoreflect.BytesKind:
		return json.Marshal(base64.StdEncoding.EncodeToString(raw))
	default:
		return raw, nil
	}
}

// hasJSON reports whether a message has bytes somewhere within.
func hasJSON(d protoreflect.MessageDescriptor, above []protoreflect.FullName) bool {
	for _, name := range above {
		if name == d.FullName() {
			return false // looked at already
		}
	}
	above = append(above, d.FullName())
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Kind() == protoreflect.BytesKind || f.Message() != nil && !f.IsMap() && hasJSON(f.Message(), above) {
			return true
		}
	}
	return false
}
