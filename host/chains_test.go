package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

const chainTemplate = `name: acme-crm
label: Acme
type: CRM
region: DE
info:
  renderTooltip: [{path: /contacts, element: "#phone"}]
  listOptions: [{name: auto_ticket, label: A ticket for each call}, {name: copy, label: Copy contacts, default: true}]
  userInfo: [{field: agent_id, path: /home, element: .me}]
  maps: {result: {COMPLETED: done, MISSED: missed}}
  dataFunction:
    - {objectName: contact, endpoint: find}
    - {objectName: deals, endpoint: deals, when: "{{ len(context.found) == 1 }}", optional: true}
  hooks:
    getDataIframe: {route: "{{ context.contact.items[0].queue }}"}
    saveLogCRM:
      steps:
        - {objectName: log, endpoint: update-log, when: "{{ call.log.id != nil }}"}
        - {objectName: log2, endpoint: make-log, when: "{{ call.log.id == nil }}"}
        - {objectName: ticket, endpoint: make-ticket, when: "{{ call.options.auto_ticket }}"}
      id: "{{ call.log.id ?? context.log2.id }}"
      url: "https://{{ host }}/logs/{{ call.log.id ?? context.log2.id }}"
iframe:
  title: "{{ context.found[0].name }}"
  components:
    - {type: text, label: Company, text: "{{ context.found[0].company }}"}
    - {type: link, text: Open, url: "{{ context.contact.items[0].link }}"}
    - type: table
      label: Deals
      rows: "{{ context.deals }}"
      columns: [{label: Deal, text: "{{ item.name }}"}, {label: Value, text: "{{ item.value }} EUR"}]
    - {type: form, label: A ticket, action: ticket.create, fields: [{name: subject, required: true}, {name: contact, value: "{{ context.found[0].id }}"}]}
parameters: [{name: key, in: header, as: X-Key, secret: true, required: true}]
endpoints:
  - name: find
    type: GetData
    url: http://{{ host }}/contacts
    trigger: call.started
    parameters: [{name: phone, in: query, from: call, key: number, required: true}]
    response: {shape: contact, list: items, item: {id: id, name: name, company: org}}
  - {name: deals, type: GetData, url: "http://{{ host }}/deals/{{ context.contact.items[0].id }}"}
  - name: make-log
    type: PostData
    url: http://{{ host }}/logs
    timeout: 2m
    body:
      by: "{{ call.user_info.agent_id }}"
      contact: "{{ context.found[0].id }}"
      result: "{{ call.result }}"
    response: {shape: call_log, item: {id: id}}
  - name: update-log
    type: PostData
    method: PUT
    url: http://{{ host }}/logs/{{ call.log.id }}
    parameters: [{name: state, in: body, from: call, key: result, map: result}]
  - {name: make-ticket, type: PostData, url: "http://{{ host }}/tickets", body: {of: "{{ call.call_id }}"}}
  - name: form-ticket
    type: PostData
    url: http://{{ host }}/tickets
    trigger: ticket.create
    parameters: [{name: ticket.title, in: body, from: body, key: subject}]
    response: {shape: ticket, item: {id: id, url: link}, error: why, fields: errors}
  - {name: tell-end, type: PostData, url: "http://{{ host }}/ended", trigger: call.ended, body: {id: "{{ call.call_id }}"}}
  - {name: tell-wrapup, type: PostData, url: "http://{{ host }}/wrapped", trigger: call.wrapup, body: {id: "{{ call.call_id }}"}}
`

// chainCRM is a remote system that keeps what it was asked.
type chainCRM struct {
	*httptest.Server
	mu   sync.Mutex // guards seen
	seen []string

	limit atomic.Bool   // it asks for a pause
	gate  chan struct{} // logs are held until it is closed; nil: none is
	held  atomic.Int64
}

