//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

const logTemplate = `name: acme-crm
label: Acme
type: CRM
info:
  dataFunction: [{objectName: contact, endpoint: find}]
  hooks:
    savePreLogCRM: {steps: [{objectName: log, endpoint: make-log}]}
    saveLogCRM:
      steps:
        - {objectName: done, endpoint: end-log, when: "{{ call.log.id != nil }}"}
        - {objectName: made, endpoint: make-log, when: "{{ call.log.id == nil }}"}
      id: "{{ call.log.id ?? context.made.id }}"
parameters: [{name: key, in: header, as: X-Key, secret: true, required: true}]
endpoints:
  - {name: find, type: GetData, url: "http://{{ host }}/contacts", parameters: [{name: phone, in: query, from: call, key: number}]}
  - name: make-log
    type: PostData
    idempotent: true
    url: http://{{ host }}/logs
    parameters: [{name: Idempotency-Key, in: header, from: call, key: idempotency_key}, {name: call, in: body, from: call, key: call_id}]
    response: {shape: call_log, item: {id: id}}
  - name: end-log
    type: PostData
    method: PUT
    url: http://{{ host }}/logs/{{ call.log.id }}
    parameters: [{name: call, in: body, from: call, key: call_id}]
`

// logCRM keeps one log for each idempotency key. It fails a share of the requests:
// before it did anything, or after, and it can be away.
type logCRM struct {
	address string
	share   float64

	mu     sync.Mutex // guards what follows
	chance *rand.Rand
	server *httptest.Server
	logs   map[string]string // call by id
	keys   map[string]string // id by key
	ended  map[string]int    // by id
	posts  int
}

func newLogCRM(t *testing.T, share float64) *logCRM {
	t.Helper()
	c := &logCRM{share: share, chance: rand.New(rand.NewPCG(7, 7)), logs: map[string]string{}, keys: map[string]string{}, ended: map[string]int{}}
	c.up(t)
	t.Cleanup(c.down)
	return c
}

