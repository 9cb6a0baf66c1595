package screen

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// followed returns the names of the events that a screen is sent, until it ends.
func (b *browser) followed(ctx context.Context, path string) <-chan string {
	t := b.w.t
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.w.http.URL+path+"/events", http.NoBody)
	require.NoError(t, err)
	resp, err := b.client.Do(req) //nolint:bodyclose // closed by who reads it
	require.NoError(t, err)
	out := make(chan string, 64)
	if resp.StatusCode != http.StatusOK {
		require.NoError(t, resp.Body.Close())
		out <- resp.Status
		close(out)
		return out
	}
	require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		defer close(out)
		defer func() { _ = resp.Body.Close() }() // the test has what it wanted
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				out <- name
			} else if strings.HasPrefix(lines.Text(), ": ") {
				out <- lines.Text()
			}
		}
	}()
	return out
}

// heard waits for an event; others may come before it.
func heard(t *testing.T, events <-chan string, want string) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		select {
		case name, more := <-events:
			require.True(t, more, "it ended without %s", want)
			if name == want {
				return
			}
		case <-patience:
			require.Fail(t, "nobody said "+want)
		}
	}
}

// silent waits until nothing more comes.
func silent(t *testing.T, events <-chan string) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		select {
		case _, more := <-events:
			if !more {
				return
			}
		case <-patience:
			require.Fail(t, "it does not end")
		}
	}
}

// rows: K25
func TestAScreenIsToldOfChangesUntilItIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b := w.browser()
	path := b.open()
	events := b.followed(t.Context(), path)
	heard(t, events, "changed")
	w.calls.set(func(c *Call) { c.State = StateConnected })
	heard(t, events, "changed")
	require.Contains(t, b.get(path).text, "Connected")
	w.screens.Revoke(Scope{Tenant: "acme", Call: "c-1"})
	heard(t, events, "over")
	silent(t, events)

	path = b.open()
	events = b.followed(t.Context(), path)
	heard(t, events, "changed")
	w.calls.set(func(c *Call) { c.WrapupAt = time.Now().Add(-wrapupGrace) })
	heard(t, events, "over")
	silent(t, events)
	require.Equal(t, http.StatusUnauthorized, b.get(path).code)
}

func TestASettingThatChangesEndsAScreenThatIsWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, func(o *Options) { o.Heartbeat = time.Millisecond })
	b := w.browser()
	events := b.followed(t.Context(), b.open())
	heard(t, events, ": alive")
	w.allow()
	heard(t, events, "over")
	silent(t, events)
}

func TestPlacesToFollowAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, func(o *Options) { o.Streams = 3 })
	b := w.browser()
	first, second := b.open(), b.open()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var open []<-chan string
	for range 2 {
		open = append(open, b.followed(ctx, first))
		heard(t, open[len(open)-1], "changed")
	}
	heard(t, b.followed(ctx, first), "503 Service Unavailable") // a third of one screen
	open = append(open, b.followed(ctx, second))
	heard(t, open[2], "changed")
	heard(t, b.followed(ctx, second), "503 Service Unavailable") // a fourth of all
	require.Equal(t, http.StatusOK, b.get(second).code)
	cancel()
	for _, events := range open {
		silent(t, events)
	}
	require.Eventually(t, func() bool { return len(w.screens.streams) == 0 }, time.Minute, time.Millisecond)
	heard(t, b.followed(t.Context(), first), "changed")
}

// pipes is a listener within the process, so that its time can be that of a bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close is called once: the server sees to that.
func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func TestAScreenIsFollowedForLongerThanAnAnswerMayTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := newCalls(ringing())
		s, err := New(calls, Options{Base: func() string { return "http://host" }})
		require.NoError(t, err)
		mux := http.NewServeMux()
		for pattern, h := range s.Routes() {
			mux.Handle(pattern, h)
		}
		l := pipes(make(chan net.Conn))
		srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			mine, theirs := net.Pipe()
			l <- theirs
			return mine, nil
		}}
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		b := &browser{&world{t: t, http: &httptest.Server{URL: "http://host"}}, &http.Client{Transport: transport, Jar: jar}}
		scope := testScope()
		scope.Origin = ""
		ticket, err := s.Issue(t.Context(), scope)
		require.NoError(t, err)
		page := b.get(ticket.URL)
		ctx, cancel := context.WithCancel(t.Context())
		events := b.followed(ctx, "/screen/c/"+regexp.MustCompile(`data-screen="(\w+)"`).FindStringSubmatch(page.text)[1])
		for began := time.Now(); time.Since(began) < 10*time.Minute; {
			heard(t, events, ": alive")
		}
		calls.set(func(c *Call) { c.State = StateConnected })
		heard(t, events, "changed")
		cancel()
		silent(t, events)
		transport.CloseIdleConnections()
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}

// An agent whose call another has now is told so, and sees and does nothing more in it.
//
// rows: K25
func TestACallThatMovedIsOverForWhoHadIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b := w.browser()
	path := b.open()
	events := b.followed(t.Context(), path)
	heard(t, events, "changed")
	w.calls.fail(ErrMoved)
	w.calls.set(func(c *Call) { c.State = StateConnected })
	heard(t, events, "over")
	silent(t, events)
	a := b.get(path)
	require.Equal(t, http.StatusGone, a.code, "its session has ended")
	require.Contains(t, a.text, "Another agent has this call now.")
	require.Equal(t, http.StatusGone, b.get(path+"/events").code)
	require.Equal(t, http.StatusUnauthorized, w.browser().get(path).code, "nobody else is told")
	_, err := w.screens.Issue(t.Context(), testScope())
	require.ErrorIs(t, err, ErrMoved)

	w.calls.fail(nil)
	path = b.open()
	form := formOf(t, b.get(path).text, "Create ticket")
	w.calls.fail(ErrMoved)
	form.Set("f.subject", "mine no more")
	a = b.do(http.MethodPost, path+"/act", form)
	require.Equal(t, http.StatusGone, a.code)
	require.Contains(t, a.text, "Another agent has this call now.")
	require.NotContains(t, a.text, "Grace")
	require.Empty(t, w.calls.acts())
}