func newChainCRM(t *testing.T) *chainCRM {
	t.Helper()
	c := &chainCRM{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.seen = append(c.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		c.mu.Unlock()
		if c.gate != nil && r.URL.Path == "/logs" {
			c.held.Add(1)
			select {
			case <-c.gate:
			case <-r.Context().Done():
			}
		}
		switch {
		case c.limit.Load():
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		case r.Header.Get("X-Key") != "key-of-acme":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/contacts" && r.URL.Query().Get("phone") == "+49301234567":
			_, _ = io.WriteString(w, `{"items": [{"id": 7, "name": "<b>Ann</b>", "org": "Acme", "queue": "sales", "link": "javascript:alert(1)"}]}`)
		case r.URL.Path == "/contacts":
			_, _ = io.WriteString(w, `{"items": []}`)
		case strings.HasPrefix(r.URL.Path, "/deals/"):
			_, _ = io.WriteString(w, `[{"name": "Big", "value": 100}, {"name": "Small", "value": 1.5}]`)
		case r.URL.Path == "/tickets" && strings.Contains(string(body), `"title":"x"`):
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"why": "no", "errors": {"title": ["is too short", "is x"]}}`)
		case r.URL.Path == "/tickets":
			_, _ = io.WriteString(w, `{"id": 5, "link": "https://crm.example/t/5"}`)
		default:
			_, _ = io.WriteString(w, `{"id": "l-1"}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// asked returns what it was asked since the last time.
func (c *chainCRM) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.seen
	c.seen = nil
	return out
}

// noTokens keeps none.
type noTokens struct{}

func (noTokens) Token(context.Context, string) (endpoint.Token, error) {
	return endpoint.Token{}, store.ErrNotFound
}

func (noTokens) Keep(_ context.Context, _ string, t endpoint.Token) (endpoint.Token, error) {
	return t, nil
}

// chained returns what runs the hooks of an integration of the template.
func chained(t *testing.T, c *chainCRM) (*templates, store.Integration) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "acme-crm.yaml")
	require.NoError(t, os.WriteFile(path, []byte(chainTemplate), 0o600))
	keys, err := secret.OpenKeyring(filepath.Join(dir, "key"), filepath.Join(dir, "data"))
	require.NoError(t, err)
	ts := &templates{
		keys: keys, redactor: &secret.Redactor{}, log: hclog.NewNullLogger(), compiler: endpoint.NewCompiler(), chains: chain.New(chain.Options{}),
		ready: map[string]*prepared{},
	}
	ts.engine, err = endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return c.Client().Transport }, Tokens: noTokens{}, Plain: func(string) bool { return true }})
	require.NoError(t, err)
	f, problems := config.LoadTemplateFile(path, templateOptions(ts.compiler, config.Options{}))
	require.NoError(t, problems.Err())
	ts.prepare(f.Template)
	in := store.Integration{IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "crm", Template: "acme-crm", Host: strings.TrimPrefix(c.URL, "http://")}}
	in.UID, in.State = "uid-1", store.IntegrationActive
	in.Settings, err = keys.Seal([]byte(`{"key": "key-of-acme"}`), in.Tenant, in.UID, "settings")
	require.NoError(t, err)
	return ts, in
}

func hookInput(name, event string) chain.Input {
	return chain.Input{Name: name, Hook: sdk.CallHook{Event: sdk.CallEvent{
		Type: event, CallID: "call-1", Direction: "in", From: "030 1234567", To: "100", UserInfo: map[string]string{"agent_id": "a-9", "other": "x"},
	}}}
}

// rows: G11, G23, G25, G32, G33, G34, O44
func TestATemplatesChainsRun(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	ts, in := chained(t, c)
	began := ts.runHook(t.Context(), in, hookInput(sdk.HookGetDataIframe, "call.started"))
	require.Nil(t, began.Err)
	require.Equal(t, []string{"GET /contacts?phone=%2B49301234567", "GET /deals/7"}, c.asked(), "the chain names the endpoint that the event triggers: it is called once")
	require.Equal(t, []sdk.CallContact{{ID: "7", Name: "<b>Ann</b>", Company: "Acme"}}, began.Answer.Contacts)
	require.Equal(t, &sdk.CallRoute{To: "sales"}, began.Answer.Route)
	var screen sdk.Screen
	require.NoError(t, json.Unmarshal(began.Answer.Iframe, &screen))
	require.NoError(t, screen.Validate())
	require.Equal(t, sdk.Screen{Title: "<b>Ann</b>", Components: []sdk.Component{
		{Type: sdk.ComponentText, Label: "Company", Text: "Acme"},
		{Type: sdk.ComponentTable, Label: "Deals", Columns: []string{"Deal", "Value"}, Rows: [][]sdk.ScreenValue{{{Text: "Big"}, {Text: "100 EUR"}}, {{Text: "Small"}, {Text: "1.5 EUR"}}}},
		{Type: sdk.ComponentForm, Label: "A ticket", Action: sdk.ActionTicket, Fields: []sdk.ScreenField{{Name: "subject", Required: true}, {Name: "contact", Value: "7"}}},
	}}, screen, "a link that is none that may be followed is left out")

	end := hookInput(sdk.HookSaveLogCRM, "call.ended")
	end.Hook.Event.Result, end.Hook.Context = "COMPLETED", began.Answer.Context
	ended := ts.runHook(t.Context(), in, end)
	require.Nil(t, ended.Err)
	require.Equal(t, []string{`POST /logs {"by":"a-9","contact":"7","result":"COMPLETED"}`, `POST /ended {"id":"call-1"}`}, c.asked(), "later hooks read what the first one found")
	require.Equal(t, "l-1", ended.Answer.ID)
	require.Equal(t, "https://"+in.Host+"/logs/l-1", ended.Answer.URL)

	in.Info = json.RawMessage(`{"options": {"auto_ticket": true}}`)
	end.Hook.Log, end.Hook.Event.Result = &sdk.CallLog{ID: "l-1"}, "BUSY"
	ended = ts.runHook(t.Context(), in, end)
	require.Nil(t, ended.Err)
	require.Equal(t, []string{`PUT /logs/l-1 {"state":"BUSY"}`, `POST /tickets {"of":"call-1"}`, `POST /ended {"id":"call-1"}`}, c.asked(), "the log that there is is completed; the option is the tenant's")
	require.Equal(t, []string{`the map result does not know "BUSY"`}, ended.Steps[0].Warnings)
	end.Hook.Event.Result = "COMPLETED"
	ended = ts.runHook(t.Context(), in, end)
	require.Equal(t, `PUT /logs/l-1 {"state":"done"}`, c.asked()[0])
	require.Empty(t, ended.Steps[0].Warnings)

	in.Iframe = json.RawMessage(`{"title": "Ours"}`)
	began = ts.runHook(t.Context(), in, hookInput(sdk.HookGetDataIframe, "call.started"))
	require.NoError(t, json.Unmarshal(began.Answer.Iframe, &screen))
	require.Equal(t, "Ours", screen.Title, "an integration may say it otherwise")
	require.Len(t, screen.Components, 3)
}

