package main

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// comment returns what stands above a thing in its file, as one paragraph.
func comment(d protoreflect.Descriptor) string {
	at := d.ParentFile().SourceLocations().ByDescriptor(d)
	return strings.Join(strings.Fields(at.LeadingComments), " ")
}

// ref returns a reference to the schema of a message, which it adds.
func (d *description) ref(m protoreflect.MessageDescriptor) object {
	if known := wellKnown(m); known != nil {
		return known
	}
	name := string(m.Name())
	if d.schemas[name] == nil {
		properties := object{}
		schema := object{"type": "object", "properties": properties}
		d.schemas[name] = schema // before its fields: it may be within itself
		if text := comment(m); text != "" {
			schema["description"] = text
		}
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			properties[string(f.Name())] = d.described(f)
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// wellKnown returns the schema of a message that is written as a text; nil for others.
func wellKnown(m protoreflect.MessageDescriptor) object {
	switch m.FullName() {
	case "google.protobuf.Timestamp":
		return object{"type": "string", "format": "date-time"}
	case "google.protobuf.Duration":
		return object{"type": "string", "pattern": `^-?[0-9]+(\.[0-9]+)?s$`, "example": "1.5s"}
	default:
		return nil
	}
}

// described is field with what the file says of it.
func (d *description) described(f protoreflect.FieldDescriptor) object {
	out := d.field(f)
	text := comment(f)
	switch {
	case text == "":
	case out["$ref"] != nil:
		out = object{"allOf": []object{out}, "description": text}
	default:
		out["description"] = text
	}
	return out
}

// field returns the schema of a field.
func (d *description) field(f protoreflect.FieldDescriptor) object {
	switch {
	case f.IsMap():
		return object{"type": "object", "additionalProperties": d.single(f.MapValue())}
	case f.IsList():
		return object{"type": "array", "items": d.single(f)}
	default:
		return d.single(f)
	}
}

func (d *description) single(f protoreflect.FieldDescriptor) object {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return d.ref(f.Message())
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.BytesKind: // all bytes of the API are JSON
		return object{}
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return object{"type": "number"}
	case protoreflect.StringKind, protoreflect.EnumKind:
		return object{"type": "string"}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return object{"type": "integer", "format": "int64"}
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return object{"type": "integer", "minimum": 0}
	default:
		return object{"type": "integer", "format": "int32"}
	}
}

// document puts it all together.
func (d *description) document() object {
	text := object{"type": "string"}
	d.schemas["Problem"] = object{
		"type": "object", "description": "Why something was not done (RFC 9457).",
		"properties": object{
			"type": text, "title": text, "status": object{"type": "integer"}, "detail": text,
			"code": object{"type": "string", "description": "What the command line calls it, such as not_found, invalid, conflict, denied, unauthenticated, limit, unavailable."},
			"hint": object{"type": "string", "description": "How to cure it, if the host knows."},
			"id":   object{"type": "string", "description": "Of the line of the daemon's log that has an internal error whole."},
			"errors": object{"type": "array", "description": "What is wrong with single fields.", "items": object{
				"type": "object", "properties": object{"field": text, "message": text},
			}},
		},
	}
	slices.SortFunc(d.tags, func(a, b object) int { return strings.Compare(fmt.Sprint(a["name"]), fmt.Sprint(b["name"])) })
	return object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Jackfield", "version": "v1",
			"description": "What the command line can do, over HTTP. Each request has a token (jackfield token create); a tenant's token opens what is that tenant's alone.",
		},
		"paths": d.paths, "tags": d.tags,
		"security":   []object{{"bearer": []string{}}},
		"components": object{"schemas": d.schemas, "securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}}},
	}
}
