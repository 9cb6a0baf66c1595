package endpoint_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options reads templates as the daemon does.
func options(c *endpoint.Compiler) config.Options {
	return config.Options{CheckTemplate: func(t store.Template) []config.TemplateFault {
		var out []config.TemplateFault
		for _, f := range c.Check(t) {
			out = append(out, config.TemplateFault(f))
		}
		return out
	}}
}

// load reads a template from its YAML, and what is wrong with it.
func load(t *testing.T, text string) (store.Template, config.Problems) {
	t.Helper()
	return loadText(t, text)
}

func loadText(t testing.TB, text string) (store.Template, config.Problems) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "template.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	f, problems := config.LoadTemplateFile(path, options(endpoint.NewCompiler()))
	return f.Template, problems
}

// compile reads a template that has no fault.
func compile(t *testing.T, text string) *endpoint.Template {
	t.Helper()
	spec, problems := load(t, text)
	require.NoError(t, problems.Err())
	ready, faults := endpoint.NewCompiler().Compile(spec)
	require.Empty(t, faults)
	return ready
}

// head is what most templates of these tests begin with.
const head = `
name: acme
type: CRM
region: VN
parameters:
  - {name: api_key, secret: true}
  - {name: user}
  - {name: owner}
`

// one is a template with one endpoint, called it.
func one(endpoint string) string {
	return head + "endpoints:\n  - name: it\n" + indent(endpoint, "    ")
}

func indent(s, by string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		b.WriteString(by + line)
	}
	return b.String() + "\n"
}

// fields are those of the integration in these tests.
func fields() map[string]string {
	return map[string]string{"api_key": "s3cr3t-key", "user": "ann", "owner": "o-7"}
}

// seen is a request as a server got it.
type seen struct {
	method, path, rawPath, query string
	header                       http.Header
	body                         string
}

// remote is a CRM that answers what it is told to, and keeps what it was asked.
type remote struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	got    []seen
	answer func(w http.ResponseWriter, r *http.Request, body string)
}

func newRemote(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body string)) *remote {
	t.Helper()
	c := &remote{answer: answer}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.got = append(c.got, seen{r.Method, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), string(body)})
		answer := c.answer
		c.mu.Unlock()
		answer(w, r, string(body))
	}))
	t.Cleanup(c.Close)
	return c
}

// ok answers with JSON.
func ok(text string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}

// say changes what it answers from now on.
func (c *remote) say(answer func(http.ResponseWriter, *http.Request, string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *remote) requests() []seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]seen(nil), c.got...)
}

func (c *remote) only(t *testing.T) seen {
	t.Helper()
	all := c.requests()
	require.Len(t, all, 1)
	return all[0]
}

// host is the address without the scheme.
func (c *remote) host() string { return strings.TrimPrefix(c.URL, "https://") }

// vault keeps tokens in memory, as a store does.
type vault struct {
	mu     sync.Mutex // guards what follows
	tokens map[string]endpoint.Token
	keeps  int
}

func newVault() *vault { return &vault{tokens: map[string]endpoint.Token{}} }

func (v *vault) Token(_ context.Context, id string) (endpoint.Token, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t, ok := v.tokens[id]
	if !ok {
		return t, store.ErrNotFound
	}
	return t, nil
}

func (v *vault) Keep(_ context.Context, id string, t endpoint.Token) (endpoint.Token, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens[id].Version != t.Version {
		return endpoint.Token{}, store.ErrConflict
	}
	t.Version++
	v.keeps++
	v.tokens[id] = t
	return t, nil
}

// engine returns an engine that trusts the remote's certificate.
func engine(t *testing.T, c *remote, change ...func(*endpoint.Options)) *endpoint.Engine {
	t.Helper()
	opts := endpoint.Options{Transport: func(string) http.RoundTripper { return c.Client().Transport }, Tokens: newVault()}
	for _, f := range change {
		f(&opts)
	}
	e, err := endpoint.New(opts)
	require.NoError(t, err)
	return e
}

// integration is one of the template at the remote.
func integration(tpl *endpoint.Template, c *remote) endpoint.Integration {
	return endpoint.Integration{ID: "0000000000000001", Name: "acme/crm", Template: tpl, Host: c.host(), Callcenter: "cc-1", Fields: fields()}
}

func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := endpoint.Decode([]byte(text))
	require.NoError(t, err)
	m, ok := v.(map[string]any)
	require.True(t, ok)
	return m
}

func sameJSON(t *testing.T, want, got string) {
	t.Helper()
	require.True(t, json.Valid([]byte(got)), got)
	require.JSONEq(t, want, got)
}
