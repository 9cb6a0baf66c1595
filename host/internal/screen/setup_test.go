package screen

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCalls keeps one call and answers what the test wants.
type fakeCalls struct {
	mu      sync.Mutex // guards all
	call    Call
	err     error
	asked   []Act
	scopes  []Scope
	answer  func(Act) (Outcome, error)
	changed chan struct{} // closed at the next change
}

func newCalls(c Call) *fakeCalls { return &fakeCalls{call: c, changed: make(chan struct{})} }

func (f *fakeCalls) set(change func(*Call)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.call)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeCalls) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeCalls) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeCalls) acts() []Act {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Act(nil), f.asked...)
}

func (f *fakeCalls) Call(_ context.Context, s Scope) (Call, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.Call == "panic" {
		panic("the call breaks")
	}
	return f.call, f.err
}

func (f *fakeCalls) Watch(ctx context.Context, _ Scope) (<-chan struct{}, error) {
	out := make(chan struct{}, 1)
	changed := f.next()
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			changed = f.next()
			select {
			case out <- struct{}{}:
			default: // it is told already
			}
		}
	}()
	return out, nil
}

func (f *fakeCalls) Act(_ context.Context, s Scope, a Act) (Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.scopes = append(f.asked, a), append(f.scopes, s)
	if f.answer == nil {
		return Outcome{State: OutcomeDone}, nil
	}
	return f.answer(a)
}

const crm = "https://crm.acme.example"

func testScope() Scope {
	return Scope{Tenant: "acme", Integration: "crm", Call: "c-1", Agent: "ada", Origin: crm}
}

// ringing is a call as a screen shows it most often.
func ringing() Call {
	began := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	return Call{
		State: StateRinging, Direction: "in", From: "+49 30 1234567", To: "+49 30 99", StartedAt: began,
		Matches: []Match{{ID: "7", Name: "Grace Hopper", Company: "Navy", Phone: "+49 30 1234567", URL: "https://crm.acme.example/c/7"}},
		Screen: sdk.Screen{Title: "Grace Hopper", Components: []sdk.Component{
			{Type: sdk.ComponentText, Label: "Remark", Text: "Prefers to be called after ten.\nSpeaks COBOL."},
			{Type: sdk.ComponentLink, Label: "Account", Text: "Navy", URL: "https://crm.acme.example/a/1"},
			{Type: sdk.ComponentPhone, Label: "Mobile", Text: "+49 170 555-01"},
			{Type: sdk.ComponentEmail, Label: "Mail", Text: "grace@navy.example"},
			{Type: sdk.ComponentList, Label: "Interests", Items: []sdk.ScreenValue{{Label: "1952", Text: "Compilers"}, {Text: "Moths", URL: "https://crm.acme.example/t/2"}}},
			{Type: sdk.ComponentTable, Label: "Tickets", Columns: []string{"Number", "Subject", "State"}, Rows: [][]sdk.ScreenValue{
				{{Text: "T-1", URL: "https://crm.acme.example/t/1"}, {Text: "Relay #70 is stuck"}, {Text: "open"}},
				{{Text: "T-2"}, {Text: "The tape is cut"}, {Text: "solved"}},
			}},
			{Type: sdk.ComponentForm, Label: "New ticket", Action: sdk.ActionTicket, Submit: "Create ticket", Fields: []sdk.ScreenField{
				{Name: "subject", Label: "Subject", Required: true},
				{Name: "email", Label: "Reply to", Kind: sdk.FieldEmail, Value: "grace@navy.example", Help: "Who is told when it is solved"},
				{Name: "priority", Label: "Priority", Kind: sdk.FieldSelect, Options: []sdk.ScreenOption{{Value: "low", Label: "Low"}, {Value: "high", Label: "High"}}},
				{Name: "text", Label: "What it is about", Kind: sdk.FieldMultiline},
				{Name: "urgent", Label: "Call back today", Kind: sdk.FieldCheckbox},
			}},
			{Type: sdk.ComponentButton, Label: "Not a customer", Action: sdk.ActionNote, Values: map[string]string{"text": "not a customer"}},
		}},
		Events: []Event{{At: began, Text: "Ringing at ada"}},
	}
}

// world is a server of screens behind HTTP.
type world struct {
	t       *testing.T
	calls   *fakeCalls
	screens *Server
	http    *httptest.Server

	mu      sync.Mutex // guards origins
	origins []string
}

func (w *world) allow(origins ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.origins = origins
}

func (w *world) allowed(tenant string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tenant != "acme" {
		return nil
	}
	return w.origins
}

// newWorld serves the screens of one call until the test ends.
func newWorld(t *testing.T, c Call, secure bool, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, calls: newCalls(c), origins: []string{crm}}
	mux := http.NewServeMux()
	w.http = httptest.NewUnstartedServer(mux)
	opts := Options{Origins: w.allowed, Base: func() string { return w.http.URL }}
	if change != nil {
		change(&opts)
	}
	var err error
	w.screens, err = New(w.calls, opts)
	require.NoError(t, err)
	for pattern, h := range w.screens.Routes() {
		mux.Handle(pattern, h)
	}
	if secure {
		w.http.StartTLS()
	} else {
		w.http.Start()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.screens.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		w.http.Close()
	})
	return w
}

// ticket returns the address of a new one.
func (w *world) ticket(s Scope) string {
	w.t.Helper()
	ticket, err := w.screens.Issue(w.t.Context(), s)
	require.NoError(w.t, err)
	return ticket.URL
}

// browser is a client with cookies that follows nothing by itself.
type browser struct {
	w      *world
	client *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	client := w.http.Client()
	return &browser{w, &http.Client{Transport: client.Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type answer struct {
	code   int
	header http.Header
	text   string
}

// do sends a request; headers are name and value in turn.
func (b *browser) do(method, address string, form url.Values, headers ...string) answer {
	t := b.w.t
	t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	if strings.HasPrefix(address, "/") {
		address = b.w.http.URL + address
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	require.NoError(t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (b *browser) get(address string, headers ...string) answer {
	b.w.t.Helper()
	return b.do(http.MethodGet, address, nil, headers...)
}

// open exchanges a new ticket and returns the path of the screen.
func (b *browser) open() string {
	b.w.t.Helper()
	a := b.get(b.w.ticket(testScope()))
	require.Equal(b.w.t, http.StatusSeeOther, a.code, a.text)
	return a.header.Get("Location")
}

// formOf returns what a page's form that has a text sends, but for its fields.
func formOf(t *testing.T, page, with string) url.Values {
	t.Helper()
	for _, form := range regexp.MustCompile(`(?s)<form method="post".*?</form>`).FindAllString(page, -1) {
		if !strings.Contains(form, with) {
			continue
		}
		out := url.Values{}
		for _, m := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`).FindAllStringSubmatch(form, -1) {
			out.Set(m[1], m[2])
		}
		require.Len(t, out, 3, form)
		return out
	}
	require.Fail(t, "no form has "+with, page)
	return nil
}
