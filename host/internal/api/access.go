package api

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// rule is who may call a method, as its option in the protocol says.
type rule struct {
	scope store.Scope
	host  bool
	// The fields of the request that tell whose it is; nil: it has none such.
	tenant, integration, run, stream, token, call, event protoreflect.FieldDescriptor
	// of is the tenant that a name of an integration alone is of.
	of protoreflect.FieldDescriptor
	// key is where the idempotency key goes that came beside the request.
	key protoreflect.FieldDescriptor
}

// methods notes which services are registered, to look at what they say.
type methods []*grpc.ServiceDesc

// RegisterService notes a service.
func (m *methods) RegisterService(desc *grpc.ServiceDesc, _ any) { *m = append(*m, desc) }

// readRules returns the rule of each method by its full name. A method without a rule,
// or with one that its request cannot keep, is an error: nobody could say who may call
// it.
func readRules(services methods) (map[string]*rule, error) {
	rules := map[string]*rule{}
	for _, s := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.ServiceName))
		if err != nil {
			return nil, fmt.Errorf("access of %s: %w", s.ServiceName, err)
		}
		service, ok := d.(protoreflect.ServiceDescriptor)
		if !ok {
			return nil, fmt.Errorf("access of %s: it is no service", s.ServiceName)
		}
		for i := range service.Methods().Len() {
			m := service.Methods().Get(i)
			r, err := readRule(m)
			if err != nil {
				return nil, fmt.Errorf("access of %s: %w", m.FullName(), err)
			}
			rules["/"+s.ServiceName+"/"+string(m.Name())] = r
		}
	}
	return rules, nil
}

func readRule(m protoreflect.MethodDescriptor) (*rule, error) {
	access, _ := proto.GetExtension(m.Options(), hostv1.E_Access).(*hostv1.Access)
	scope, ok := scopes()[access.GetScope()]
	if !ok {
		return nil, errors.New("it says no scope")
	}
	if m.IsStreamingClient() {
		return nil, errors.New("what a stream of requests concerns is not known when it begins")
	}
	r := &rule{scope: scope, host: access.GetHost()}
	fields := m.Input().Fields()
	named := 0
	for _, f := range []struct {
		name string
		at   *protoreflect.FieldDescriptor
	}{
		{access.GetTenant(), &r.tenant},
		{access.GetIntegration(), &r.integration},
		{access.GetRun(), &r.run},
		{access.GetStream(), &r.stream},
		{access.GetToken(), &r.token},
		{access.GetCall(), &r.call},
		{access.GetEvent(), &r.event},
	} {
		if f.name == "" {
			continue
		}
		d := fields.ByName(protoreflect.Name(f.name))
		if d == nil || d.Kind() != protoreflect.StringKind || d.Cardinality() == protoreflect.Repeated {
			return nil, fmt.Errorf("%s has no text %q", m.Input().Name(), f.name)
		}
		*f.at = d
		named++
	}
	if r.host == (named > 0) {
		return nil, errors.New("it says neither whose it is nor that it concerns the whole host, or both")
	}
	if r.integration != nil {
		r.of = fields.ByName("tenant")
	}
	r.key = fields.ByName("idempotency_key")
	return r, nil
}

// scopes are those of the store by their name in the protocol.
func scopes() map[hostv1.Scope]store.Scope {
	out := map[hostv1.Scope]store.Scope{}
	for _, s := range store.Scopes() {
		out[hostv1.Scope(hostv1.Scope_value["SCOPE_"+strings.ToUpper(string(s))])] = s
	}
	return out
}
