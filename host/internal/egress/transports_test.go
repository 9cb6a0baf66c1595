package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/address"
)

// each returns transports that may connect to a server on this machine.
func each(t *testing.T, opts ClientOptions) *Transports {
	t.Helper()
	grant, err := address.ParseGrant("127.0.0.1")
	require.NoError(t, err)
	opts.PlainHTTP = true
	out := New(Options{Allow: []address.Grant{grant}}).Transports(opts)
	t.Cleanup(out.Renew)
	return out
}

// ask sends a GET as a user and returns the answer's text.
func ask(ctx context.Context, ts *Transports, user, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := ts.For(user).RoundTrip(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(res.Body)
	return string(text), errors.Join(err, res.Body.Close())
}

func asked(t *testing.T, ts *Transports, user, url string) string {
	t.Helper()
	text, err := ask(t.Context(), ts, user, url)
	require.NoError(t, err)
	return text
}

// asking sends a GET as the user a and returns at once; the channel has its text, or why there is none.
func asking(ctx context.Context, ts *Transports, url string) <-chan string {
	out := make(chan string, 1)
	go func() {
		text, err := ask(ctx, ts, "a", url)
		if err != nil {
			text = err.Error()
		}
		out <- text
	}()
	return out
}

// rows: E01, R01
//
// One integration holds every connection that it may have to a slow host: another one
// of the same host is answered, and the first one's next request waits.
func TestAUserThatHoldsAllItsConnectionsIsInNobodysWay(t *testing.T) {
	t.Parallel()
	release, held := make(chan struct{}), make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			held <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(server.Close)
	ts := each(t, ClientOptions{Conns: 2, Header: time.Minute})
	slow := []<-chan string{asking(t.Context(), ts, server.URL+"/slow"), asking(t.Context(), ts, server.URL+"/slow")}
	for range slow {
		<-held
	}
	third := asking(t.Context(), ts, server.URL+"/")
	require.Equal(t, "done", asked(t, ts, "b", server.URL+"/"), "its connections are its own")
	select {
	case <-third:
		require.Fail(t, "a request of the first one has a third connection")
	default:
	}
	close(release)
	for _, text := range append(slow, third) {
		require.Equal(t, "done", <-text)
	}
}

// rows: E01
//
// Nobody is given a connection, a TLS session or a cookie of another one's.
func TestNothingOfAConnectionIsShared(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "of-somebody", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
		_, _ = fmt.Fprintf(w, "%s resumed=%v cookies=%d", r.RemoteAddr, r.TLS.DidResume, len(r.Cookies()))
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	ts := each(t, ClientOptions{})
	trusted := func(user string) *checked {
		c := ts.For(user).(*userTransport).checked //nolint:forcetypeassert // of this package
		if c.base.TLSClientConfig == nil {
			c.base.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12} //nolint:forcetypeassert // as above
		}
		return c
	}
	require.NotSame(t, trusted("a"), trusted("b"))
	ofA := asked(t, ts, "a", server.URL)
	require.Contains(t, ofA, "resumed=false cookies=0")
	require.Equal(t, ofA, asked(t, ts, "a", server.URL), "it goes on with its connection")
	ofB := asked(t, ts, "b", server.URL)
	require.Contains(t, ofB, "resumed=false cookies=0")
	require.NotEqual(t, ofA, ofB)

	before := trusted("a")
	ts.Renew()
	require.NotSame(t, before, trusted("a"), "what was granted changed: no connection from before is used")
	require.NotEqual(t, ofA, asked(t, ts, "a", server.URL))
}

// However many integrations there are, few transports are kept: those of who asked last.
func TestTransportsAreFew(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ts := each(t, ClientOptions{})
	ts.now = func() time.Time { return now }
	for i := range 10_000 {
		ts.For(fmt.Sprint(i))
	}
	require.Len(t, ts.byUser, maxTransports)
	require.Equal(t, maxTransports, ts.recent.Len())
	require.Contains(t, ts.byUser, "9999")
	require.NotContains(t, ts.byUser, "0")
	now = now.Add(transportRest + 1)
	ts.For("9999")
	require.Len(t, ts.byUser, maxTransports, "it is forgotten when another one is made")
	ts.For("new")
	require.Len(t, ts.byUser, 2, "the others had a rest that was too long")
}

// A transport that is forgotten while it is used ends what it does, and its connection
// does not stay.
func TestAForgottenTransportEndsWhatItDoes(t *testing.T) {
	t.Parallel()
	release, held := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex // guards open
	open := map[string]bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(held)
		<-release
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<10))
	}))
	server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if open[c.RemoteAddr().String()] = true; s == http.StateClosed {
			delete(open, c.RemoteAddr().String())
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	ts := each(t, ClientOptions{})
	done := asking(t.Context(), ts, server.URL)
	<-held
	ts.Renew()
	close(release)
	require.Len(t, <-done, 1<<10)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(open) == 0
	}, time.Minute, 5*time.Millisecond, "nobody would use it again")
}
