package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
)

// pbxCRM answers by the line of a request, and keeps what it was asked: the line, the
// headers that are named, and the body.
type pbxCRM struct {
	*httptest.Server
	mu   sync.Mutex // guards seen
	seen []string
}

func newPBXCRM(t *testing.T, headers []string, answers map[string]string) *pbxCRM {
	t.Helper()
	c := &pbxCRM{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.URL.RequestURI()
		for _, name := range headers {
			if r.Header.Get(name) == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
		told := make([]string, len(headers))
		for i, name := range headers {
			told[i] = r.Header.Get(name)
		}
		c.mu.Lock()
		c.seen = append(c.seen, strings.TrimSpace(line+" "+string(body))+" | "+strings.Join(told, ", "))
		c.mu.Unlock()
		answer, known := answers[line]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(c.Close)
	return c
}

// asked returns what it was asked since the last time, without the headers that each
// request must have.
func (c *pbxCRM) asked(t *testing.T, headers string) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, line := range c.seen {
		line, told, _ := strings.Cut(line, " | ")
		require.Equal(t, headers, told, line)
		out = append(out, line)
	}
	c.seen = nil
	return out
}

// pbxSite is a site with an integration acme/crm of a template of testdata.
func pbxSite(t *testing.T, template string, c *pbxCRM, fields string) *site {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/templates", template+".yaml"))
	require.NoError(t, err)
	host := c.Listener.Addr().String()
	s := templateSite(t, string(text), host)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nintegrations:\n  - {name: crm, template: %s, host: %q, fields: %s}\n", template, host, fields))
	return s
}

// done sends an event of a call, which has to be done.
func (s *site) done(event, call string, args ...string) sentDoc {
	s.t.Helper()
	out := s.fire(append([]string{event, "acme/crm", "--wait", "60s", "--call", call}, args...)...)
	require.Equal(s.t, "done", out.Result.State, "%s: %+v", event, out.Result)
	return out
}

// What a template of 3CX says, a template of ours says: its scenarios run one after the
// other until one finds somebody.
//
// rows: G03, G04, G05, G23, G25, G28, G34
func TestATemplateSaysWhat3CXSays(t *testing.T) {
	t.Parallel()
	c := newPBXCRM(t, []string{"Authorization", "Accept", "X-Application"}, map[string]string{
		"GET /api/v2/contacts?phone=%2B49301234567": `{"response": {"contacts": []}}`,
		"GET /api/v2/contacts?phone=0049301234567":  `{"response": {"contacts": []}}`,
		"GET /api/v2/contacts?phone=01234567":       `{"response": {"contacts": [{"id": 7, "person": {"first": "Ann", "last": "Ode"}, "company": {"name": "Acme"}, "phones": [{"number": "030 1234567"}], "mails": [{"address": "x@x"}, {"address": "ann@x", "main": true}]}]}}`,
		"GET /api/v2/contacts?email=ann%40x":        `{"response": {"contacts": [{"id": 7, "person": {"first": "Ann"}}]}}`,
		"POST /api/v2/contacts":                     `{"response": {"contact": {"id": 8, "url": "https://crm.example/contacts/8"}}}`,
		"POST /api/v2/notes":                        `{"response": {"note": {"id": 5}}}`,
	})
	s := pbxSite(t, "threecx", c, `{user: ann, password: "s3:cret"}`)
	defer s.open(runner.Options{})()
	s.noticed("the files are read", func() bool { _, err := s.try("integration", "show", "acme/crm"); return err == nil })
	headers := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:s3:cret")) + ", application/json, telephone"

	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	got := s.done("call.started", "1", "--direction", "in", "--from", "030 1234567", "--to", "200", "--agent", "ann", "--at", at.Format(time.RFC3339)).Result.Answer.Contacts
	require.Len(t, got, 1)
	require.Equal(t, []string{"7", "Ann Ode", "Acme"}, []string{got[0].ID, got[0].Name, got[0].Company})
	require.Equal(t, []string{"GET /api/v2/contacts?phone=%2B49301234567", "GET /api/v2/contacts?phone=0049301234567", "GET /api/v2/contacts?phone=01234567"}, c.asked(t, headers))
	s.noticed("the contact is kept", func() bool {
		return strings.Contains(s.cli("call", "show", "-i", "acme/crm", "1", "-o", "json"), "ann@x")
	})

	require.Equal(t, "5", s.done("call.ended", "1", "--result", "COMPLETED", "--duration", "3723s").Result.Answer.ID)
	day := strings.NewReplacer(" ", "+", ":", "%3A").Replace(at.Format(time.DateTime))
	require.Equal(t, []string{"POST /api/v2/notes agent=ann&contact_id=7&contact_name=Ann+Ode&kind=Inbound&seconds=3723&started=" + day + "&timespan=01%3A02%3A03"}, c.asked(t, headers))

	made := s.done("contact.create", "2", "first=Bo", "last=Ek", "phone=030 555").Result.Answer
	require.Equal(t, []string{"8", "https://crm.example/contacts/8"}, []string{made.ID, made.URL})
	require.Equal(t, []string{`POST /api/v2/contacts {"owner_id":1,"person":{"first":"Bo","last":"Ek"},"phones":[{"kind":"work","number":"+4930555"}]}`}, c.asked(t, headers))
	require.Contains(t, s.cli("endpoint", "call", "acme/crm", "lookup-email", "email=ann@x"), "Ann")
	require.Equal(t, []string{"GET /api/v2/contacts?email=ann%40x"}, c.asked(t, headers))
}

// What a template of Yeastar says, a template of ours says.
//
// rows: G03, G04, G05, G06, G23, G24, G25
func TestATemplateSaysWhatYeastarSays(t *testing.T) {
	t.Parallel()
	c := newPBXCRM(t, []string{"X-Credential", "Accept", "X-Account"}, map[string]string{
		"POST /a-1/search/people?locale=de": `{"data": {"people": [{"uid": "p-7", "name": "ann", "org": [{"title": "Acme"}],
			"identities": [{"type": "phone_number", "value": "1"}, {"type": "email", "value": "ann@x"}, {"type": "phone_number", "value": "2"}]}]}}`,
		"GET /a-1/colleagues/200?locale=de":  `{"uid": "c-200", "name": "Ben"}`,
		"POST /a-1/journal?locale=de":        `{"entry": {"uid": "j/1"}}`,
		"PATCH /a-1/journal/j%2F1?locale=de": `{"entry": {"uid": "j/1"}}`,
	})
	s := pbxSite(t, "yeastar", c, `{account: a-1, key: s3cret}`)
	defer s.open(runner.Options{})()
	s.noticed("the files are read", func() bool { _, err := s.try("integration", "show", "acme/crm"); return err == nil })
	headers := "Token " + base64.StdEncoding.EncodeToString([]byte("a-1/s3cret")) + ", application/vnd.crm+json, a-1"

	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	got := s.done("call.started", "1", "--from", "+49 30 1234567", "--to", "200", "--agent", "ben", "--at", at.Format(time.RFC3339)).Result.Answer.Contacts
	require.Len(t, got, 1)
	require.Equal(t, []string{"p-7", "Ann", "Acme"}, []string{got[0].ID, got[0].Name, got[0].Company})
	require.Equal(t, []string{`POST /a-1/search/people?locale=de {"any":[{"field":"phone","is":"+49301234567"},{"field":"phone","is":"030 1234567"},{"ends":"0301234567","field":"phone"}]}`}, c.asked(t, headers))
	s.noticed("the contact is kept", func() bool {
		return strings.Contains(s.cli("call", "show", "-i", "acme/crm", "1", "-o", "json"), "ann@x")
	})

	require.Equal(t, "j/1", s.done("call.connected", "1").Result.Answer.ID)
	require.Equal(t, []string{fmt.Sprintf(`POST /a-1/journal?locale=de {"begin":%d,"from":"030 1234567","person":"p-7","to":"200","way":"INBOUND"}`, at.UnixMilli())}, c.asked(t, headers))
	s.done("call.ended", "1", "--result", "COMPLETED", "--duration", "61s", "--recording", "https://rec.example/1")
	require.Equal(t, []string{`PATCH /a-1/journal/j%2F1?locale=de {"milliseconds":61000,"recording":"https://rec.example/1","status":"answered"}`}, c.asked(t, headers))

	got = s.done("call.started", "2", "--direction", "in", "--from", "200", "--to", "201").Result.Answer.Contacts
	require.Equal(t, "Ben", got[0].Name, "an extension is a colleague's")
	require.Equal(t, []string{"GET /a-1/colleagues/200?locale=de"}, c.asked(t, headers))
}
