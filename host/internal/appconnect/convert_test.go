package appconnect_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/appconnect"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/store"
)

const connector = `{
  "meta": {"name": "pipelineCrm", "displayName": "Pipeline CRM", "logFormat": "text/plain"},
  "auth": {"type": "apiKey", "scheme": "Basic", "credentialTemplate": "{{apiKey}}:", "encode": "base64"},
  "requestDefaults": {
    "baseUrl": "https://{{user.hostname}}/v1/",
    "timeoutSeconds": 30,
    "defaultHeaders": {"Accept": "application/json", "X-Connector-Secret": "{{secretKey}}", "X-Region": "{{additionalInfo.region}}"}
  },
  "operations": {
    "getUserInfo": {"url": "/me", "responseMapping": {"idPath": "body.user.id", "namePath": "body.user.name", "timezoneNamePath": "body.user.timezone", "platformAdditionalInfoPaths": {"tenantId": "body.user.tenant_id"}}},
    "findContact": {
      "method": "GET", "url": "/contacts", "query": {"phone": "{{parsedPhoneNumber.number.e164}}", "raw": "{{phoneNumber}}", "limit": 5},
      "responseMapping": {"listPath": "body.contacts", "item": {"idPath": "id", "namePath": "profile.name", "phonePath": "phones.0", "typePath": "type", "createdDatePath": "created_at", "additionalInfoPath": "more"}}
    },
    "findContactWithName": {"method": "GET", "url": "/contacts", "query": {"name": "{{name}}"}, "responseMapping": {"listPath": "body", "item": {"idPath": "id", "namePath": "name"}}},
    "createContact": {"method": "POST", "url": "/contacts", "body": {"name": "{{newContactName}}", "phones": ["{{phoneNumber}}"], "kind": "x-{{newContactType}}"}, "responseMapping": {"idPath": "body.id", "namePath": "body.name"}},
    "createCallLog": {
      "method": "POST", "url": "/activities", "headers": {"Content-Type": "application/json"},
      "body": {"contact_id": "{{contactInfo.id}}", "subject": "{{subject}}", "seconds": "{{callLog.duration}}", "tags": ["call", "{{result}}"], "fixed": 1, "done": true},
      "responseMapping": {"idPath": "body.activity.id"}
    },
    "updateCallLog": {"method": "PATCH", "url": "/activities/{{thirdPartyLogId}}", "body": {"subject": "{{subject}}"}},
    "getCallLog": {"url": "/activities/{{thirdPartyLogId}}", "responseMapping": {"subjectPath": "body.activity.subject", "notePath": "body.activity.note", "fullBodyPath": "body.activity.description"}},
    "getUserList": {"url": "/users", "auth": {"scheme": "Bearer", "headerName": "X-Auth", "credentialTemplate": "{{secretKey}}", "encode": "none"}, "responseMapping": {"listPath": "body.users", "idPath": "id", "namePath": "name", "emailPath": "email"}},
    "unAuthorize": {"method": "DELETE", "url": "/session"}
  }
}`

// asked is a request that the remote got.
type asked struct {
	line, body string
	header     http.Header
}

// noTokens is a store of tokens for templates that need none.
type noTokens struct{}

func (noTokens) Token(context.Context, string) (endpoint.Token, error) {
	return endpoint.Token{}, store.ErrNotFound
}

func (noTokens) Keep(_ context.Context, _ string, t endpoint.Token) (endpoint.Token, error) {
	return t, nil
}

