package callbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script are hooks whose answers a test writes.
type script struct {
	run  func(ctx context.Context, job Job) Result
	plan Plan

	mu   sync.Mutex
	seen []string // type of each event that was run, with its call
}

func (s *script) Plan(_ context.Context, _ store.Integration, t store.CallEventType) Plan {
	p := s.plan
	p.Runs, p.Writes = []string{"crm"}, t.Writes()
	if p.Lookup == 0 {
		p.Lookup = 3 * time.Second
	}
	if Hook(t) == "" {
		p.Runs = nil
	}
	return p
}

func (s *script) Run(ctx context.Context, job Job) Result {
	s.mu.Lock()
	what := job.Call.External + " " + job.Body.Type
	if job.Ask {
		what += " asked"
	}
	s.seen = append(s.seen, what)
	s.mu.Unlock()
	if s.run == nil {
		return Result{}
	}
	return s.run(ctx, job)
}

// ran returns what was run of a call.
func (s *script) ran() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// world is a call box in a bubble, on a real inbox.
type world struct {
	t     *testing.T
	dir   string
	hooks *script
	opts  Options
	db    *sqlite.DB
	inbox *sqlite.Inbox
	box   *Callbox
	stop  func()
}

// inWorld runs a test in a bubble, whose clock jumps.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: dir, hooks: &script{}}
		w.start()
		defer func() { w.stop() }()
		test(t, w)
	})
}

// start opens the inbox and the call box, as a process does.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.db, err = sqlite.Open(context.Background(), sqlite.Options{Path: w.dir, NoSync: true})
	require.NoError(w.t, err)
	w.inbox, err = w.db.OpenInbox(context.Background())
	require.NoError(w.t, err)
	w.box = New(w.inbox, w.hooks, w.opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.box.Run(ctx) }()
	w.stop = func() {
		w.t.Helper()
		cancel()
		require.NoError(w.t, <-done)
		require.NoError(w.t, w.db.Close())
	}
}

func crm() store.Integration {
	return store.Integration{UID: "i1", IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "crm"}, State: store.IntegrationActive}
}

// fire returns an event of a call.
func fire(typ store.CallEventType, call string) sdk.CallEvent {
	e := sdk.CallEvent{Type: string(typ), CallID: call}
	switch typ {
	case store.CallStarted, store.SMSSent:
		e.Direction, e.From, e.To = "in", "+4930123", "200"
		if typ == store.SMSSent {
			e.Text = "hello"
		}
	case store.CallEnded:
		e.Result, e.Duration = "COMPLETED", 93
	case store.CallUpdated:
		e.Update = "hold"
	case store.TicketCreate, store.ContactCreate:
		e.Fields = map[string]any{"subject": "refund"}
	case store.CallConnected, store.CallWrapup:
	}
	return e
}

func (w *world) send(e sdk.CallEvent, key string, wait time.Duration) Sent {
	w.t.Helper()
	sent, err := w.box.Send(w.t.Context(), crm(), Request{Event: e, Key: key, Wait: &wait})
	require.NoError(w.t, err)
	return sent
}

// call returns a call with its events.
func (w *world) call(external string) (store.Call, []store.CallEvent) {
	w.t.Helper()
	c, err := w.inbox.CallByExternal(w.t.Context(), "i1", external)
	require.NoError(w.t, err)
	events, err := w.inbox.CallEvents(w.t.Context(), c.ID)
	require.NoError(w.t, err)
	return c, events
}

// sound looks for what must never be.
func (w *world) sound() {
	w.t.Helper()
	exam, err := w.db.Examine(w.t.Context(), true)
	require.NoError(w.t, err)
	require.NoError(w.t, exam.Err())
}

// settled waits until nothing is to be done for the calls.
func (w *world) settled(patience time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(patience); ; {
		n, err := w.inbox.CallCounts(w.t.Context())
		require.NoError(w.t, err)
		if n.Open == 0 {
			return
		}
		require.True(w.t, time.Now().Before(end), "%d calls are not done", n.Open)
		<-time.After(50 * time.Millisecond)
	}
}

// refused is an error of the remote system.
func refused(class sdk.Class, outcome string) *store.HookError {
	return &store.HookError{Class: string(class), Code: "crm", Message: "the CRM", Outcome: outcome}
}
