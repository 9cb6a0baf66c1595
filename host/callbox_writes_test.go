package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// writesTemplate makes a log and, when the call ends, completes it and adds a note to
// it. Nothing of it may be sent twice; what was lost can be found by its key.
const writesTemplate = `name: acme-crm
label: Acme
type: CRM
info:
  hooks:
    savePreLogCRM: {steps: [{objectName: log, endpoint: make-log}]}
    saveLogCRM:
      steps:
        - {objectName: done, endpoint: end-log, when: "{{ call.log.id != nil }}"}
        - {objectName: made, endpoint: make-log, when: "{{ call.log.id == nil }}"}
        - {objectName: note, endpoint: add-note}
        - {objectName: tag, endpoint: add-tag}
      id: "{{ call.log.id ?? context.made.data.id }}"
    lookup:
      steps: [{objectName: logs, endpoint: find-log}, {objectName: notes, endpoint: find-note}, {objectName: tags, endpoint: find-tag}]
      id: "{{ first(call.lost == 'note' ? context.notes.items : call.lost == 'tag' ? context.tags.items : context.logs.items)?.id }}"
endpoints:
  - {name: find-log, type: GetData, url: "http://{{ host }}/logs", parameters: [{name: key, in: query, from: call, key: idempotency_key}]}
  - {name: find-note, type: GetData, url: "http://{{ host }}/notes", parameters: [{name: key, in: query, from: call, key: idempotency_key}]}
  - {name: find-tag, type: GetData, url: "http://{{ host }}/tags", parameters: [{name: key, in: query, from: call, key: idempotency_key}]}
  - name: make-log
    type: PostData
    url: http://{{ host }}/logs
    body: {key: "{{ call.idempotency_key }}", call: "{{ call.call_id }}"}
    response: {shape: call_log, item: {id: data.id}}
  - {name: end-log, type: PostData, method: PATCH, idempotent: true, url: "http://{{ host }}/logs/{{ call.log.id }}"}
  - name: add-note
    type: PostData
    url: http://{{ host }}/notes
    body: {key: "{{ call.idempotency_key }}", log: "{{ call.log.id ?? context.made.data.id }}"}
    response: {shape: message, item: {id: data.id}}
  - name: add-tag
    type: PostData
    url: http://{{ host }}/tags
    body: {key: "{{ call.idempotency_key }}", log: "{{ call.log.id ?? context.made.data.id }}", note: "{{ context.note.data.id }}"}
`

// writesCRM is a remote system that takes everything that it is sent, as often as it is
// sent. It loses requests and answers.
type writesCRM struct {
	mu     sync.Mutex // guards what follows
	chance *rand.Rand
	share  float64
	kill   func()            // ends the host's process in the middle of a request
	killed bool              // nothing is sent any more
	calls  map[string]string // by log
	wrong  []string
	done   map[string][]string // what was done to each call, in its order
	keys   map[string][]string // ids, by kind and key
	ids    int
}

// RoundTrip implements http.RoundTripper.
func (c *writesCRM) RoundTrip(r *http.Request) (*http.Response, error) {
	var body struct{ Key, Call, Log, Note string }
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&body)
		_ = r.Body.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return nil, errors.New("the process is gone")
	}
	fate := c.chance.Float64()
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders() // it is on its way
	}
	if fate < c.share/2 {
		return nil, io.ErrUnexpectedEOF // nothing was done
	}
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	answer := c.work(r, kind, id, body.Key, body.Call, body.Log, body.Note)
	if c.kill != nil && r.Method == http.MethodPost && c.chance.IntN(12) == 0 {
		c.killed = true
		c.kill()
	}
	if fate < c.share || c.killed {
		return nil, io.ErrUnexpectedEOF // it was done, and nobody is told
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader([]byte(answer))), Request: r,
	}, nil
}

// work does what a request asks for, and returns the answer. The caller holds mu.
func (c *writesCRM) work(r *http.Request, kind, id, key, call, log, note string) string {
	if r.Method == http.MethodGet {
		items := []string{}
		for _, id := range c.keys[kind+" "+r.URL.Query().Get("key")] {
			items = append(items, fmt.Sprintf(`{"id": %q}`, id))
		}
		return `{"items": [` + strings.Join(items, ",") + `]}`
	}
	if r.Method == http.MethodPatch {
		c.did(c.calls[id], "end")
		return "{}"
	}
	c.ids++
	made := fmt.Sprintf("%s-%d", kind, c.ids)
	c.keys[kind+" "+key] = append(c.keys[kind+" "+key], made)
	if kind == "logs" {
		c.calls[made] = call
	} else {
		call = c.calls[log]
	}
	if kind == "tags" && !strings.HasPrefix(note, "notes-") {
		c.wrong = append(c.wrong, "the tag of "+call+" is of note "+note)
	}
	c.did(call, kind)
	return fmt.Sprintf(`{"data": {"id": %q}}`, made)
}

// did notes what was done to a call. A log may be ended again: that is idempotent.
func (c *writesCRM) did(call, what string) {
	had := c.done[call]
	if what == "end" && len(had) > 0 && had[len(had)-1] == "end" {
		return
	}
	c.done[call] = append(had, what)
}

// mortalInbox forgets what it is told once its host was killed.
type mortalInbox struct {
	*sqlite.Inbox
	killed func() bool
}