func TestImportedConnectorRuns(t *testing.T) {
	t.Parallel()
	out, err := appconnect.Convert([]byte(connector))
	require.NoError(t, err)
	require.Equal(t, "pipeline-crm", out.Name)
	require.Equal(t, []string{
		"operations.getUserInfo.responseMapping.platformAdditionalInfoPaths has no counterpart",
		"operations.updateCallLog does not tell the duration, the result: the log is made at the end of a call, and not begun when people speak",
		"no event of a call does findContactWithName, getCallLog, getUserInfo, getUserList, unAuthorize: they are there for jackfield endpoint call",
	}, out.Notes)
	f, compiler := loaded(t, out)
	f.Template.Region, f.Template.Sum = "VN", nil // another template than the file has
	tpl, faults := compiler.Compile(f.Template)
	require.Empty(t, faults)

	var got []asked
	answer := ""
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, asked{r.Method + " " + r.URL.RequestURI(), string(body), r.Header})
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	e, err := endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return srv.Client().Transport }, Tokens: noTokens{}})
	require.NoError(t, err)
	in := endpoint.Integration{ID: "1", Name: "acme/crm", Template: tpl, Host: strings.TrimPrefix(srv.URL, "https://"), Fields: map[string]string{"apiKey": "k1", "secretKey": "s1", "region": "eu"}}
	call := func(name, text string, body map[string]any) (asked, endpoint.Result) {
		t.Helper()
		answer = text
		res, err := e.Call(t.Context(), in, name, endpoint.Given{Body: body, Call: map[string]any{"number": "0912345678"}})
		require.NoError(t, err, name)
		return got[len(got)-1], res
	}

	req, res := call("find-contact", `{"contacts": [{"id": 7, "profile": {"name": "Ann"}, "phones": ["+84"], "type": "lead", "created_at": "2026-01-02", "more": {"a": 1}}]}`, nil)
	require.Equal(t, "GET /v1/contacts?limit=5&phone=%2B84912345678&raw=0912345678", req.line)
	require.Equal(t, "Basic azE6", req.header.Get("Authorization"))
	require.Equal(t, []string{"application/json", "s1", "eu"}, []string{req.header.Get("Accept"), req.header.Get("X-Connector-Secret"), req.header.Get("X-Region")})
	require.Equal(t, []endpoint.Item{{Shape: store.ShapeContact, Values: map[string]string{"id": "7", "name": "Ann", "phone": "+84", "kind": "lead", "created_at": "2026-01-02"}, Extra: map[string]any{"additionalInfo": map[string]any{"a": 1}}}}, res.Items)

	req, res = call("find-contact-with-name", `[{"id": "a", "name": "Ann"}, {"id": "b", "name": "Bo"}]`, map[string]any{"name": "A&B"})
	require.Equal(t, "GET /v1/contacts?name=A%26B", req.line)
	require.Len(t, res.Items, 2)

	req, res = call("create-contact", `{"id": 9, "name": "Cy"}`, map[string]any{"newContactName": "Cy", "newContactType": "lead"})
	require.JSONEq(t, `{"name": "Cy", "phones": ["0912345678"], "kind": "x-lead"}`, req.body)
	require.Equal(t, "9", res.Items[0].ID())

	req, res = call("create-call-log", `{"activity": {"id": "act-1"}}`, map[string]any{"contactInfo": map[string]any{"id": "9"}, "subject": "Call \"1\"", "callLog": map[string]any{"duration": 61}, "result": "Completed"})
	require.Equal(t, "POST /v1/activities", req.line)
	require.JSONEq(t, `{"contact_id": "9", "subject": "Call \"1\"", "seconds": 61, "tags": ["call", "Completed"], "fixed": 1, "done": true}`, req.body)
	require.Equal(t, "act-1", res.Items[0].ID())

	req, _ = call("update-call-log", `{}`, map[string]any{"thirdPartyLogId": "act/1", "subject": "later"})
	require.Equal(t, "PATCH /v1/activities/act%2F1", req.line)
	require.JSONEq(t, `{"subject": "later"}`, req.body)

	_, res = call("get-call-log", `{"activity": {"subject": "s", "note": "n", "description": "d"}}`, map[string]any{"thirdPartyLogId": "act-1"})
	require.Equal(t, []endpoint.Item{{Shape: store.ShapeCallLog, Values: map[string]string{"id": "act-1", "subject": "s", "note": "n"}, Extra: map[string]any{"fullBody": "d"}}}, res.Items)

	req, res = call("get-user-list", `{"users": [{"id": 1, "name": "Ann", "email": "a@x"}]}`, nil)
	require.Equal(t, "Bearer s1", req.header.Get("X-Auth"))
	require.Empty(t, req.header.Get("Authorization"))
	require.Equal(t, map[string]string{"id": "1", "label": "Ann", "email": "a@x"}, res.Items[0].Values)

	req, _ = call("un-authorize", ``, map[string]any{"not": "sent"})
	require.Equal(t, "DELETE /v1/session", req.line)
	require.Empty(t, req.body)
	_, res = call("get-user-info", `{"user": {"id": 3, "name": "Me", "timezone": "UTC"}}`, nil)
	require.Equal(t, map[string]any{"timezoneName": "UTC"}, res.Items[0].Extra)

	require.Equal(t, []string{"create-contact"}, triggered(f.Template, "contact.create"))
	require.Equal(t, []string{"update-call-log"}, triggered(f.Template, "call.wrapup"))
	require.Equal(t, []string{"find-contact"}, steps(f.Template, "getDataIframe"))
	require.Equal(t, []string{"find-contact", "create-call-log"}, steps(f.Template, "saveLogCRM"))
	require.Empty(t, steps(f.Template, "savePreLogCRM"))
}

