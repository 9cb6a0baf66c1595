package api

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/jackfield/jackfield/store"
)

// authorize decides whether caller may make a request, by the method's rule, and
// writes into the request what it leaves open: the tenant of a tenant's token, and
// tenant/name for an integration that is named by both. It is the one place where
// tenants are kept apart (X01).
func (s *Server) authorize(ctx context.Context, caller Caller, r *rule, req protoreflect.Message) error {
	if r == nil { // New has seen to it that there is none such
		return &Error{Kind: KindDenied, Message: "nobody may call this method"}
	}
	if !caller.Allows(r.scope) {
		return &Error{
			Kind: KindDenied, Message: "the token does not have the scope " + string(r.scope),
			Hint: "jackfield token create --scope " + string(r.scope),
		}
	}
	if caller.Tenant() != "" {
		if err := s.ownsAll(ctx, caller.Tenant(), r, req); err != nil {
			return err
		}
	}
	if err := nameIntegration(r, req); err != nil {
		return err
	}
	r.takeKey(ctx, req)
	return nil
}

// authorizeMethod is authorize for the request of a method.
func (s *Server) authorizeMethod(ctx context.Context, caller Caller, method string, req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return &Error{Kind: KindDenied, Message: "the request is no message"}
	}
	return s.authorize(ctx, caller, s.rules[method], m.ProtoReflect())
}

// ownsAll refuses a request that concerns anything but tenant's.
func (s *Server) ownsAll(ctx context.Context, tenant string, r *rule, req protoreflect.Message) error {
	if r.host {
		return denied("the token of a tenant does not open what concerns the whole host")
	}
	for _, f := range []protoreflect.FieldDescriptor{r.tenant, r.of} {
		if f == nil {
			continue
		}
		if v := req.Get(f).String(); v != "" && v != tenant {
			return denied("the token is of another tenant")
		}
	}
	said := false
	if r.tenant != nil {
		req.Set(r.tenant, protoreflect.ValueOfString(tenant))
		said = true
	}
	if r.integration != nil && req.Get(r.integration).String() != "" {
		if err := s.ownsIntegration(ctx, tenant, r, req); err != nil {
			return err
		}
		said = true
	}
	for _, owned := range []struct {
		field protoreflect.FieldDescriptor
		what  string
		owner func(context.Context, string) (string, error)
	}{
		{r.run, "run", s.runOwner},
		{r.stream, "stream", s.streamOwner},
		{r.token, "token", s.tokenOwner},
		{r.callAlone(req), "call", s.callOwner},
		{r.event, "call", s.eventOwner},
	} {
		if owned.field == nil || req.Get(owned.field).String() == "" {
			continue
		}
		id := req.Get(owned.field).String()
		owner, err := owned.owner(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil || owner != tenant { // whether there is one of somebody else is not told
			return notFound(owned.what, id, "jackfield "+owned.what+" list")
		}
		said = true
	}
	if !said {
		return &Error{
			Kind: KindDenied, Message: "the token of a tenant does not open what is of all tenants",
			Hint: "name an integration of " + tenant,
		}
	}
	return nil
}

func denied(message string) error {
	return &Error{Kind: KindDenied, Message: message, Hint: "use a token without a tenant, or one of that tenant: jackfield token list"}
}

func (s *Server) ownsIntegration(ctx context.Context, tenant string, r *rule, req protoreflect.Message) error {
	name := req.Get(r.integration).String()
	if owner, _, ok := strings.Cut(name, "/"); ok {
		if owner != tenant {
			return denied("the token is of another tenant")
		}
		return nil
	}
	if r.of != nil && req.Get(r.of).String() != "" {
		return nil // the name of one of that tenant's
	}
	in, err := s.findIntegration(ctx, name)
	if err == nil && in.Tenant != tenant {
		err = notFound("integration", name, "it is named tenant/name: jackfield integration list")
	}
	return err
}

// nameIntegration makes tenant/name of a tenant and the name of an integration.
func nameIntegration(r *rule, req protoreflect.Message) error {
	if r.of == nil {
		return nil
	}
	tenant, name := req.Get(r.of).String(), req.Get(r.integration).String()
	owner, _, full := strings.Cut(name, "/")
	switch {
	case tenant == "" || full && owner == tenant:
	case full:
		return invalid("leave one of both out", "integration %q is not of tenant %q", name, tenant)
	case name != "":
		req.Set(r.integration, protoreflect.ValueOfString(tenant+"/"+name))
	case r.tenant == nil:
		return invalid("jackfield integration list", "name an integration of tenant %q", tenant)
	}
	return nil
}

// takeKey keeps the idempotency key that came beside the request.
func (r *rule) takeKey(ctx context.Context, req protoreflect.Message) {
	if r.key == nil || req.Get(r.key).String() != "" {
		return
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if keys := md.Get("idempotency-key"); len(keys) == 1 {
		req.Set(r.key, protoreflect.ValueOfString(keys[0]))
	}
}

func (s *Server) runOwner(ctx context.Context, text string) (string, error) {
	id, err := parseID("run", text)
	if err != nil {
		return "", err
	}
	run, err := s.deps.Store.Run(ctx, id)
	return run.Tenant, err
}

func (s *Server) streamOwner(ctx context.Context, text string) (string, error) {
	id, err := parseID("stream", text)
	if err != nil {
		return "", err
	}
	stream, err := s.deps.Store.Stream(ctx, id)
	if err != nil {
		return "", err
	}
	run, err := s.deps.Store.Run(ctx, stream.RunID)
	return run.Tenant, err
}

func (s *Server) tokenOwner(ctx context.Context, text string) (string, error) {
	id, err := parseID("token", text)
	if err != nil {
		return "", err
	}
	token, err := s.deps.Store.Token(ctx, id)
	return token.Tenant, err
}

// callAlone is where the request has the host's number of a call; nil if it has that of
// the sender, for an integration.
func (r *rule) callAlone(req protoreflect.Message) protoreflect.FieldDescriptor {
	if r.integration != nil && req.Get(r.integration).String() != "" {
		return nil
	}
	return r.call
}

func (s *Server) callOwner(ctx context.Context, text string) (string, error) {
	id, err := parseID("call", text)
	if err != nil {
		return "", err
	}
	c, err := s.deps.Calls.Call(ctx, id)
	if err != nil {
		return "", err
	}
	in, err := s.deps.Store.IntegrationByUID(ctx, c.Integration)
	return in.Tenant, err
}

func (s *Server) eventOwner(ctx context.Context, text string) (string, error) {
	id, err := parseID("call", text)
	if err != nil {
		return "", err
	}
	e, err := s.deps.Calls.CallEvent(ctx, id)
	if err != nil {
		return "", err
	}
	return s.callOwner(ctx, idText(e.CallID))
}
