//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const browserTemplate = `name: acme-crm
type: CRM
region: DE
info:
  renderTooltip: [{path: /page, element: "#phone"}]
  userInfo: [{field: agent_id, path: /page, element: "#me"}]
  dataFunction: [{objectName: contact, endpoint: find}]
  hooks: {saveLogCRM: {steps: [{objectName: log, endpoint: make-log}]}}
iframe:
  title: A call
  components:
    - {type: form, label: A ticket, action: ticket.create, fields: [{name: subject, required: true}]}
endpoints:
  - name: find
    type: GetData
    url: http://{{ host }}/contacts
    parameters: [{name: phone, in: query, from: call, key: number, required: true}]
    response: {shape: contact, list: items, item: {id: id, name: name}}
  - name: make-log
    type: PostData
    url: http://{{ host }}/logs
    body: {by: "{{ call.agent }}", contact: "{{ call.contact.id }}", name: "{{ call.contact.name }}"}
    response: {shape: call_log, item: {id: id}}
  - name: make-ticket
    type: PostData
    url: http://{{ host }}/tickets
    trigger: ticket.create
    parameters: [{name: title, in: body, from: body, key: subject}, {name: contact, in: body, from: body, key: contact_id}]
    response: {shape: ticket, item: {id: id, url: link}, error: why, fields: errors}
`

// browserCRM is a remote system with pages: those of /page load the daemon's embed.js.
type browserCRM struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	seen   []string
	daemon string // its address
	info   []byte // of the integration
}

func newBrowserCRM(t *testing.T) *browserCRM {
	t.Helper()
	c := &browserCRM{}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *browserCRM) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Path {
	case "/contacts":
		_, _ = io.WriteString(w, `{"items": [{"id": 7, "name": "Ann"}, {"id": 8, "name": "Bob <b>"}]}`)
	case "/logs":
		c.seen = append(c.seen, string(body))
		_, _ = io.WriteString(w, `{"id": "l-1"}`)
	case "/tickets":
		c.seen = append(c.seen, string(body))
		if strings.Contains(string(body), `"title":"x"`) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"why": "no", "errors": {"title": ["is too short"]}}`)
			return
		}
		_, _ = io.WriteString(w, `{"id": 5, "link": "https://crm.example/t/5"}`)
	case "/page":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Referrer-Policy", "no-referrer") // the daemon is not told which page it is
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; script-src 'self' "+c.daemon+"; frame-src "+c.daemon)
		_, _ = fmt.Fprintf(w, `<!doctype html><title>CRM</title><p id="me">a-9</p><p id="phone">030 1234567</p><script src="%s/embed.js" data-config="/jackfield.json"></script><script src="/page.js"></script>`, c.daemon)
	case "/jackfield.json":
		_, _ = w.Write(c.info)
	case "/page.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, browserScript)
	default:
		http.NotFound(w, r)
	}
}

// browserScript shows a screen, and notes what it and the buttons tell the page.
const browserScript = `
window.log = [];
document.addEventListener("jackfield:call", (e) => log.push("call " + e.detail.number + " " + JSON.stringify(e.detail.userInfo)));
window.show = (url) => {
  window.shown = Jackfield.open({ url, into: document.body, on: (type, m) => log.push(type + (m.state ? " " + m.state : "")) });
  return true;
};
`

// asked returns what was written there.
func (c *browserCRM) asked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.seen, "\n")
}

// show has a page embed the screen of an address.
func (p *tab) show(address string) {
	p.t.Helper()
	p.do(chromedp.Evaluate("show("+quoted(address)+")", nil))
}

// fill types into a field of the screen and sends its form.
func (p *tab) fill(field, value string) {
	p.t.Helper()
	p.screenSends(fmt.Sprintf(`document.querySelector('[name="f.%s"]').value = %s, document.querySelector('[name="f.%[1]s"]').form.querySelector("button").click()`, field, quoted(value)))
}

func quoted(text string) string {
	raw, _ := json.Marshal(text) // a text always can
	return string(raw)
}

