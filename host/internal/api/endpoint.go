package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// Endpoints knows the templates and calls their endpoints.
type Endpoints interface {
	// Templates returns the templates with their endpoints, by name; an empty name is
	// all of them.
	Templates(ctx context.Context, name string) ([]store.StoredTemplate, error)
	// TemplateOf returns the name of the template that an integration is of, or that its
	// plugin brings along or names; empty if there is none.
	TemplateOf(in store.Integration) string
	// Render returns the request of an endpoint as it may be shown, and sends nothing.
	// What is missing comes as *EndpointError; store.ErrNotFound is an endpoint that
	// the template does not have.
	Render(ctx context.Context, in store.Integration, endpoint string, given EndpointGiven) (EndpointRequest, error)
	// Call calls the remote system, and tells likewise why that failed.
	Call(ctx context.Context, in store.Integration, endpoint string, given EndpointGiven) (EndpointResult, error)
}

// EndpointGiven is what an endpoint is called with: JSON objects, or nothing.
type EndpointGiven struct{ Body, Call, Context []byte }

// EndpointRequest is a request without its secrets.
type EndpointRequest struct {
	Method, URL, Body string
	Headers           map[string]string
}

// EndpointResult is what a remote system answered.
type EndpointResult struct {
	Status  int
	Headers map[string]string
	Body    []byte // JSON
	Items   []EndpointItem
	Took    time.Duration
}

// EndpointItem is one thing of an answer.
type EndpointItem struct {
	Shape  string
	Values map[string]string
	Extra  []byte // JSON
}

// EndpointError is why a call of an endpoint failed. Its texts are the remote
// system's.
type EndpointError struct {
	Class, Code, Message, Hint, Outcome, Body string
	Status                                    int
	RetryAfter                                time.Duration
	Fields                                    map[string]string
	Missing                                   []string
}

// Error returns the message with its code.
func (e *EndpointError) Error() string { return e.Code + ": " + e.Message }

type templateService struct {
	hostv1.UnimplementedTemplateServiceServer
	*Server
}

// ListTemplates returns the templates.
func (s *templateService) ListTemplates(ctx context.Context, req *hostv1.ListTemplatesRequest) (*hostv1.ListTemplatesResponse, error) {
	list, err := s.deps.Endpoints.Templates(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if len(list) == 0 && req.GetName() != "" {
		return nil, notFound("template", req.GetName(), "jackfield template list")
	}
	resp := &hostv1.ListTemplatesResponse{}
	for _, t := range list {
		users := store.IntegrationFilter{Template: t.Name, Limit: maxUsers}
		if t.Plugin != "" {
			users = store.IntegrationFilter{Plugin: t.Plugin, Limit: maxUsers}
		}
		used, err := s.deps.Store.Integrations(ctx, users)
		if err != nil {
			return nil, err
		}
		live := 0
		for _, in := range used {
			if in.RemovedAt.IsZero() {
				live++
			}
		}
		out := template(t)
		out.Integrations = count(live)
		resp.Templates = append(resp.Templates, out)
	}
	return resp, nil
}

// maxUsers bounds the integrations of a template that are counted.
const maxUsers = 100_000

func template(t store.StoredTemplate) *hostv1.Template {
	out := &hostv1.Template{
		Name: t.Name, Label: t.Label, Type: string(t.Type), Description: t.Description, Region: t.Region, Auth: string(t.Auth.Type),
		Endpoints: t.EndpointNames(), Info: rawOf(t.Info), Iframe: t.Iframe, File: t.File, Plugin: t.Plugin,
		CreatedAt: timestamp(t.CreatedAt), UpdatedAt: timestamp(t.UpdatedAt),
	}
	for _, p := range t.Parameters {
		out.Parameters = append(out.Parameters, &hostv1.TemplateParameter{
			Name: p.Name, Label: p.Label, Description: p.Description, In: string(p.In), As: p.As, Required: p.Required, Secret: p.Secret, Default: p.Default,
		})
	}
	return out
}

// rawOf writes what a file said as JSON.
func rawOf(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil // it was read from JSON
	}
	return raw
}

type endpointService struct {
	hostv1.UnimplementedEndpointServiceServer
	*Server
}

// ListEndpoints returns the endpoints of a template, or of all.
func (s *endpointService) ListEndpoints(ctx context.Context, req *hostv1.ListEndpointsRequest) (*hostv1.ListEndpointsResponse, error) {
	list, err := s.templatesOf(ctx, req.GetTemplate(), req.GetIntegration())
	if err != nil {
		return nil, err
	}
	resp := &hostv1.ListEndpointsResponse{}
	for _, t := range list {
		for _, e := range t.Endpoints {
			resp.Endpoints = append(resp.Endpoints, endpoint(t.Name, e))
		}
	}
	return resp, nil
}

// GetEndpoint returns one.
func (s *endpointService) GetEndpoint(ctx context.Context, req *hostv1.GetEndpointRequest) (*hostv1.GetEndpointResponse, error) {
	if (req.GetTemplate() == "") == (req.GetIntegration() == "") {
		return nil, invalid("", "name a template or an integration")
	}
	list, err := s.templatesOf(ctx, req.GetTemplate(), req.GetIntegration())
	if err != nil {
		return nil, err
	}
	e, ok := list[0].Endpoint(req.GetEndpoint())
	if !ok {
		return nil, notFound("endpoint", req.GetEndpoint(), fmt.Sprintf("template %s has %v", list[0].Name, list[0].EndpointNames()))
	}
	return &hostv1.GetEndpointResponse{Endpoint: endpoint(list[0].Name, e)}, nil
}