// up listens, where it did before if it did.
func (c *logCRM) up(t *testing.T) {
	t.Helper()
	var l net.Listener
	var err error
	require.Eventually(t, func() bool {
		l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", orElse(c.address, "127.0.0.1:0"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	c.address = l.Addr().String()
	s := httptest.NewUnstartedServer(c)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	c.mu.Lock()
	c.server = s
	c.mu.Unlock()
}

// down breaks every connection and listens no more.
func (c *logCRM) down() {
	c.mu.Lock()
	s := c.server
	c.server = nil
	c.mu.Unlock()
	if s != nil {
		s.CloseClientConnections()
		s.Close()
	}
}

// ServeHTTP implements http.Handler.
func (c *logCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fails := c.chance.Float64() < c.share
	if kind := c.chance.IntN(3); fails && kind < 2 {
		if kind == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		panic(http.ErrAbortHandler) // the connection breaks
	}
	var body struct{ Call string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	id := strings.TrimPrefix(r.URL.Path, "/logs/")
	switch {
	case r.URL.Path == "/contacts":
		_, _ = fmt.Fprintf(w, `{"id": 7, "phone": %q}`, r.URL.Query().Get("phone"))
		return
	case r.Method == http.MethodPost:
		c.posts++
		key := r.Header.Get("Idempotency-Key")
		if id = c.keys[key]; id == "" {
			id = fmt.Sprintf("log-%d", len(c.logs)+1)
			c.keys[key], c.logs[id] = id, body.Call
		}
	case c.logs[id] != body.Call:
		w.WriteHeader(http.StatusNotFound)
		return
	default:
		c.ended[id]++
	}
	if fails {
		panic(http.ErrAbortHandler) // it was done, and nobody is told
	}
	_, _ = fmt.Fprintf(w, `{"id": %q}`, id)
}

// sendTo sends an event past the socket, and does not wait for its hook.
func sendTo(t testing.TB, h *Host, typ store.CallEventType, call string) api.CallSent {
	t.Helper()
	in, err := h.db.IntegrationByName(context.Background(), "acme", "crm")
	require.NoError(t, err)
	e := sdk.CallEvent{Type: string(typ), CallID: call}
	if typ == store.CallStarted {
		e.Direction, e.From = "in", "+49301234567"
	}
	if typ == store.CallEnded {
		e.Result = "COMPLETED"
	}
	now := time.Duration(0)
	sent, err := (&calls{h.inbox, h.callbox, h.hooks}).Send(context.Background(), in, api.CallRequest{Event: e, Key: string(typ) + call, Wait: &now})
	require.NoError(t, err)
	return sent
}

// ready waits for the integration.
func ready(s *site, h *Host) {
	s.t.Helper()
	s.noticed("the integration is there", func() bool {
		in, err := h.db.IntegrationByName(context.Background(), "acme", "crm")
		return err == nil && in.State == store.IntegrationActive
	})
}

// Calls at once, each connected and ended, while the remote system fails a fifth of the
// requests, breaks connections before and after it did what was asked, and is away for
// a while, and the host stops and comes back: each call has one log, and it is ended.
//
// rows: K16, F31, G24, G25, G29, I08
func TestNoLogIsLostWhileTheCRMFails(t *testing.T) {
	t.Parallel()
	n := 100
	switch {
	case soaking():
		n = 1000
	case testing.Short():
		n = 40
	}
	crm := newLogCRM(t, 0.2)
	s := templateSite(t, logTemplate, crm.address)
	h, stop := s.host(runner.Options{})
	ready(s, h)
	var senders sync.WaitGroup
	send := func(h *Host, from, to int) {
		for i := from; i < to; i++ {
			senders.Go(func() {
				sendTo(t, h, store.CallConnected, fmt.Sprint(i))
				sendTo(t, h, store.CallEnded, fmt.Sprint(i))
			})
		}
		senders.Wait()
	}
	send(h, 0, n/2)
	crm.down()
	send(h, n/2, 3*n/4)
	stop()
	h, stop = s.host(runner.Options{})
	send(h, 3*n/4, n)
	crm.up(t)
	s.within(5*time.Minute, "every log is written", func() bool {
		counts, err := h.inbox.CallCounts(context.Background())
		require.NoError(t, err)
		return counts.Open == 0
	})
	list, err := h.inbox.Calls(context.Background(), store.CallFilter{Limit: n + 1})
	require.NoError(t, err)
	require.Len(t, list, n)
	exam, err := h.db.Examine(context.Background(), true)
	require.NoError(t, err)
	require.NoError(t, exam.Err())
	stop()
	crm.mu.Lock()
	defer crm.mu.Unlock()
	byCall := map[string]string{}
	for id, call := range crm.logs {
		require.NotContains(t, byCall, call, "call %s has two logs", call)
		byCall[call] = id
	}
	for _, c := range list {
		require.Zero(t, c.Unknown, "what may be sent again is")
		require.Equal(t, byCall[c.External], c.Log.ID)
		require.Positive(t, crm.ended[c.Log.ID], "call %s", c.External)
	}
}

// A host that is killed while a write is on its way does not know whether it arrived:
// nothing is sent again, what comes after it waits, and a person is told what to do.
//
// rows: F31, I08, K16
func TestAKilledHostDoesNotWriteTwice(t *testing.T) {
	t.Parallel()
	bin, err := builds()
	require.NoError(t, err)
	arrived, posts := make(chan struct{}), atomic.Int64{}
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost && posts.Add(1) == 1 {
			close(arrived)
			<-r.Context().Done() // nobody is told
			return
		}
		_, _ = io.WriteString(w, `{"id": "other"}`)
	}))
	t.Cleanup(crm.Close)
	s := templateSite(t, strings.Replace(logTemplate, "idempotent: true", "idempotent: false", 1), crm.Listener.Addr().String())
	s.bin = bin
	d := s.start()
	s.noticed("the integration is there", func() bool {
		out, err := s.try("hook", "list", "-o", "json")
		return err == nil && strings.Contains(out, "make-log")
	})
	s.cli("hook", "fire", "call.connected", "acme/crm", "--call", "1", "--wait", "0s")
	<-arrived
	require.Equal(t, "queued", s.fire("call.ended", "acme/crm", "--call", "1", "--result", "COMPLETED", "--wait", "0s").Result.State)
	d.kill(t)

	d = s.start()
	var page string
	s.noticed("the call waits for a person", func() bool {
		page, err = s.try("call", "show", "-i", "acme/crm", "1")
		return err == nil && strings.Contains(page, "hook resolve")
	})
	require.Contains(t, page, "unknown")
	require.Contains(t, page, "queued")
	require.Contains(t, s.cli("status"), "waits for a person")
	require.EqualValues(t, 1, posts.Load())
	s.cli("hook", "resolve", "1", "--made", "L-1")
	s.noticed("the log is ended", func() bool { return s.logged("1") })
	require.EqualValues(t, 1, posts.Load())
	d.stop(t)
}

// logged reports whether nothing of a call is left to be done.
func (s *site) logged(call string) bool {
	s.t.Helper()
	var doc struct {
		Call struct {
			Open, Unknown int
			LogID         string `json:"log_id"`
		}
	}
	s.doc(&doc, "call", "show", "-i", "acme/crm", call)
	return doc.Call.Open+doc.Call.Unknown == 0 && doc.Call.LogID == "L-1"
}