// A CRM's page in a real browser, with a real daemon: a button begins a call, the event's
// answer has the address of its screen, which serves once, and only in that page; it
// follows the call, has a contact chosen and a ticket made, and is over for who had the
// call when another agent gets it.
//
// rows: K25, C48, X02, X03, G11, G24, G27
func TestAScreenInTheCRMsPage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser takes seconds, and tells the race detector nothing")
	}
	c := startChromium(t)
	crm, foreign := newBrowserCRM(t), newBrowserCRM(t)
	s := newSite(t, map[string]any{"streams": 1})
	s.write("templates/acme-crm.yaml", browserTemplate)
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: 127.0.0.1:0\nplugins: {dir: ./plugins}\negress: {allow: [%q]}\ncalls: {lookup: 25s}\n", crm.Listener.Addr()))
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nscreens: {origins: [%q]}\nintegrations:\n  - {name: crm, template: acme-crm, callcenter: cc-1, host: %q}\n", crm.URL, crm.Listener.Addr()))
	d := s.start()
	var shown struct{ Info json.RawMessage }
	s.noticed("the files are read", func() bool {
		out, err := s.try("integration", "show", "acme/crm", "-o", "json")
		return err == nil && json.Unmarshal([]byte(out), &shown) == nil && len(shown.Info) > 0
	})
	base := "http://" + s.httpAddress()
	for _, site := range []*browserCRM{crm, foreign} {
		site.mu.Lock()
		site.daemon, site.info = base, shown.Info
		site.mu.Unlock()
	}

	ada := c.open(crm.URL + "/page")
	ada.do(chromedp.Click("#phone + button.jackfield-call", chromedp.ByQuery))
	ada.holds(`log.includes('call 0301234567 {"agent_id":"a-9"}')`)
	link := s.startedCall(base, crm.URL)
	ada.show(link)
	ada.holds(`log.includes("ready ringing")`)
	ada.holds(`document.querySelector("iframe").getAttribute("sandbox") === "allow-scripts allow-forms allow-same-origin allow-popups allow-popups-to-escape-sandbox"`) // it leads the page nowhere, and opens no dialogs
	ada.screenHolds(`document.getElementById("status").textContent === "Ringing" && document.querySelector("label b").textContent === "Ann"`)
	code, _ := s.get(link, "")
	require.Equal(t, http.StatusGone, code, "its ticket is used up")

	ada.screenSends(`document.querySelector('[name="f.match"][value="8"]').click(), document.querySelector("#match button").click()`)
	ada.screenHolds(`document.querySelector('[name="f.match"]:checked')?.value === "8" && document.getElementById("history").textContent.includes("Contact chosen")`)
	ada.screenDoes(`document.documentElement.dataset.mark = "the same page"`)
	s.fire("call.connected", "acme/crm", "--call", "c-1", "--agent", "ada")
	ada.screenHolds(`document.getElementById("status").textContent === "Connected" && document.documentElement.dataset.mark === "the same page"`)

	ada.fill("subject", "x")
	ada.screenHolds(`document.querySelector(".field.wrong .error")?.textContent === "is too short" && document.querySelector('[name="f.subject"]').value === "x"`)
	ada.fill("subject", "It does not work")
	ada.screenHolds(`document.querySelector("#told .good a")?.href === "https://crm.example/t/5"`)
	require.Contains(t, crm.asked(), `{"contact":"8","title":"It does not work"}`)

	s.fire("call.updated", "acme/crm", "--call", "c-1", "--update", "transfer", "--agent", "ada", "--transfer-to", "ben")
	ada.holds(`log.includes("over")`)
	ada.screenHolds(`document.getElementById("told").textContent === "Another agent has this call now." && document.querySelector("button").disabled`)
	out, err := s.try("call", "screen", "c-1", "-i", "acme/crm", "--agent", "ada", "--origin", crm.URL)
	require.Error(t, err)
	require.Contains(t, out, "another agent has the call now")

	ben := c.open(crm.URL + "/page")
	ben.show(s.opened("ben", crm.URL))
	ben.holds(`log.includes("ready connected")`)
	ben.screenHolds(`document.querySelector('[name="f.match"]:checked')?.value === "8" && document.getElementById("history").textContent.includes("Transferred to ben")`)
	s.fire("call.ended", "acme/crm", "--call", "c-1", "--agent", "ben", "--result", "COMPLETED", "--wait", "30s")
	ben.screenHolds(`document.getElementById("history").textContent.includes("Ended, ben")`)
	require.Contains(t, crm.asked(), `{"by":"ben","contact":"8","name":"Bob \u003cb\u003e"}`, "the log is of the contact that was chosen")
	ada.screenHolds(`!document.getElementById("history").textContent.includes("ben")`)

	elsewhere := c.open(foreign.URL + "/page")
	blocked := elsewhere.blocked()
	elsewhere.show(s.opened("ben", crm.URL))
	select {
	case address := <-blocked:
		require.Contains(t, address, base+"/screen/")
	case <-time.After(patience):
		require.Fail(t, "the browser shows it in another page")
	}
	elsewhere.holds(`log.length === 0`)
	d.stop(t)
	require.NotContains(t, d.log.String(), link[strings.LastIndex(link, "/"):], "no log has a ticket")
}

// startedCall sends call.started as a softphone does, and returns the screen's address.
func (s *site) startedCall(base, origin string) string {
	s.t.Helper()
	_, token := s.token("softphone", "--scope", "call", "--tenant", "acme")
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		base+"/api/v1/tenants/acme/integrations/crm/events?"+url.Values{"screen": {"true"}, "screen_origin": {origin}}.Encode(),
		bytes.NewReader([]byte(`{"type": "call.started", "call_id": "c-1", "direction": "in", "from": "030 1234567", "to": "100", "agent": "ada", "user_info": {"agent_id": "a-9"}}`)))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	var sent struct {
		Result struct {
			Answer struct{ Contacts []struct{ Name string } }
		}
		Screen struct{ URL, Problem string }
	}
	require.NoError(s.t, json.Unmarshal(raw, &sent), string(raw))
	require.Len(s.t, sent.Result.Answer.Contacts, 2, string(raw))
	require.True(s.t, strings.HasPrefix(sent.Screen.URL, base+"/screen/"), string(raw))
	return sent.Screen.URL
}

// opened returns the address of another screen of the call.
func (s *site) opened(agent, origin string) string {
	s.t.Helper()
	var doc struct{ URL string }
	s.doc(&doc, "call", "screen", "c-1", "-i", "acme/crm", "--agent", agent, "--origin", origin)
	return doc.URL
}