// rows: G21
func TestATriggerIsCalledOnceAtItsEventAndAtNoOther(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	ts, in := chained(t, c)
	want := map[string]string{"call.ended": "POST /ended", "call.wrapup": "POST /wrapped", "ticket.create": "POST /tickets", "call.started": "GET /contacts"}
	for _, event := range store.Triggers() {
		out := ts.runHook(t.Context(), in, hookInput(chainHook(event), event))
		require.Nil(t, out.Err, event)
		triggered := []string{}
		for _, asked := range c.asked() {
			for _, of := range want {
				if strings.HasPrefix(asked, of) {
					triggered = append(triggered, of)
				}
			}
		}
		if want[event] == "" {
			require.Empty(t, triggered, event)
			continue
		}
		require.Equal(t, []string{want[event]}, triggered, event)
	}
}

// chainHook is the hook of an event.
func chainHook(event string) string {
	return map[string]string{
		"call.started": sdk.HookGetDataIframe, "call.connected": sdk.HookSavePreLogCRM, "call.ended": sdk.HookSaveLogCRM,
		"sms.sent": sdk.HookCreateSMSNote, "ticket.create": sdk.HookCreateTicket, "contact.create": sdk.HookCreateContact,
	}[event]
}

// rows: G27
func TestATicketsErrorsAreThoseOfTheForm(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	ts, in := chained(t, c)
	form := hookInput(sdk.HookCreateTicket, "ticket.create")
	form.Hook.Event.Fields = map[string]any{"subject": "x"}
	out := ts.runHook(t.Context(), in, form)
	require.NotNil(t, out.Err)
	require.Equal(t, store.OutcomeFailed, out.Err.Outcome)
	require.Equal(t, map[string]string{"subject": "is too short; is x"}, out.Answer.FieldErrors, "the CRM calls the field title")

	form.Hook.Event.Fields["subject"] = "It does not work"
	out = ts.runHook(t.Context(), in, form)
	require.Nil(t, out.Err)
	require.Equal(t, "5 https://crm.example/t/5", fmt.Sprint(out.Answer.ID, " ", out.Answer.URL))
}

// A remote system that asks for a pause is left alone by the whole integration: the hook
// tells how long, and the next one, whatever it is, is held back without being sent.
//
// rows: O40
func TestARateLimitOfAHookIsTold(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	ts, in := chained(t, c)
	ended := hookInput(sdk.HookSaveLogCRM, "call.ended")
	c.limit.Store(true)
	for i, input := range []chain.Input{ended, hookInput(sdk.HookGetDataIframe, "call.started")} {
		out := ts.runHook(t.Context(), in, input)
		require.NotNil(t, out.Err)
		require.Equal(t, string(sdk.ClassRateLimited), out.Err.Class)
		require.Equal(t, "rate_limited", out.Err.Code)
		require.Equal(t, []string{store.OutcomeFailed, store.OutcomeNotSent}[i], out.Err.Outcome)
		require.InDelta(t, 600, out.Err.RetryAfter.Seconds(), 120, "what is left of it")
		require.Len(t, c.asked(), 1-i, "the trigger of the same event is not sent, nor is the lookup")
	}
}

// A lookup and a form are somebody's who waits: they find room where logs have none.
//
// rows: K12
func TestWhoIsWaitedForFindsRoomBesideLogs(t *testing.T) {
	t.Parallel()
	c := newChainCRM(t)
	ts, in := chained(t, c)
	c.gate = make(chan struct{})
	defer close(c.gate)
	ctx, cancel := context.WithCancel(t.Context())
	var logs sync.WaitGroup
	for range 40 { // more than may be under way at once
		logs.Go(func() { ts.runHook(ctx, in, hookInput(sdk.HookSaveLogCRM, "call.ended")) })
	}
	defer logs.Wait()
	defer cancel()
	require.Eventually(t, func() bool { return c.held.Load() == 12 }, patience, time.Millisecond, "three quarters of sixteen")
	require.Nil(t, ts.runHook(t.Context(), in, hookInput(sdk.HookGetDataIframe, "call.started")).Err)
	ticket := hookInput(sdk.HookCreateTicket, "ticket.create")
	ticket.Hook.Event.Fields = map[string]any{"subject": "It does not work"}
	require.Nil(t, ts.runHook(t.Context(), in, ticket).Err)
	require.EqualValues(t, 12, c.held.Load())
}
