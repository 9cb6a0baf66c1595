package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// fakeEndpoints has templates and answers calls with what it was given.
type fakeEndpoints struct {
	templates []store.StoredTemplate
	err       error
}

var _ Endpoints = (*fakeEndpoints)(nil)

func (f *fakeEndpoints) Templates(_ context.Context, name string) ([]store.StoredTemplate, error) {
	return pick(f.templates, 0, func(t store.StoredTemplate) bool { return name == "" || t.Name == name }), nil
}

func (*fakeEndpoints) TemplateOf(in store.Integration) string { return in.Template }

func (f *fakeEndpoints) Render(_ context.Context, in store.Integration, endpoint string, g EndpointGiven) (EndpointRequest, error) {
	return EndpointRequest{Method: "GET", URL: "https://" + in.Host + "/" + endpoint + "?key=s3cr3t", Headers: map[string]string{"X": "s3cr3t"}, Body: string(g.Body)}, f.err
}

func (f *fakeEndpoints) Call(_ context.Context, in store.Integration, endpoint string, g EndpointGiven) (EndpointResult, error) {
	return EndpointResult{
		Status: 200, Body: g.Body, Took: time.Second,
		Items: []EndpointItem{{Shape: "contact", Values: map[string]string{"id": in.Name + " " + endpoint}, Extra: []byte(`{"a":1}`)}},
	}, f.err
}

var _ Connects = (*fakeEndpoints)(nil)

func (f *fakeEndpoints) BeginConnect(_ context.Context, in store.Integration, redirect string) (Connect, error) {
	return Connect{URL: "https://" + in.Host + "/authorize?to=" + redirect, State: "state-1"}, f.err
}

func (f *fakeEndpoints) FinishConnect(_ context.Context, _ store.Integration, state, _ string) error {
	if state != "state-1" {
		return store.ErrNotFound
	}
	return f.err
}

func serveEndpoints(t *testing.T) *rig {
	t.Helper()
	r := serve(t, func(o *Options) {
		o.Redact = func(s string) string { return strings.ReplaceAll(s, "s3cr3t", "***") }
	})
	r.types.templates = []store.StoredTemplate{{Template: store.Template{
		Name: "acme-crm", Label: "Acme", Type: store.TemplateCRM, Parameters: []store.TemplateParameter{{Name: "key", Secret: true}},
		Endpoints: []store.Endpoint{{Name: "find", Type: store.EndpointGetData, Method: "GET", URL: "/x"}, {Name: "save", Type: store.EndpointPostData, Method: "POST", URL: "/y"}},
	}}, {Template: store.Template{Name: "other", Endpoints: []store.Endpoint{{Name: "only"}}}}}
	r.store.edit(func(f *fakeStore) {
		f.integrations = []store.Integration{
			{ID: 1, UID: "u1", IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "crm", Template: "acme-crm", Host: "crm.example", Callcenter: "cc"}, State: store.IntegrationActive},
			{ID: 2, UID: "u2", IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "gone", Template: "acme-crm"}, RemovedAt: time.Unix(1, 0)},
			{ID: 3, UID: "u3", IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "git", Plugin: "git"}, State: store.IntegrationActive},
		}
	})
	return r
}

