package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "0123456789abcdef"

// serve runs a server until the test ends and returns its address.
func serve(t *testing.T, opts Options) string {
	t.Helper()
	opts.Listen = "127.0.0.1:0"
	opts.Authorized = func(token string) bool { return token == testToken }
	s, err := New(opts)
	require.NoError(t, err)
	run(t, s)
	require.Eventually(t, func() bool { return s.Addr() != nil }, time.Minute, time.Millisecond)
	require.NoError(t, s.Err())
	return s.Addr().String()
}

func run(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.Error(t, s.Err())
	})
}

// ask sends a request and returns the answer's code, headers and text.
func ask(t *testing.T, addr, method, path string, change func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, http.NoBody)
	require.NoError(t, err)
	if change != nil {
		change(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(text)
}

func withToken(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testToken) }

func secretRoute() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /metrics": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "numbers") }),
		"POST /body": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			}
		}),
		"GET /broken": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_ = r.Header["X-None"][1] // a secret of an index
		}),
	}
}

// rows: K20
func TestAllButHealthNeedsTheToken(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Routes: secretRoute()})
	for _, path := range []string{"/healthz", "/readyz"} {
		code, _, _ := ask(t, addr, http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, code, path)
	}
	for _, path := range []string{"/metrics", "/broken", "/", "/api/v1/status", "/healthz/more"} {
		for _, value := range []string{"", "Bearer ", "Bearer wrong", "Basic " + testToken, testToken} {
			code, h, text := ask(t, addr, http.MethodGet, path, func(r *http.Request) {
				if value != "" {
					r.Header.Set("Authorization", value)
				}
			})
			require.Equal(t, http.StatusUnauthorized, code, "%s %q", path, value)
			require.Contains(t, h.Get("WWW-Authenticate"), "Bearer")
			require.NotContains(t, text, "numbers")
		}
	}
	code, _, _ := ask(t, addr, http.MethodGet, "/metrics", func(r *http.Request) {
		r.Header["Authorization"] = []string{"Bearer " + testToken, "Bearer " + testToken}
	})
	require.Equal(t, http.StatusUnauthorized, code, "twice")
	code, h, text := ask(t, addr, http.MethodGet, "/metrics", withToken)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "numbers", text)
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	code, _, _ = ask(t, addr, http.MethodGet, "/unknown", withToken)
	require.Equal(t, http.StatusNotFound, code)
}

// rows: K20, X05
func TestOnlyTheNamesOfThisMachineAreAnswered(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Routes: secretRoute()})
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:" + port: 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.0.0.2:80": 200, "[::1]:" + port: 200, "[::1]": 200,
		"evil.example": 403, "evil.example:" + port: 403, "localhost.evil.example": 403, "127.0.0.1.nip.example": 403,
		"10.0.0.1": 403, "0.0.0.0": 403, "[::]": 403, "[fe80::1]": 403, "localhost.": 403,
	} {
		for _, path := range []string{"/healthz", "/metrics"} {
			code, _, text := ask(t, addr, http.MethodGet, path, func(r *http.Request) {
				withToken(r)
				r.Host = host
			})
			require.Equal(t, want, code, "%s %s", host, path)
			require.Equal(t, want == 200, !strings.Contains(text, "not the host"), host)
		}
	}
	code, _, _ := ask(t, serve(t, Options{Routes: secretRoute()}), http.MethodPost, "/body", func(r *http.Request) {
		withToken(r)
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	})
	require.Equal(t, http.StatusForbidden, code, "a page of another site")
}

// rows: N01
func TestNothingBeyondThisMachineIsServed(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"0.0.0.0:0": "beyond this machine", ":0": "beyond this machine", "[::]:0": "beyond this machine", "192.0.2.1:0": "beyond this machine",
		"example.com:80": "beyond this machine", "127.0.0.1": "read address", "": "read address",
	} {
		_, err := New(Options{Listen: addr, Authorized: func(string) bool { return false }})
		require.ErrorContains(t, err, want, addr)
	}
	_, err := New(Options{Listen: "127.0.0.1:0"})
	require.Error(t, err, "nobody would be asked for a token")
}

