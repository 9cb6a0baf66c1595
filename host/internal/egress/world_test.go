package egress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/address"
)

// world is a proxy of the plugin "crm", and names that lead where a test wants.
type world struct {
	t      *testing.T
	guard  *Guard
	list   *List
	socket string
	log    *journal

	mu    sync.Mutex // guards what follows
	names map[string]string
	dials func() // called while a name is looked up; may be nil
	tally map[Result]int
	bytes map[bool]int
	now   time.Time
}

// journal is a log that is read while it is written.
type journal struct {
	mu  sync.Mutex // guards out
	out bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.out.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.out.String()
}

func newWorld(t *testing.T, opts ProxyOptions, grants ...string) *world {
	t.Helper()
	w := &world{
		t: t, list: NewList(), socket: filepath.Join(t.TempDir(), "egress"), log: &journal{},
		names: map[string]string{}, tally: map[Result]int{}, bytes: map[bool]int{}, now: time.Unix(1_700_000_000, 0),
	}
	var allow []address.Grant
	for _, text := range grants {
		g, err := address.ParseGrant(text)
		require.NoError(t, err)
		allow = append(allow, g)
	}
	w.guard = New(Options{Allow: allow, Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		w.mu.Lock()
		dials := w.dials
		w.mu.Unlock()
		if dials != nil {
			dials()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.names[host] == "" {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return []netip.Addr{netip.MustParseAddr(w.names[host])}, nil
	}})
	opts.Plugin, opts.List = "crm", w.list
	opts.Log = hclog.New(&hclog.LoggerOptions{Output: w.log, Level: hclog.Info})
	opts.Attempted = func(r Result) { w.mu.Lock(); w.tally[r]++; w.mu.Unlock() }
	opts.Moved = func(sent bool, n int) { w.mu.Lock(); w.bytes[sent] += n; w.mu.Unlock() }
	opts.Now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	proxy := w.guard.Proxy(opts)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", w.socket)
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { require.NoError(t, proxy.Serve(listener)) })
	t.Cleanup(func() {
		proxy.Close()
		serving.Wait()
	})
	return w
}

func (w *world) name(host, ip string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[host] = ip
}

// during has fn called while names are looked up.
func (w *world) during(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials = fn
}

func (w *world) count(r Result) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tally[r]
}

func (w *world) moved(sent bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes[sent]
}

func (w *world) allow(patterns ...string) (remove func()) {
	w.t.Helper()
	var list []address.Pattern
	for _, text := range patterns {
		p, err := address.ParsePattern(text)
		require.NoError(w.t, err)
		list = append(list, p)
	}
	return w.list.Add(list...)
}

// dial connects to the proxy itself.
func (w *world) dial() net.Conn {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "unix", w.socket)
	require.NoError(w.t, err)
	require.NoError(w.t, conn.SetDeadline(time.Now().Add(30*time.Second))) // what hangs fails
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// connect asks for a tunnel. The fault is nil if there is one.
func (w *world) connect(target string) (net.Conn, *bufio.Reader, *fault) {
	w.t.Helper()
	conn := w.dial()
	_, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	require.NoError(w.t, err)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // of a tunnel there is none, and fault reads it
	require.NoError(w.t, err)
	if resp.StatusCode == http.StatusOK {
		return conn, in, nil
	}
	return nil, nil, w.fault(resp)
}

func (w *world) fault(resp *http.Response) *fault {
	w.t.Helper()
	f := &fault{status: resp.StatusCode}
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(body, f), string(body))
	require.Equal(w.t, f.Code, resp.Header.Get("Jackfield-Egress"))
	return f
}

// echo is a remote system that speaks first and then says what it is told, until it
// is told no more. It returns its port.
func echo(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close() //nolint:errcheck // a test's
				_, _ = io.WriteString(conn, "hello\n")
				_, _ = io.Copy(conn, conn)
				_, _ = io.WriteString(conn, "bye\n")
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		all.Wait()
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// plain asks for a URL over the proxy, as of plain HTTP.
func (w *world) plain(url string) (int, *fault) {
	w.t.Helper()
	conn := w.dial()
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: elsewhere.example\r\nProxy-Authorization: s3cret\r\n\r\n", url)
	require.NoError(w.t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(w.t, err)
	defer resp.Body.Close() //nolint:errcheck // a test's
	if resp.Header.Get("Jackfield-Egress") != "" {
		return resp.StatusCode, w.fault(resp)
	}
	return resp.StatusCode, nil
}
