//go:build unix

package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
)

// consent is a remote system with OAuth, whose person always agrees unless it is told
// otherwise.
type consent struct {
	*httptest.Server
	mu        sync.Mutex // guards what follows
	challenge string
	refuses   bool
}

func newConsent(t *testing.T) *consent {
	t.Helper()
	c := &consent{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch r.URL.Path {
		case "/authorize":
			q := r.URL.Query()
			c.challenge = q.Get("code_challenge")
			back := url.Values{"state": {q.Get("state")}, "code": {"code-1"}}
			if c.refuses {
				back = url.Values{"state": {q.Get("state")}, "error": {"access_denied"}}
			}
			http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
		case "/token":
			_ = r.ParseForm()
			sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
			if r.PostForm.Get("code") != "code-1" || base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error": "invalid_grant"}`)
				return
			}
			_, _ = io.WriteString(w, `{"access_token": "token-of-ann", "refresh_token": "refresh-of-ann", "expires_in": 3600}`)
		default:
			if r.Header.Get("Authorization") != "Bearer token-of-ann" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, `{"hello": "ann"}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *consent) refuse(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = yes
}

// connect runs the command, opens the address that it shows as a person does, and
// returns what the person sees, what the command printed, and its error.
func (s *site) connect() (page, out string, err error) {
	s.t.Helper()
	read, write := io.Pipe()
	var stdout strings.Builder
	ended := make(chan error, 1)
	go func() {
		err := Run(s.t.Context(), []string{"-c", filepath.Join(s.dir, "host.yaml"), "auth", "connect", "acme/crm"}, &stdout, write)
		_ = write.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		address := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(address, "http") {
			continue
		}
		res, err := http.Get(address) //nolint:noctx // the test's own server
		require.NoError(s.t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, res.Body.Close())
		page = string(body)
	}
	return page, stdout.String(), <-ended
}

// rows: O42
func TestAuthConnect(t *testing.T) {
	t.Parallel()
	c := newConsent(t)
	host := strings.TrimPrefix(c.URL, "http://")
	s := &site{t: t, dir: t.TempDir()}
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: off\nplugins: {dir: ./plugins}\negress: {allow: [%q]}\n", host))
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o750))
	s.write("templates/acme.yaml", `name: acme-crm
type: CRM
parameters: [{name: secret, secret: true}]
request: {base_url: "http://{{ host }}"}
auth: {type: oauth2_code, authorize_url: "http://{{ host }}/authorize", token_url: "http://{{ host }}/token", client_id: jackfield, client_secret: "{{ fields.secret }}"}
endpoints: [{name: it, type: GetData, url: /data}]
`)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nintegrations:\n  - {name: crm, template: acme-crm, host: %q, fields: {secret: secret-of-the-app}}\n", host))
	stop := s.open(runner.Options{})
	s.noticed("the integration is there", func() bool { _, err := s.try("integration", "show", "acme/crm"); return err == nil })
	_, err := s.try("endpoint", "call", "acme/crm", "it")
	require.Error(t, err, "nobody connected it")
	require.Contains(t, s.cli("integration", "show", "acme/crm"), "needs-reconnect")

	c.refuse(true)
	page, _, err := s.connect()
	require.ErrorContains(t, err, "access_denied")
	require.Contains(t, page, "did not agree")
	c.refuse(false)
	page, out, err := s.connect()
	require.NoError(t, err)
	require.Contains(t, page, "You can close this page")
	require.Contains(t, out, "acme/crm is connected: active")
	require.Contains(t, s.cli("endpoint", "call", "acme/crm", "it"), `{"hello":"ann"}`)
	stop()
	for _, name := range []string{"jackfield.db", "jackfield.db-wal"} {
		if raw, err := os.ReadFile(filepath.Join(s.dir, "data", name)); err == nil {
			require.NotContains(t, string(raw), "token-of-ann")
			require.NotContains(t, string(raw), "refresh-of-ann")
		}
	}
}
