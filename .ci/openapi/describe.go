package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// object is one of JSON; its keys are sorted when it is written.
type object map[string]any

// description is what is known so far.
type description struct {
	paths   map[string]object
	schemas object
	tags    []object
}

func newDescription() *description {
	return &description{paths: map[string]object{}, schemas: object{}}
}

// describe adds every method that has a route.
func (d *description) describe(files *protoregistry.Files) error {
	var err error
	files.RangeFilesByPackage(services, func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			d.tags = append(d.tags, object{"name": string(s.Name()), "description": comment(s)})
			for j := range s.Methods().Len() {
				if err = d.method(s.Methods().Get(j)); err != nil {
					return false
				}
			}
		}
		return true
	})
	return err
}

func (d *description) method(m protoreflect.MethodDescriptor) error {
	// The options of descriptors that were read are of no Go type yet.
	raw, err := proto.Marshal(m.Options())
	if err != nil {
		return err
	}
	options := m.Options().ProtoReflect().New().Interface()
	if err := proto.Unmarshal(raw, options); err != nil {
		return err
	}
	rule, _ := proto.GetExtension(options, annotations.E_Http).(*annotations.HttpRule)
	access, _ := proto.GetExtension(options, hostv1.E_Access).(*hostv1.Access)
	if rule == nil || access == nil {
		return fmt.Errorf("%s has no route, or does not say who may call it", m.FullName())
	}
	for i, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		if err := d.route(m, r, access, i); err != nil {
			return fmt.Errorf("%s: %w", m.FullName(), err)
		}
	}
	return nil
}

// route adds one of a method's routes.
func (d *description) route(m protoreflect.MethodDescriptor, r *annotations.HttpRule, access *hostv1.Access, n int) error {
	var verb, path string
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, path = "get", p.Get
	case *annotations.HttpRule_Post:
		verb, path = "post", p.Post
	case *annotations.HttpRule_Put:
		verb, path = "put", p.Put
	case *annotations.HttpRule_Delete:
		verb, path = "delete", p.Delete
	default:
		return errors.New("a route of another kind")
	}
	if d.paths[path] == nil {
		d.paths[path] = object{}
	}
	if d.paths[path][verb] != nil {
		return fmt.Errorf("%s %s is there twice", verb, path)
	}
	id := string(m.Parent().Name()) + "_" + string(m.Name())
	if n > 0 {
		id += fmt.Sprintf("_%d", n+1)
	}
	text := comment(m)
	op := object{
		"operationId": id, "tags": []string{string(m.Parent().Name())}, "summary": string(m.Name()),
		"responses": d.responses(m), "x-jackfield-access": rights(access),
	}
	if text != "" {
		op["description"] = text
	}
	parameters, body := d.request(m, r, path)
	if len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if body != nil {
		op["requestBody"] = object{"content": object{"application/json": object{"schema": body}}}
	}
	d.paths[path][verb] = op
	return nil
}

// rights tells who may use a route: see Access in the protocol files.
func rights(a *hostv1.Access) object {
	out := object{"scope": strings.ToLower(strings.TrimPrefix(a.GetScope().String(), "SCOPE_"))}
	if a.GetHost() {
		out["host"] = true
	}
	for name, field := range map[string]string{
		"tenant": a.GetTenant(), "integration": a.GetIntegration(), "run": a.GetRun(), "stream": a.GetStream(),
		"token": a.GetToken(), "call": a.GetCall(), "event": a.GetEvent(),
	} {
		if field != "" {
			out[name] = field
		}
	}
	return out
}

func (d *description) responses(m protoreflect.MethodDescriptor) object {
	kind := "application/json"
	text := "Done."
	if m.IsStreamingServer() {
		kind, text = "application/x-ndjson", "A line each; with Accept: text/event-stream, an event each. One with the key error ends it."
	}
	return object{
		"200": object{"description": text, "content": object{kind: object{"schema": d.ref(m.Output())}}},
		"default": object{
			"description": "It was not done.",
			"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
		},
	}
}

// inPath finds the names of what stands in a path.
var inPath = regexp.MustCompile(`\{([a-z_]+)\}`)

// request tells what goes into the path and the query, and what into the body.
func (d *description) request(m protoreflect.MethodDescriptor, r *annotations.HttpRule, path string) (parameters []object, body object) {
	taken := map[string]bool{}
	fields := m.Input().Fields()
	for _, found := range inPath.FindAllStringSubmatch(path, -1) {
		taken[found[1]] = true
		f := fields.ByName(protoreflect.Name(found[1]))
		parameters = append(parameters, object{"name": found[1], "in": "path", "required": true, "schema": d.field(f), "description": comment(f)})
	}
	rest := object{}
	for i := range fields.Len() {
		f := fields.Get(i)
		name := string(f.Name())
		switch {
		case taken[name]:
		case r.GetBody() == "*":
			rest[name] = d.described(f)
		case r.GetBody() == name:
			body = d.field(f)
		case f.IsMap() || f.Kind() == protoreflect.BytesKind || f.Message() != nil && wellKnown(f.Message()) == nil:
			// It cannot stand in a query.
		default:
			parameters = append(parameters, object{"name": name, "in": "query", "schema": d.field(f), "description": comment(f)})
		}
	}
	if r.GetBody() == "*" {
		body = object{"type": "object", "properties": rest, "additionalProperties": false}
	}
	return parameters, body
}
