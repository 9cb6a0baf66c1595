package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// timeLayout is RFC 3339 in UTC with the milliseconds that the store keeps.
const timeLayout = "2006-01-02T15:04:05.000Z"

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			buf.WriteByte(',')
		}
		value, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&buf, "%q:%s", m.name, value)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// marshal writes JSON that is for people and programs, not for HTML.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// document turns a message of the API into what the command line prints: names
// in snake_case, in the order of the protocol; numbers as numbers, whatever their
// size; times in RFC 3339; spans of time in seconds, such as 1.5s; bytes, which hold JSON, as that JSON. Words, numbers,
// lists and maps are always there; a message, a time or JSON that is not set is
// left out.
func document(m proto.Message) object { return documentOf(m.ProtoReflect()) }

func documentOf(m protoreflect.Message) object {
	fields := m.Descriptor().Fields()
	out := make(object, 0, fields.Len())
	for i := range fields.Len() {
		field := fields.Get(i)
		value, ok := fieldValue(m, field)
		if ok {
			out = append(out, member{name: string(field.Name()), value: value})
		}
	}
	return out
}

func fieldValue(m protoreflect.Message, field protoreflect.FieldDescriptor) (any, bool) {
	value := m.Get(field)
	switch {
	case field.IsList():
		list := value.List()
		out := make([]any, 0, list.Len())
		for i := range list.Len() {
			out = append(out, single(field, list.Get(i)))
		}
		return out, true
	case field.IsMap():
		out := make(map[string]any, value.Map().Len())
		value.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
			out[key.String()] = single(field.MapValue(), v)
			return true
		})
		return out, true
	case field.Message() != nil && !m.Has(field):
		return nil, false
	case field.Kind() == protoreflect.BytesKind && len(value.Bytes()) == 0:
		return nil, false
	default:
		return single(field, value), true
	}
}

func single(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch {
	case field.Message() != nil:
		if at, ok := value.Message().Interface().(*timestamppb.Timestamp); ok {
			return at.AsTime().Format(timeLayout)
		}
		if took, ok := value.Message().Interface().(*durationpb.Duration); ok {
			return strconv.FormatFloat(took.AsDuration().Seconds(), 'f', -1, 64) + "s"
		}
		return documentOf(value.Message())
	case field.Kind() == protoreflect.BytesKind:
		if json.Valid(value.Bytes()) {
			return json.RawMessage(value.Bytes())
		}
		return string(value.Bytes())
	default:
		return value.Interface()
	}
}