// loaded reads a template as the daemon does.
func loaded(t *testing.T, out appconnect.Template) (config.TemplateFile, *endpoint.Compiler) {
	t.Helper()
	path := filepath.Join(t.TempDir(), out.Name+".yaml")
	require.NoError(t, os.WriteFile(path, out.YAML, 0o600))
	compiler := endpoint.NewCompiler()
	f, problems := config.LoadTemplateFile(path, config.Options{CheckTemplate: func(s store.Template) (faults []config.TemplateFault) {
		for _, fault := range compiler.Check(s) {
			faults = append(faults, config.TemplateFault(fault))
		}
		return faults
	}})
	require.NoError(t, problems.Err(), string(out.YAML))
	return f, compiler
}

func triggered(t store.Template, event string) (out []string) {
	for _, e := range t.Endpoints {
		if e.Trigger == event {
			out = append(out, e.Name)
		}
	}
	return out
}

func steps(t store.Template, hook string) (out []string) {
	for _, s := range t.Info.Chain(hook).Steps {
		out = append(out, s.Endpoint)
	}
	return out
}

// What an operation asks for and no call has is told when the description is imported.
func TestWhatCannotBeMappedIsTold(t *testing.T) {
	t.Parallel()
	described := func(operations string) appconnect.Template {
		t.Helper()
		out, err := appconnect.Convert([]byte(`{"meta": {"name": "a", "logFormat": "text/html"}, "operations": {` + operations + `}}`))
		require.NoError(t, err)
		return out
	}
	const create, update = `"createCallLog": {"method": "POST", "url": "/l", "body": {"end": "{{endTime}}", "text": "{{composedLogDetails}}", "ai": ["{{aiNote}}", "{{aiNote}}", "x {{transcript}}"]}}`,
		`"updateCallLog": {"method": "PUT", "url": "/l/{{thirdPartyLogId}}", "body": {"end": "{{endTime}}", "text": "{{composedLogDetails}}", "legs": "{{legs}}"}}`
	require.Equal(t, []string{
		"operations.createCallLog: {{aiNote}} has no counterpart: it is what is given under that name with an event's fields or to endpoint call, else nothing",
		"operations.createCallLog: {{transcript}} has no counterpart: it is what is given under that name with an event's fields or to endpoint call, else nothing",
		"there is no updateCallLog: the log is made at the end of a call, with what is known then; nothing after it gets there",
	}, described(create).Notes)
	out := described(create + "," + update)
	require.Contains(t, out.Notes, "operations.updateCallLog: {{legs}} has no counterpart: it is what is given under that name with an event's fields or to endpoint call, else nothing")
	require.Len(t, out.Notes, 3)
	require.Contains(t, string(out.YAML), "savePreLogCRM")

	f, compiler := loaded(t, out)
	tpl, faults := compiler.Compile(f.Template)
	require.Empty(t, faults)
	e, err := endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return http.DefaultTransport }, Tokens: noTokens{}})
	require.NoError(t, err)
	in := endpoint.Integration{ID: "1", Name: "acme/crm", Template: tpl, Host: "crm.example", Fields: map[string]string{"apiKey": "k"}}
	req, err := e.Render(t.Context(), in, "create-call-log", endpoint.Given{Call: map[string]any{"text": "<b>a & b</b>", "number": "200", "duration": 5}})
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal(req.Body, &body))
	require.Equal(t, "- Note: &lt;b>a &amp; b&lt;/b><br>- Contact Number: 200<br>- Duration: 5 s", body["text"], "the log is HTML, and what people say is none")
}

func TestWhatIsNoDescriptionIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `[]`, `{}`, `{"operations": {}}`, `{"operations": {"x": {"url": "/"}}}`, `{"meta": {"name": "../x"}, "operations": {"x": {"url": "/"}}}`} {
		_, err := appconnect.Convert([]byte(text))
		require.ErrorIs(t, err, appconnect.ErrNotDescription, text)
	}
	out, err := appconnect.Convert([]byte(`{"meta": {"name": "a"}, "auth": {"type": "oauth"}, "operations": {"x": {"url": "/"}}}`))
	require.NoError(t, err)
	require.Contains(t, strings.Join(out.Notes, "\n"), "oauth2_code")
	require.True(t, json.Valid([]byte(connector)))
}
