package plugin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// gate is a host's proxy that lets everything named in lead pass, and refuses the
// rest as it is told to.
type gate struct {
	lead   map[string]string // where a target is
	status string
	body   string
	asked  chan string
}

// open sets the gate to work and returns its socket.
func (g *gate) open(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "egress")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	g.asked = make(chan string, 16)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { g.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return socket
}

func (g *gate) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // a test's
	in := bufio.NewReader(conn)
	req, err := http.ReadRequest(in)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	g.asked <- req.RequestURI
	to, ok := g.lead[req.RequestURI]
	if !ok {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", g.status, len(g.body), g.body)
		return
	}
	remote, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer remote.Close() //nolint:errcheck // a test's
	// The remote system speaks first, in the same packet as the proxy.
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, remote)
		_ = conn.Close()
	})
	_, _ = io.Copy(remote, in)
	_ = remote.Close()
	back.Wait()
}

// rows: P09
func TestConnectionsGoTheWayOfTheHost(t *testing.T) { //nolint:paralleltest // the environment is the process's
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	g := &gate{lead: map[string]string{"example.com:443": strings.TrimPrefix(server.URL, "https://")}}
	t.Setenv(plugin.EgressEnv, g.open(t))
	before := http.DefaultTransport.(*http.Transport).Clone()
	plugin.RouteDefault()
	t.Cleanup(func() {
		d := http.DefaultTransport.(*http.Transport)
		d.Proxy, d.DialContext = before.Proxy, before.DialContext
	})
	require.Nil(t, http.DefaultTransport.(*http.Transport).Proxy)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	for name, transport := range map[string]*http.Transport{"own": plugin.Transport(), "default": http.DefaultTransport.(*http.Transport).Clone()} {
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/x", http.NoBody)
		require.NoError(t, err)
		resp, err := (&http.Client{Transport: transport}).Do(req)
		require.NoError(t, err, name)
		require.Equal(t, http.StatusTeapot, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
		transport.CloseIdleConnections()
		require.Equal(t, "example.com:443", <-g.asked, "the name goes to the host, which resolves it")
	}
}

// rows: P09
func TestWhatTheHostRefusesIsATypedError(t *testing.T) { //nolint:paralleltest // the environment is the process's
	g := &gate{status: "403 Forbidden", body: `{"code":"egress_host","class":"config","message":"plugin crm may not connect: evil.example:443 is none of its hosts (hint: x)"}`}
	t.Setenv(plugin.EgressEnv, g.open(t))
	c := &http.Client{Transport: plugin.Transport()}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://evil.example/", http.NoBody)
	require.NoError(t, err)
	_, err = c.Do(req) //nolint:bodyclose // there is none
	e := sdk.AsError(err)
	require.Equal(t, sdk.ClassConfig, e.Class)
	require.Equal(t, "egress_host", e.Code)
	require.True(t, e.Permanent())
	require.True(t, e.Safe)
	require.Contains(t, e.Message, "(hint: x)")

	g.status, g.body = "502 Bad Gateway", `{"code":"egress_unreachable","class":"transient","message":"down"}`
	_, err = plugin.DialContext(t.Context(), "tcp", "down.example:443")
	require.Equal(t, sdk.ClassTransient, sdk.AsError(err).Class)
	require.False(t, sdk.AsError(err).Permanent())
	g.body = "no JSON"
	_, err = plugin.DialContext(t.Context(), "tcp", "down.example:443")
	require.ErrorContains(t, err, "502 Bad Gateway")
	for _, network := range []string{"udp", "unix", "tcp "} {
		_, err = plugin.DialContext(t.Context(), network, "a.example:53")
		require.Equal(t, "egress_request", sdk.AsError(err).Code, network)
	}
	_, err = plugin.DialContext(t.Context(), "tcp", "a.example:443\r\nX: y")
	require.Equal(t, "egress_request", sdk.AsError(err).Code)
}

// rows: P09
func TestADialEndsWithItsContext(t *testing.T) { //nolint:paralleltest // the environment is the process's
	socket := filepath.Join(t.TempDir(), "egress")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket) // nobody accepts
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv(plugin.EgressEnv, socket)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = plugin.DialContext(ctx, "tcp", "slow.example:443")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	t.Setenv(plugin.EgressEnv, socket+"-gone")
	_, err = plugin.DialContext(t.Context(), "tcp", "slow.example:443")
	require.Equal(t, sdk.ClassTransient, sdk.AsError(err).Class)
}

// Without a host, as in a test, a plugin connects by itself.
func TestWithoutAProxyConnectionsAreDirect(t *testing.T) { //nolint:paralleltest // the environment is the process's
	t.Setenv(plugin.EgressEnv, "")
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	conn, err := plugin.DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