// rows: G35
func TestTemplatesAndEndpointsAreListed(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	conn := r.dial()
	templates, err := hostv1.NewTemplateServiceClient(conn).ListTemplates(r.ctx(), &hostv1.ListTemplatesRequest{})
	require.NoError(t, err)
	require.Len(t, templates.GetTemplates(), 2)
	first := templates.GetTemplates()[0]
	require.Equal(t, []string{"find", "save"}, first.GetEndpoints())
	require.EqualValues(t, 1, first.GetIntegrations(), "the removed one does not count")
	require.True(t, first.GetParameters()[0].GetSecret())

	client := hostv1.NewEndpointServiceClient(conn)
	for _, tc := range []struct {
		req  *hostv1.ListEndpointsRequest
		want []string
	}{
		{&hostv1.ListEndpointsRequest{}, []string{"acme-crm/find", "acme-crm/save", "other/only"}},
		{&hostv1.ListEndpointsRequest{Template: "other"}, []string{"other/only"}},
		{&hostv1.ListEndpointsRequest{Integration: "acme/crm"}, []string{"acme-crm/find", "acme-crm/save"}},
	} {
		resp, err := client.ListEndpoints(r.ctx(), tc.req)
		require.NoError(t, err)
		var names []string
		for _, e := range resp.GetEndpoints() {
			names = append(names, e.GetTemplate()+"/"+e.GetName())
		}
		require.Equal(t, tc.want, names)
	}
	one, err := client.GetEndpoint(r.ctx(), &hostv1.GetEndpointRequest{Integration: "acme/crm", Endpoint: "save"})
	require.NoError(t, err)
	require.Equal(t, "POST /y", one.GetEndpoint().GetMethod()+" "+one.GetEndpoint().GetUrl())
	require.JSONEq(t, `[]`, string(one.GetEndpoint().GetParameters()))
	for _, req := range []*hostv1.GetEndpointRequest{{Template: "acme-crm", Endpoint: "none"}, {Template: "none", Endpoint: "x"}, {Endpoint: "x"}, {Integration: "acme/git", Endpoint: "x"}} {
		_, err := client.GetEndpoint(r.ctx(), req)
		require.Error(t, err, fmt.Sprint(req))
	}
}

// rows: G22
func TestEndpointsAreRenderedAndCalled(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	client := hostv1.NewEndpointServiceClient(r.dial())
	shown, err := client.RenderEndpoint(r.ctx(), &hostv1.RenderEndpointRequest{Integration: "acme/crm", Endpoint: "find", Body: []byte(`{"a": "s3cr3t"}`)})
	require.NoError(t, err)
	require.Equal(t, "https://crm.example/find?key=***", shown.GetUrl())
	require.Equal(t, "***", shown.GetHeaders()["X"])
	require.JSONEq(t, `{"a": "***"}`, shown.GetBody())

	called, err := client.CallEndpoint(r.ctx(), &hostv1.CallEndpointRequest{Integration: "u1", Endpoint: "find", Body: []byte(`{"a": 1}`)})
	require.NoError(t, err)
	require.EqualValues(t, 200, called.GetStatus())
	require.Equal(t, "crm find", called.GetItems()[0].GetValues()["id"])
	require.JSONEq(t, `{"a": 1}`, string(called.GetBody()))
	require.Nil(t, called.GetError())

	r.types.err = &EndpointError{Class: "remote", Code: "http_422", Message: "s3cr3t is taken", Status: 422, Outcome: "failed", Fields: map[string]string{"phone": "s3cr3t"}}
	called, err = client.CallEndpoint(r.ctx(), &hostv1.CallEndpointRequest{Integration: "acme/crm", Endpoint: "find"})
	require.NoError(t, err, "that the remote refuses is an answer")
	require.EqualValues(t, 422, called.GetStatus())
	require.Equal(t, "*** is taken", called.GetError().GetMessage())
	require.Equal(t, map[string]string{"phone": "***"}, called.GetError().GetFields())
	_, err = client.RenderEndpoint(r.ctx(), &hostv1.RenderEndpointRequest{Integration: "acme/crm", Endpoint: "find"})
	require.ErrorContains(t, err, "*** is taken")

	for _, bad := range []string{`[]`, `x`, `null`, `"a"`} {
		_, err := client.CallEndpoint(r.ctx(), &hostv1.CallEndpointRequest{Integration: "acme/crm", Endpoint: "find", Call: []byte(bad)})
		require.ErrorContains(t, err, "not a JSON object", bad)
	}
	_, err = client.CallEndpoint(r.ctx(), &hostv1.CallEndpointRequest{Integration: "acme/git", Endpoint: "find"})
	require.ErrorContains(t, err, "has no endpoints")
}

