package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// screenBrowser keeps cookies and follows what it is sent to.
type screenBrowser struct {
	t      *testing.T
	client *http.Client
	at     string // scheme and host
}

func (b *screenBrowser) do(method, address string, form url.Values) (code int, header http.Header, text string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp.StatusCode, resp.Header, string(raw)
}

// changes returns what a screen is told while it is open.
func (b *screenBrowser) changes(page string) <-chan string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, page+"/events", http.NoBody)
	require.NoError(b.t, err)
	resp, err := b.client.Do(req) //nolint:bodyclose // closed by who reads it
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, resp.StatusCode)
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer func() { _ = resp.Body.Close() }() // the daemon has ended it
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				out <- name
			}
		}
	}()
	return out
}

// form returns what the form of a page with an action's button sends, with values.
func screenForm(t *testing.T, page, button string, values map[string]string) url.Values {
	t.Helper()
	for _, form := range regexp.MustCompile(`(?s)<form method="post".*?</form>`).FindAllString(page, -1) {
		if !strings.Contains(form, "<button>"+button+"</button>") {
			continue
		}
		out := url.Values{}
		for _, m := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`).FindAllStringSubmatch(form, -1) {
			out.Set(m[1], m[2])
		}
		for name, value := range values {
			out.Set("f."+name, value)
		}
		return out
	}
	require.Fail(t, "there is no form "+button, page)
	return nil
}

// An agent's screen shows what the CRM says of who calls, follows the call, and makes a
// ticket; its ticket and its cookie open nothing else.
//
// rows: K25, G11, G27, X02, X04
func TestAScreenShowsACall(t *testing.T) {
	t.Parallel()
	crm := newChainCRM(t)
	s := newSite(t, map[string]any{"streams": 1})
	host := strings.TrimPrefix(crm.URL, "http://")
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: 127.0.0.1:0\nplugins: {dir: ./plugins}\negress: {allow: [%q]}\ncalls: {lookup: 25s}\n", host))
	s.write("templates/acme-crm.yaml", chainTemplate)
	tenant := func(origins string) {
		s.write("tenants/acme.yaml", fmt.Sprintf(`tenant: acme
screens: {origins: [%s]}
integrations:
  - {name: crm, template: acme-crm, callcenter: cc-1, host: %q, fields: {key: key-of-acme}, iframe: {title: "Our {{ context.found[0].name }}"}}
`, origins, host))
	}
	tenant("https://crm.acme.example")
	d := s.start()
	address := "http://" + s.httpAddress()
	require.Eventually(t, func() bool {
		_, err := s.try("integration", "show", "acme/crm")
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	s.cli("hook", "fire", "call.started", "acme/crm", "--call", "c-1", "--from", "030 1234567", "--to", "100", "--agent", "ada", "--wait", "30s")

	out, err := s.try("call", "screen", "c-1", "-i", "acme/crm", "--agent", "ada", "--origin", "https://evil.example")
	require.Error(t, err)
	require.Contains(t, out, "screens: {origins: [https://evil.example]}")
	_, err = s.try("call", "screen", "c-2", "-i", "acme/crm", "--agent", "ada")
	require.Error(t, err, "there is no such call")
	var opened struct{ URL string }
	require.NoError(t, json.Unmarshal([]byte(s.cli("call", "screen", "c-1", "-i", "acme/crm", "--agent", "ada", "--origin", "https://crm.acme.example", "-o", "json")), &opened))
	require.True(t, strings.HasPrefix(opened.URL, address+"/screen/"), opened.URL)

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b := &screenBrowser{t: t, at: address, client: &http.Client{Jar: jar, Transport: transport}}
	code, header, page := b.do(http.MethodGet, opened.URL, nil)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors https://crm.acme.example")
	require.Contains(t, page, "Our &lt;b&gt;Ann&lt;/b&gt;", "the integration's title goes before the template's")
	require.Contains(t, page, "Ringing")
	require.Contains(t, page, "100 EUR")
	code, _, _ = (&screenBrowser{t: t, client: &http.Client{Transport: transport}}).do(http.MethodGet, opened.URL, nil)
	require.Equal(t, http.StatusGone, code)
	at := address + "/screen/c/" + regexp.MustCompile(`data-screen="(\w+)"`).FindStringSubmatch(page)[1]

	changes := b.changes(at)
	require.Equal(t, "changed", <-changes)
	s.cli("hook", "fire", "call.connected", "acme/crm", "--call", "c-1", "--agent", "ada")
	require.Equal(t, "changed", <-changes)
	require.Eventually(t, func() bool {
		_, _, page = b.do(http.MethodGet, at, nil)
		return strings.Contains(page, "Connected")
	}, time.Minute, 20*time.Millisecond)

	crm.asked()
	code, _, page = b.do(http.MethodPost, at+"/act", screenForm(t, page, "A ticket", map[string]string{"subject": "x", "contact": "7"}))
	require.Equal(t, http.StatusUnprocessableEntity, code, page)
	require.Contains(t, page, "is too short; is x")
	form := screenForm(t, page, "A ticket", map[string]string{"subject": "It does not work", "contact": "7"})
	for range 2 { // a reload posts it again
		code, _, page = b.do(http.MethodPost, at+"/act", form)
		require.Equal(t, http.StatusOK, code, page)
		require.Contains(t, page, `href="https://crm.example/t/5"`)
		require.Contains(t, page, "Open 5")
	}
	require.Equal(t, 1, strings.Count(strings.Join(crm.asked(), "\n"), `"title":"It does not work"`))

	tenant("https://other.acme.example")
	s.cli("reload")
	require.Eventually(t, func() bool {
		code, _, _ = b.do(http.MethodGet, at, nil)
		return code == http.StatusForbidden || code == http.StatusUnauthorized
	}, time.Minute, 20*time.Millisecond, "a page that may not embed it any more")
	require.Contains(t, s.cli("call", "screen", "c-1", "-i", "acme/crm", "--close"), "closed 0")
	secret := opened.URL[strings.LastIndex(opened.URL, "/")+1:]
	d.stop(t)
	require.NotContains(t, d.log.String(), secret, "no log has a ticket")
	for name := range changes {
		require.Contains(t, []string{"changed", "over"}, name)
	}
}
