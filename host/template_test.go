//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// crm is a remote system with logins, that knows one contact.
type crm struct {
	*httptest.Server
	logins atomic.Int64
	locked atomic.Bool // no password is good
}

func newCRM(t *testing.T) *crm {
	t.Helper()
	c := &crm{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token := fmt.Sprintf("token-of-the-crm-%d", c.logins.Load())
		switch {
		case r.URL.Path == "/login":
			if c.locked.Load() || !strings.Contains(string(body), `"password-of-acme"`) {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"why": "wrong password"}`)
				return
			}
			_, _ = fmt.Fprintf(w, `{"data": {"token": "token-of-the-crm-%d", "ttl": 3600}}`, c.logins.Add(1))
		case c.locked.Load() || r.Header.Get("Authorization") != "Bearer "+token:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/contacts" && r.Method == http.MethodGet:
			_, _ = fmt.Fprintf(w, `{"items": [{"id": 7, "name": "Ann", "phone": %q}]}`, r.URL.Query().Get("phone"))
		case r.URL.Path == "/contacts":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"why": "no", "errors": {"name": "is taken"}}`)
		default:
			_, _ = io.WriteString(w, `{"path": "`+r.URL.Path+`"}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *crm) host() string { return strings.TrimPrefix(c.URL, "http://") }

const crmTemplate = `name: acme-crm
type: CRM
region: VN
parameters: [{name: user, required: true}, {name: password, required: true, secret: true}]
request: {base_url: "http://{{ host }}"}
auth: {type: token, endpoint: login}
endpoints:
  - name: login
    type: Auth
    url: /login
    body: {user: "{{ fields.user }}", password: "{{ fields.password }}"}
    response: {token: data.token, expires_in: data.ttl, error: why}
  - name: find
    type: GetData
    url: /contacts
    trigger: call.started
    parameters: [{name: phone, in: query, from: call, key: number, format: e164, required: true}]
    response: {shape: contact, list: items, item: {id: id, name: name, phone: phone}}
  - name: add
    type: PostData
    url: /contacts
    parameters: [{name: name, in: body, from: body, required: true}, {name: by, in: body, from: field, key: user}, {name: code, in: body, from: field, key: password}]
    response: {error: why, fields: errors}
`

// crmSite is a site with one integration of a template.
func crmSite(t *testing.T, c *crm) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: off\nplugins: {dir: ./plugins}\negress: {allow: [%q]}\n", c.host()))
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o750))
	s.write("templates/acme.yaml", crmTemplate)
	s.write("password", "password-of-acme\n")
	s.write("tenants/acme.yaml", fmt.Sprintf(`tenant: acme
integrations:
  - {name: crm, description: of the sales team, template: acme-crm, callcenter: cc-1, host: %q, fields: {user: ann, password: "${file:../password}"}}
`, c.host()))
	return s
}

// doc runs a command and returns the JSON that it prints.
func (s *site) doc(into any, args ...string) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.cli(append(args, "-o", "json")...)), into))
}

// rows: G02, G08, G12, G13, G14, G22, G35, O42
func TestATemplateIsAnIntegration(t *testing.T) {
	t.Parallel()
	c := newCRM(t)
	s := crmSite(t, c)
	stop := s.open(runner.Options{})

	var list struct {
		Templates []struct {
			Name, Type   string
			Endpoints    []string
			Integrations int
		}
	}
	s.noticed("the files are read", func() bool {
		s.doc(&list, "template", "list")
		return len(list.Templates) == 1 && list.Templates[0].Integrations == 1
	})
	require.Equal(t, []string{"login", "find", "add"}, list.Templates[0].Endpoints)
	shown := s.cli("integration", "show", "acme/crm")
	for _, fact := range []string{"acme-crm", "cc-1", c.host(), "of the sales team"} {
		require.Contains(t, shown, fact)
	}
	require.Contains(t, s.cli("endpoint", "show", "acme/crm", "find"), "call.started")

	text := s.cli("endpoint", "render", "acme/crm", "add", "name=Bo")
	require.Contains(t, text, "POST http://"+c.host()+"/contacts\nAuthorization: Bearer ***\n")
	require.JSONEq(t, `{"name": "Bo", "by": "ann", "code": "***"}`, text[strings.LastIndex(text, "\n{")+1:])
	require.Zero(t, c.logins.Load())

	var called struct {
		Status int
		Items  []struct{ Values map[string]string }
		Error  *struct {
			Code, Message, Outcome string
			Fields                 map[string]string
		}
	}
	s.doc(&called, "endpoint", "call", "acme/crm", "find", "call.number=0912345678")
	require.Equal(t, map[string]string{"id": "7", "name": "Ann", "phone": "+84912345678"}, called.Items[0].Values)
	out, err := s.try("endpoint", "call", "acme/crm", "find")
	require.Error(t, err, out)
	out, err = s.try("endpoint", "call", "acme/crm", "fnd")
	require.Error(t, err)
	require.Contains(t, out, `did you mean "find"? known are login, find, add`)
	require.EqualValues(t, 1, c.logins.Load())

	// What is edited is live; what is wrong leaves what there was.
	s.write("templates/acme.yaml", crmTemplate+"  - {name: more, type: GetData, url: /more}\n")
	s.noticed("the new endpoint is there", func() bool { return strings.Contains(s.cli("endpoint", "list", "acme/crm"), "/more") })
	require.Contains(t, s.cli("endpoint", "call", "acme/crm", "more"), `{"path":"/more"}`)
	s.write("templates/acme.yaml", strings.Replace(crmTemplate, "type: CRM", "type: ERP", 1))
	s.noticed("the bad file is told of", func() bool { return strings.Contains(s.cli("status"), "one of CRM, SMS") })
	require.Contains(t, s.cli("endpoint", "call", "acme/crm", "more"), `{"path":"/more"}`)

	// The token outlives the daemon, and nobody can read it, nor the password.
	stop()
	for _, name := range []string{"jackfield.db", "jackfield.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(s.dir, "data", name))
		if err == nil {
			require.NotContains(t, string(raw), "token-of-the-crm")
			require.NotContains(t, string(raw), "password-of-acme")
		}
	}
	stop = s.open(runner.Options{})
	defer stop()
	require.Contains(t, s.cli("endpoint", "call", "acme/crm", "more"), `{"path":"/more"}`)
	require.EqualValues(t, 1, c.logins.Load())

	require.Contains(t, s.cli("db", "check", "--deep"), "ok")
	require.NotContains(t, s.cli("status"), "parked")

	// Credentials that are not good any more need a person, who is told once.
	c.locked.Store(true)
	for range 3 {
		_, err := s.try("endpoint", "call", "acme/crm", "more")
		require.Error(t, err)
	}
	require.Contains(t, s.cli("integration", "show", "acme/crm"), "does not accept the credentials: wrong password")
	var events struct{ Events []struct{ Kind string } }
	s.doc(&events, "event", "list", "--kind", "integration.needs-reconnect")
	require.Len(t, events.Events, 1)
	c.locked.Store(false)
	s.write("tenants/acme.yaml", strings.Replace(s.text("tenants/acme.yaml"), "user: ann", "user: bo", 1))
	s.noticed("other fields are tried", func() bool {
		text, err := s.try("endpoint", "call", "acme/crm", "more")
		return err == nil && strings.Contains(text, "/more")
	})
	require.EqualValues(t, 2, c.logins.Load())
}

func (s *site) text(name string) string {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, name))
	require.NoError(s.t, err)
	return string(raw)
}

func TestRefusedFieldsAreToldByName(t *testing.T) {
	t.Parallel()
	c := newCRM(t)
	s := crmSite(t, c)
	defer s.open(runner.Options{})()
	s.noticed("the files are read", func() bool { return strings.Contains(s.cli("endpoint", "list"), "find") })
	s.noticed("the integration is there", func() bool { _, err := s.try("integration", "show", "acme/crm"); return err == nil })
	out := &strings.Builder{}
	code := exitCode(Run(t.Context(), []string{"-c", filepath.Join(s.dir, "host.yaml"), "endpoint", "call", "acme/crm", "add", "name=Ann", "-o", "json"}, out, io.Discard))
	require.Equal(t, exitFailed, code)
	var called struct {
		Status int
		Error  struct {
			Class, Code, Outcome string
			Fields               map[string]string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out.String()), &called))
	require.Equal(t, 422, called.Status)
	require.Equal(t, map[string]string{"name": "is taken"}, called.Error.Fields)
	require.Equal(t, []string{"remote", "http_422", "failed"}, []string{called.Error.Class, called.Error.Code, called.Error.Outcome})
}

func TestTemplatesAreValidatedAndImported(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.write("host.yaml", "version: 1\n")
	s.write("tenants/a.yaml", "tenant: a\nintegrations: [{name: crm, template: my-crm, fields: {apiKey: x}}]\n")
	s.write("c.json", `{"meta": {"name": "myCrm", "logFormat": "x"}, "requestDefaults": {"baseUrl": "https://api.example.com"}, "operations": {"findContact": {"url": "/c"}}}`)
	out, err := s.try("validate")
	require.Error(t, err)
	require.NotContains(t, out, "ok:")
	text := s.cli("template", "import", "appconnect", filepath.Join(s.dir, "c.json"))
	require.Contains(t, text, "name: my-crm\n")
	require.NoFileExists(t, filepath.Join(s.dir, "templates", "my-crm.yaml"))
	s.cli("template", "import", "appconnect", filepath.Join(s.dir, "c.json"), "--save")
	require.Equal(t, text, s.text("templates/my-crm.yaml"))
	_, err = s.try("template", "import", "appconnect", filepath.Join(s.dir, "c.json"), "--save")
	require.Error(t, err, "a file that is there is not replaced")
	s.cli("validate")
	s.cli("validate", filepath.Join(s.dir, "templates", "my-crm.yaml"))
	s.cli("validate", filepath.Join(s.dir, "tenants", "a.yaml"), "-o", "json")
	s.write("templates/my-crm.yaml", strings.Replace(text, "type: CRM", "type: ERP", 1))
	_, err = s.try("validate", filepath.Join(s.dir, "templates", "my-crm.yaml"))
	require.Error(t, err)
}

// A template is checked as a whole when it is read, and made ready for calls when one is
// needed: of many, most are called by nobody.
func TestATemplateIsMadeReadyWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	ts, _ := chained(t, newChainCRM(t))
	require.Nil(t, ts.ready["acme-crm"].made, "nobody has needed it")
	spec, ok := ts.spec("acme-crm")
	require.True(t, ok)
	require.Nil(t, ts.ready["acme-crm"].made, "what it declares needs nothing made")
	made := ts.get("acme-crm")
	require.NotNil(t, made)
	require.Same(t, made, ts.get("acme-crm"))

	ts.prepare(spec)
	require.Same(t, made, ts.get("acme-crm"), "it did not change")
	bad := spec
	bad.Sum, bad.Endpoints = []byte("bad"), append([]store.Endpoint(nil), spec.Endpoints...)
	bad.Endpoints[0].URL = "/{{ nothing }}"
	require.NotEmpty(t, ts.compiler.Check(bad), "before anybody needs it")
	ts.prepare(bad)
	require.Same(t, made, ts.get("acme-crm"), "the last good one is called")
	other := spec
	other.Sum, other.Label = []byte("other"), "Other"
	ts.prepare(other)
	require.Equal(t, "Other", ts.get("acme-crm").Spec().Label)

	_, ok = ts.spec("nobody")
	require.False(t, ok)
	require.Nil(t, ts.get("nobody"))
}

// rows: G02
//
// A daemon that starts has in memory what the files declare. What the store has of a
// template is read when its file is bad and somebody needs the last good one; and what is
// read never takes the place of what a file declares.
func TestTheLastGoodTemplateIsReadFromTheStoreWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	before, _ := chained(t, newChainCRM(t))
	good, ok := before.spec("acme-crm")
	require.True(t, ok)
	other, bad := good, good
	other.Name, other.Sum = "other-crm", []byte("other")
	bad.Name, bad.Sum, bad.Endpoints = "bad-crm", []byte("bad"), append([]store.Endpoint(nil), good.Endpoints...)
	bad.Endpoints[0].URL = "/{{ nothing }}" // an earlier version stored it
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "data")})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, _, err = db.ApplyTemplates(t.Context(), []store.Template{good, other, bad}, nil)
	require.NoError(t, err)

	ts, err := newTemplates(t.Context(), &templates{db: db, keys: before.keys, redactor: before.redactor, log: before.log}, func(string) http.RoundTripper { return http.DefaultTransport })
	require.NoError(t, err)
	require.Empty(t, ts.ready, "nobody has needed one")
	made := ts.get("acme-crm")
	require.NotNil(t, made)
	require.Equal(t, good.Endpoints, made.Spec().Endpoints)
	require.Len(t, ts.ready, 1)
	_, ok = ts.spec("bad-crm")
	require.False(t, ok)

	newer := other
	newer.Sum, newer.Label = []byte("newer"), "Newer"
	ts.prepare(newer)
	spec, ok := ts.spec("other-crm")
	require.True(t, ok)
	require.Equal(t, "Newer", spec.Label, "what its file declares")
	require.Empty(t, ts.stored)
}
