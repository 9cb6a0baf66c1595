//go:build unix

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/appconnect"
	"github.com/jackfield/jackfield/host/internal/runner"
)

// pipelineCRM is the remote system of a proxy connector. It keeps what it was asked.
type pipelineCRM struct {
	*httptest.Server
	mu   sync.Mutex // guards what follows
	seen []pipelineAsked
	made bool // the contact of the number that nobody has
}

type pipelineAsked struct {
	line string
	body map[string]any
}

func newPipelineCRM(t *testing.T) *pipelineCRM {
	t.Helper()
	c := &pipelineCRM{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		asked := pipelineAsked{line: r.Method + " " + r.URL.RequestURI()}
		_ = json.Unmarshal(raw, &asked.body) // a GET has none
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen = append(c.seen, asked)
		phone := r.URL.Query().Get("phone")
		switch {
		case r.Header.Get("Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("k-1:")) || r.Header.Get("X-Connector-Secret") != "s-1":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v1/contacts" && r.Method == http.MethodPost:
			c.made = true
			_, _ = io.WriteString(w, `{"id": 9, "name": "Cy"}`)
		case phone == "+49301234567":
			_, _ = io.WriteString(w, `{"contacts": [{"id": 7, "profile": {"name": "Ann"}, "phones": ["+49301234567"], "type": "lead"}]}`)
		case phone == "+49309999999" && c.made:
			_, _ = io.WriteString(w, `{"contacts": [{"id": 9, "profile": {"name": "Cy"}, "phones": ["+49309999999"]}]}`)
		case r.URL.Path == "/v1/contacts":
			_, _ = io.WriteString(w, `{"contacts": []}`)
		case r.URL.Path == "/v1/messages":
			_, _ = io.WriteString(w, `{"id": "m-1"}`)
		default:
			_, _ = io.WriteString(w, `{"activity": {"id": "act-1"}}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// asked returns what it was asked since the last time.
func (c *pipelineCRM) asked() []pipelineAsked {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.seen
	c.seen = nil
	return out
}

// write returns the only write since the last time, without what it says of when.
func (c *pipelineCRM) write(t *testing.T) pipelineAsked {
	t.Helper()
	var out []pipelineAsked
	for _, a := range c.asked() {
		if !strings.HasPrefix(a.line, "GET ") {
			out = append(out, a)
		}
	}
	require.Len(t, out, 1)
	return out[0]
}

// An imported connector does by itself what an agent's day asks for: who calls is looked
// up, a log is begun when people speak, completed when the call ends and told what the
// agent says afterwards, and each field has what the call knows.
//
// rows: G23, G24, G25, G26, G28
func TestAnImportedConnectorWorksAtEvents(t *testing.T) {
	t.Parallel()
	description, err := os.ReadFile("internal/appconnect/testdata/pipeline.json")
	require.NoError(t, err)
	plain := strings.Replace(string(description), "https://{{user.hostname}}", "http://{{user.hostname}}", 1)
	made, err := appconnect.Convert([]byte(plain))
	require.NoError(t, err)
	c := newPipelineCRM(t)
	host := c.Listener.Addr().String()
	s := templateSite(t, string(made.YAML), host)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nintegrations:\n  - {name: crm, template: pipeline-crm, host: %q, fields: {apiKey: k-1, secretKey: s-1, region: eu}}\n", host))
	defer s.open(runner.Options{})()
	s.noticed("the files are read", func() bool { _, err := s.try("integration", "show", "acme/crm"); return err == nil })
	of := []string{"acme/crm", "--wait", "60s", "--call"}
	fire := func(event, call string, args ...string) sentDoc {
		t.Helper()
		out := s.fire(append(append([]string{event}, append(of, call)...), args...)...)
		require.Equal(t, "done", out.Result.State, "%s: %+v", event, out.Result)
		return out
	}

	started := fire("call.started", "4711", "--from", "+49301234567", "--to", "200", "--agent", "ann")
	require.Equal(t, "Ann", started.Result.Answer.Contacts[0].Name)
	require.Equal(t, []pipelineAsked{{line: "GET /v1/contacts?phone=%2B49301234567"}}, c.asked())

	require.Equal(t, "act-1", fire("call.connected", "4711").Result.Answer.ID)
	log := c.write(t)
	require.Equal(t, "POST /v1/activities", log.line)
	begin, _ := log.body["start_date"].(string)
	require.NotEmpty(t, begin)
	require.Equal(t, map[string]any{
		"subject": "Inbound Call from Ann", "description": "- Contact Number: +49301234567\n- Contact Name: Ann\n- Agent: ann\n- Date/Time: " + begin,
		"start_date": begin, "end_date": begin, "owner": "ann", "activity_code_id": 3.0, "linked_contacts": []any{map[string]any{"contact_id": "7", "name": "Ann"}},
		"call": map[string]any{"id": "4711", "direction": "Inbound", "from": "+49301234567", "to": "200"},
	}, log.body)

	fire("call.ended", "4711", "--result", "COMPLETED", "--duration", "93s", "--recording", "https://rec.example/4711", "--text", "wants an offer")
	log = c.write(t)
	require.Equal(t, "PATCH /v1/activities/act-1", log.line)
	end, _ := log.body["end_date"].(string)
	require.NotEmpty(t, end)
	completed := map[string]any{
		"subject": "Inbound Call from Ann", "note": "wants an offer", "start_date": begin, "end_date": end,
		"description": "- Note: wants an offer\n- Contact Number: +49301234567\n- Contact Name: Ann\n- Agent: ann\n- Date/Time: " + begin +
			"\n- Duration: 93 s\n- Result: Call connected\n- Recording: https://rec.example/4711",
		"call": map[string]any{"seconds": 93.0, "result": "Call connected", "recording": "https://rec.example/4711"},
	}
	require.Equal(t, completed, log.body)

	fire("call.wrapup", "4711", "--disposition", "sold", "note=bought it")
	told := c.asked()
	completed["note"] = "bought it"
	completed["description"] = "- Note: bought it\n- Contact Number: +49301234567\n- Contact Name: Ann\n- Agent: ann\n- Date/Time: " + begin +
		"\n- Duration: 93 s\n- Result: Call connected\n- Disposition: sold\n- Recording: https://rec.example/4711"
	require.Equal(t, []pipelineAsked{{"PATCH /v1/activities/act-1", completed}, {"PUT /v1/activities/act-1/outcome", map[string]any{"outcome": "sold"}}}, told)

	fire("call.started", "4712", "--to", "+49309999999", "--from", "200", "--agent", "ben", "--direction", "out")
	require.Equal(t, "9", fire("contact.create", "4712", "name=Cy", "type=lead", "source=phone").Result.Answer.ID)
	require.Equal(t, pipelineAsked{"POST /v1/contacts", map[string]any{"name": "Cy", "type": "lead", "phone": "+49309999999", "source": "phone"}}, c.write(t))
	fire("call.ended", "4712", "--result", "NO_ANSWER")
	body := c.write(t).body
	require.Equal(t, []any{map[string]any{"contact_id": "9", "name": "Cy"}}, body["linked_contacts"])
	require.Equal(t, "Outbound Call to Cy", body["subject"])
	require.Contains(t, body["description"], "- Contact Name: Cy\n")
	require.Equal(t, map[string]any{"id": "4712", "direction": "Outbound", "from": "200", "to": "+49309999999", "seconds": 0.0, "result": "No Answer"}, body["call"])

	fire("call.ended", "4714", "--result", "MISSED", "--direction", "in", "--from", "+49301234567") // of its beginning nobody told
	require.Equal(t, []any{map[string]any{"contact_id": "7", "name": "Ann"}}, c.write(t).body["linked_contacts"])

	sent := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	sms := fire("sms.sent", "4713", "--to", "+49301234567", "--from", "200", "--direction", "out", "--text", "see you", "--at", sent)
	require.Equal(t, "m-1", sms.Result.Answer.ID)
	require.Equal(t, pipelineAsked{"POST /v1/messages", map[string]any{
		"subject": "Message with Ann", "text": "see you", "direction": "Outbound", "from": "200", "to": "+49301234567", "at": sent, "contact": "7",
	}}, c.write(t))
}