// templatesOf returns the template that is named, or that an integration is of, or
// all.
func (s *endpointService) templatesOf(ctx context.Context, name, integration string) ([]store.StoredTemplate, error) {
	if integration != "" {
		in, err := s.findTemplated(ctx, integration)
		if err != nil {
			return nil, err
		}
		name = s.deps.Endpoints.TemplateOf(in)
	}
	list, err := s.deps.Endpoints.Templates(ctx, name)
	if err == nil && len(list) == 0 && name != "" {
		return nil, notFound("template", name, "jackfield template list")
	}
	return list, err
}

// findTemplated returns an integration that is of a template, or of a plugin that has one.
func (s *Server) findTemplated(ctx context.Context, name string) (store.Integration, error) {
	in, err := s.findIntegration(ctx, name)
	if err == nil && s.deps.Endpoints.TemplateOf(in) == "" {
		return in, invalid("jackfield template list", "integration %s is of plugin %s, which has no endpoints", in.FullName(), in.Plugin)
	}
	return in, err
}

// screenOf returns what the page and the screen of an integration are: its own words
// over those of its template.
func (s *Server) screenOf(ctx context.Context, in store.Integration) (info, iframe []byte, err error) {
	name := s.deps.Endpoints.TemplateOf(in)
	if name == "" {
		return nil, nil, nil
	}
	list, err := s.deps.Endpoints.Templates(ctx, name)
	if err != nil || len(list) == 0 {
		return nil, nil, err
	}
	if info, err = over(in.Info, rawOf(list[0].Info)); err == nil {
		iframe, err = over(in.Iframe, list[0].Iframe)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("screen of %s: %w", in.FullName(), err)
	}
	return info, iframe, nil
}

// over lays one JSON object over another one, key by key.
func over(top, bottom []byte) ([]byte, error) {
	out := map[string]json.RawMessage{}
	for _, raw := range [][]byte{bottom, top} {
		if len(raw) == 0 {
			continue
		}
		if err := json.Unmarshal(raw, &out); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

func endpoint(template string, e store.Endpoint) *hostv1.Endpoint {
	hard, parameters := e.Hard, e.Parameters
	if hard == nil {
		hard = []store.HardParameter{}
	}
	if parameters == nil {
		parameters = []store.EndpointParameter{}
	}
	return &hostv1.Endpoint{
		Template: template, Name: e.Name, Label: e.Label, Type: string(e.Type), Method: e.Method, Url: e.URL, Description: e.Description,
		Trigger: e.Trigger, Response: rawOf(e.Response), HardParams: rawOf(hard), Parameters: rawOf(parameters),
	}
}

// given checks what an endpoint is to be called with.
func given(body, call, chain []byte) (EndpointGiven, error) {
	for what, raw := range map[string][]byte{"body": body, "call": call, "context": chain} {
		var object map[string]json.RawMessage
		if len(raw) > 0 && (json.Unmarshal(raw, &object) != nil || object == nil) {
			return EndpointGiven{}, invalid("", "the %s is not a JSON object", what)
		}
	}
	return EndpointGiven{body, call, chain}, nil
}

// RenderEndpoint shows a request without its secrets.
func (s *endpointService) RenderEndpoint(ctx context.Context, req *hostv1.RenderEndpointRequest) (*hostv1.RenderEndpointResponse, error) {
	g, err := given(req.GetBody(), req.GetCall(), req.GetContext())
	if err != nil {
		return nil, err
	}
	in, err := s.findTemplated(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Endpoints.Render(ctx, in, req.GetEndpoint(), g)
	if err != nil {
		return nil, s.endpointFault(err)
	}
	headers := make(map[string]string, len(r.Headers))
	for name, v := range r.Headers {
		headers[name] = s.opts.Redact(v)
	}
	return &hostv1.RenderEndpointResponse{Method: r.Method, Url: s.opts.Redact(r.URL), Headers: headers, Body: s.opts.Redact(r.Body)}, nil
}

// endpointFault turns an error that the caller can cure into one of the API.
func (s *Server) endpointFault(err error) error {
	if e, ok := err.(*EndpointError); ok { //nolint:errorlint // it is never wrapped
		return invalid(e.Hint, "%s", s.opts.Redact(e.Message))
	}
	return err
}

// CallEndpoint calls the remote system.
func (s *endpointService) CallEndpoint(ctx context.Context, req *hostv1.CallEndpointRequest) (*hostv1.CallEndpointResponse, error) {
	g, err := given(req.GetBody(), req.GetCall(), req.GetContext())
	if err != nil {
		return nil, err
	}
	in, err := s.findTemplated(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	out, err := s.deps.Endpoints.Call(ctx, in, req.GetEndpoint(), g)
	resp := &hostv1.CallEndpointResponse{
		Status: count(out.Status), Headers: out.Headers, Body: out.Body, TookMs: count(int(out.Took.Milliseconds())),
	}
	for _, i := range out.Items {
		resp.Items = append(resp.Items, &hostv1.EndpointItem{Shape: i.Shape, Values: i.Values, Extra: i.Extra})
	}
	e, ok := err.(*EndpointError) //nolint:errorlint // it is never wrapped
	if err != nil && !ok {
		return nil, err
	}
	if e != nil {
		resp.Status = count(e.Status)
		resp.Error = s.endpointError(e)
	}
	return resp, nil
}

func (s *Server) endpointError(e *EndpointError) *hostv1.EndpointError {
	fields := make(map[string]string, len(e.Fields))
	for name, v := range e.Fields {
		fields[name] = s.opts.Redact(v)
	}
	return &hostv1.EndpointError{
		Class: e.Class, Code: e.Code, Message: s.opts.Redact(e.Message), Hint: e.Hint, Outcome: e.Outcome, Body: s.opts.Redact(e.Body),
		RetryAfterMs: count(int(e.RetryAfter.Milliseconds())), Fields: fields, Missing: e.Missing,
	}
}