func (m mortalInbox) FinishEvent(ctx context.Context, o store.EventOutcome) (store.Call, store.ClaimedEvent, bool, error) {
	if m.killed() {
		return store.Call{}, store.ClaimedEvent{}, false, store.ErrClosed
	}
	return m.Inbox.FinishEvent(ctx, o)
}

func (m mortalInbox) SaveEvent(ctx context.Context, o store.EventOutcome) error {
	if m.killed() {
		return store.ErrClosed
	}
	return m.Inbox.SaveEvent(ctx, o)
}

// writesHooks runs the template's chains.
func writesHooks(t *testing.T, dir string, crm *writesCRM) *callHooks {
	t.Helper()
	path := filepath.Join(dir, "acme-crm.yaml")
	require.NoError(t, os.WriteFile(path, []byte(writesTemplate), 0o600))
	keys, err := secret.OpenKeyring(filepath.Join(dir, "key"), filepath.Join(dir, "keys"))
	require.NoError(t, err)
	ts := &templates{
		keys: keys, redactor: &secret.Redactor{}, log: hclog.NewNullLogger(), compiler: endpoint.NewCompiler(), chains: chain.New(chain.Options{}),
		ready: map[string]*prepared{},
	}
	ts.engine, err = endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return crm }, Tokens: noTokens{}, Plain: func(string) bool { return true }})
	require.NoError(t, err)
	f, problems := config.LoadTemplateFile(path, templateOptions(ts.compiler, config.Options{}))
	require.NoError(t, problems.Err())
	ts.prepare(f.Template)
	in := store.Integration{IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "crm", Template: "acme-crm", Host: "crm.example"}}
	in.UID, in.State = "i1", store.IntegrationActive
	in.Settings, err = keys.Seal([]byte(`{}`), in.Tenant, in.UID, "settings")
	require.NoError(t, err)
	return &callHooks{
		integration: func(context.Context, string) (store.Integration, error) { return in, nil }, lookup: time.Second, flows: templateFlows{ts, time.Second},
	}
}

// Calls of several writes each, to a remote system that forgets nothing and takes
// everything twice that is sent twice, while it loses a fifth of the requests and of the
// answers, and the host is killed in the middle of writes: each is done once and in its
// order, and none is lost.
//
// rows: F31, G24, G25, G34, I08, K12
func TestEveryWriteOfACallIsDoneOnceAndInItsOrder(t *testing.T) {
	t.Parallel()
	calls := 24
	if soaking() {
		calls = 500
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		crm := &writesCRM{chance: rand.New(rand.NewPCG(3, 5)), share: 0.2, calls: map[string]string{}, done: map[string][]string{}, keys: map[string][]string{}}
		hooks := writesHooks(t, dir, crm)
		in, _ := hooks.integration(t.Context(), "")
		ctx := context.Background()
		kills := 0
		open := true
		for life := 0; open; life++ {
			db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "data"), NoSync: true})
			require.NoError(t, err)
			inbox, err := db.OpenInbox(ctx)
			require.NoError(t, err)
			over := make(chan struct{})
			crm.mu.Lock()
			crm.killed, crm.kill = false, nil
			if life < 6 {
				crm.kill = sync.OnceFunc(func() { kills++; close(over) })
			}
			crm.mu.Unlock()
			box := callbox.New(mortalInbox{inbox, func() bool { crm.mu.Lock(); defer crm.mu.Unlock(); return crm.killed }}, hooks, callbox.Options{})
			runs, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() { ended <- box.Run(runs) }()
			now := time.Duration(0)
			for i := range calls {
				call := fmt.Sprintf("c%03d", i)
				for _, e := range []sdk.CallEvent{{Type: "call.connected", CallID: call}, {Type: "call.ended", CallID: call, Result: "COMPLETED"}} {
					if e.Type == "call.connected" && i%3 == 0 {
						continue // some have no log when they end
					}
					_, err := box.Send(ctx, in, callbox.Request{Event: e, Key: call + e.Type, Wait: &now})
					require.NoError(t, err)
				}
			}
			select {
			case <-over:
			case <-time.After(time.Hour):
			}
			stop()
			require.NoError(t, <-ended)
			counts, err := inbox.CallCounts(ctx)
			require.NoError(t, err)
			open = counts.Open+counts.Unknown > 0
			if life >= 6 {
				require.Zero(t, counts.Open+counts.Unknown, "%s", writesLeft(t, inbox))
			}
			require.NoError(t, db.Close())
		}
		require.Positive(t, kills)
		require.Empty(t, crm.wrong)
		for i := range calls {
			want := []string{"logs", "end", "notes", "tags"}
			if i%3 == 0 {
				want = []string{"logs", "notes", "tags"}
			}
			require.Equal(t, want, crm.done[fmt.Sprintf("c%03d", i)], "call %d", i)
		}
	})
}

// writesLeft tells of the events that are not done.
func writesLeft(t *testing.T, inbox *sqlite.Inbox) string {
	t.Helper()
	list, err := inbox.Calls(t.Context(), store.CallFilter{})
	require.NoError(t, err)
	var out strings.Builder
	for _, c := range list {
		events, err := inbox.CallEvents(t.Context(), c.ID)
		require.NoError(t, err)
		for _, e := range events {
			if !e.State.Final() {
				steps, _ := json.Marshal(e.Steps)
				fmt.Fprintf(&out, "%s %s %s: %v %s\n", c.External, e.Type, e.State, e.Error, steps)
			}
		}
	}
	return out.String()
}