// A token for one route opens that and nothing else.
//
// rows: K20
func TestATokenForOneRoute(t *testing.T) {
	t.Parallel()
	const narrow = "fedcba9876543210"
	addr := serve(t, Options{Routes: secretRoute(), Open: map[string]func(context.Context, string) bool{"GET /metrics": func(_ context.Context, token string) bool { return token == narrow }}})
	with := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/metrics", narrow, 200},
		{"/metrics", testToken, 200},
		{"/metrics", "", 401},
		{"/metrics", "x", 401},
		{"/broken", narrow, 401},
		{"/", narrow, 401},
		{"/metrics/more", narrow, 401},
		{"/unknown", testToken, 404},
	} {
		code, _, _ := ask(t, addr, http.MethodGet, c.path, with(c.token))
		require.Equal(t, c.want, code, "%s %s", c.path, c.token)
	}
}

func TestReadinessTellsWhyToWhoHasTheToken(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Ready: func() error { return errors.New("tenant acme is ill") }})
	code, _, text := ask(t, addr, http.MethodGet, "/readyz", nil)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.NotContains(t, text, "acme")
	code, _, text = ask(t, addr, http.MethodGet, "/readyz", withToken)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, "acme")
	code, _, _ = ask(t, addr, http.MethodGet, "/healthz", nil)
	require.Equal(t, http.StatusOK, code, "it lives all the same")
}

// rows: I11
func TestI11RequestsAreBounded(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Routes: secretRoute(), HeaderTimeout: 500 * time.Millisecond, MaxConns: 4})
	var dialer net.Dialer
	long, err := dialer.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = long.Close() })
	_, _ = fmt.Fprintf(long, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 64<<10)) // it may be cut off
	said, _ := io.ReadAll(long)
	require.NotContains(t, string(said), "200 OK", "a header of 64 KiB")
	code, _, _ := ask(t, serve(t, Options{Routes: secretRoute()}), http.MethodPost, "/body", func(r *http.Request) {
		withToken(r)
		r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", maxBody+1)))
		r.ContentLength = maxBody + 1
	})
	require.Equal(t, http.StatusRequestEntityTooLarge, code)

	// Those who say nothing take all places, and are sent away: others get theirs.
	for range 12 {
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte("GET /healthz HTTP/1.1\r\n"))
		require.NoError(t, err)
	}
	code, _, _ = ask(t, addr, http.MethodGet, "/healthz", nil)
	require.Equal(t, http.StatusOK, code)
}

// rows: F28
func TestConnectionsBeyondTheirNumberWait(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{MaxConns: 1})
	var dialer net.Dialer
	first, err := dialer.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	hello := func(c net.Conn) {
		_, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		require.NoError(t, err)
	}
	hello(first)
	_, err = http.ReadResponse(bufio.NewReader(first), nil) //nolint:bodyclose // of a connection that the test closes
	require.NoError(t, err)

	second, err := dialer.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = second.Close() })
	hello(second)
	require.NoError(t, second.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = second.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout, "the second was served beside the first")
	require.NoError(t, first.Close())
	require.NoError(t, second.SetReadDeadline(time.Time{}))
	_, err = http.ReadResponse(bufio.NewReader(second), nil) //nolint:bodyclose // likewise
	require.NoError(t, err)
}

func TestAPanicIsANumber(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Routes: secretRoute()})
	code, _, text := ask(t, addr, http.MethodGet, "/broken", withToken)
	require.Equal(t, http.StatusInternalServerError, code)
	require.Contains(t, text, "internal error ")
	require.NotContains(t, text, "index")
}

// A port that is taken keeps nothing else from being done, and is taken when it is
// free.
func TestATakenPortIsTriedAgain(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	other, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := New(Options{Listen: other.Addr().String(), Authorized: func(string) bool { return true }, Retry: time.Millisecond})
	require.NoError(t, err)
	run(t, s)
	require.Eventually(t, func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), "in use") }, time.Minute, time.Millisecond)
	require.ErrorContains(t, s.Err(), "hint: ")
	require.Nil(t, s.Addr())
	require.NoError(t, other.Close())
	require.Eventually(t, func() bool { return s.Addr() != nil }, time.Minute, time.Millisecond)
}