// rows: G11
func TestAnIntegrationsScreenGoesOverItsTemplates(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	r.types.templates[0].Info = store.TemplateInfo{
		RenderTooltip: []store.Tooltip{{Path: "/c", Element: "#p"}}, ListOptions: []store.ListOption{{Name: "auto", Label: "Auto"}},
	}
	r.types.templates[0].Iframe = []byte(`{"title": "theirs", "parts": [1]}`)
	r.store.edit(func(f *fakeStore) {
		f.integrations[0].Info = []byte(`{"listOptions": []}`)
		f.integrations[0].Iframe = []byte(`{"title": "mine"}`)
	})
	client := hostv1.NewIntegrationServiceClient(r.dial())
	shown, err := client.GetIntegration(r.ctx(), &hostv1.GetIntegrationRequest{Integration: "acme/crm"})
	require.NoError(t, err)
	require.JSONEq(t, `{"renderTooltip": [{"path": "/c", "element": "#p"}], "listOptions": []}`, string(shown.GetInfo()))
	require.JSONEq(t, `{"title": "mine", "parts": [1]}`, string(shown.GetIframe()))
	plain, err := client.GetIntegration(r.ctx(), &hostv1.GetIntegrationRequest{Integration: "acme/gone"})
	require.NoError(t, err)
	require.JSONEq(t, `{"title": "theirs", "parts": [1]}`, string(plain.GetIframe()), "one that says nothing has the template's")
	git, err := client.GetIntegration(r.ctx(), &hostv1.GetIntegrationRequest{Integration: "acme/git"})
	require.NoError(t, err)
	require.Empty(t, git.GetInfo())
}

func TestNothingIsImportedOfATemplate(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	client := hostv1.NewIntegrationServiceClient(r.dial())
	_, err := client.SyncIntegration(r.ctx(), &hostv1.SyncIntegrationRequest{Integration: "acme/crm"})
	require.ErrorContains(t, err, "is of template acme-crm")
	_, err = client.CheckIntegration(r.ctx(), &hostv1.CheckIntegrationRequest{Integration: "acme/crm"})
	require.ErrorContains(t, err, "is of template acme-crm")
	shown, err := client.GetIntegration(r.ctx(), &hostv1.GetIntegrationRequest{Integration: "acme/crm"})
	require.NoError(t, err)
	require.Equal(t, []string{"acme-crm", "cc", "crm.example"}, []string{shown.GetIntegration().GetTemplate(), shown.GetIntegration().GetCallcenter(), shown.GetIntegration().GetHost()})
}

// rows: O42
func TestConnectingIsBegunAndFinished(t *testing.T) {
	t.Parallel()
	r := serveEndpoints(t)
	client := hostv1.NewAuthServiceClient(r.dial())
	for _, bad := range []string{"", "http://crm.example/back", "ftp://127.0.0.1/", "https://a@b.example/", "https:///x", "http://127.0.0.1:1/#x"} {
		_, err := client.BeginConnect(r.ctx(), &hostv1.BeginConnectRequest{Integration: "acme/crm", RedirectUri: bad})
		require.Equal(t, codes.InvalidArgument, status.Code(err), bad)
	}
	for _, good := range []string{"https://jackfield.example/back", "http://127.0.0.1:8000/callback", "http://[::1]:1/", "http://localhost/"} {
		begun, err := client.BeginConnect(r.ctx(), &hostv1.BeginConnectRequest{Integration: "acme/crm", RedirectUri: good})
		require.NoError(t, err)
		require.Equal(t, "state-1", begun.GetState())
	}
	_, err := client.FinishConnect(r.ctx(), &hostv1.FinishConnectRequest{Integration: "acme/crm", State: "other", Code: "c"})
	require.Equal(t, codes.NotFound, status.Code(err))
	done, err := client.FinishConnect(r.ctx(), &hostv1.FinishConnectRequest{Integration: "acme/crm", State: "state-1", Code: "c"})
	require.NoError(t, err)
	require.Equal(t, "acme/crm", done.GetIntegration())
	_, err = client.BeginConnect(r.ctx(), &hostv1.BeginConnectRequest{Integration: "acme/git", RedirectUri: "https://jackfield.example/back"})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "of a plugin")
}
