package egress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/address"
)

// rows: P09
func TestP09OnlyAllowedHostsAreReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ProxyOptions{}, "api.example", "api.other.example")
	port := echo(t)
	for _, host := range []string{"api.example", "api.other.example", "evil.example", "other.example"} {
		w.name(host, "127.0.0.1")
	}
	remove := w.allow("api.example:"+port, "*.other.example:"+port)

	for _, host := range []string{"api.example", "api.other.example", "API.example"} {
		conn, in, f := w.connect(host + ":" + port)
		require.Nil(t, f)
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "hello\n", line)
		_, err = io.WriteString(conn, "ping\n")
		require.NoError(t, err)
		require.NoError(t, conn.(*net.UnixConn).CloseWrite())
		rest, err := io.ReadAll(in)
		require.NoError(t, err)
		require.Equal(t, "ping\nbye\n", string(rest), "half of it goes on when the other half has ended")
	}
	require.Equal(t, 3, w.count(ResultConnected))
	require.Equal(t, 3*len("ping\n"), w.moved(true))
	require.Equal(t, 3*len("hello\nping\nbye\n"), w.moved(false))

	for _, target := range []string{"evil.example:" + port, "other.example:" + port, "api.example:443", "127.0.0.1:" + port, "localhost:" + port, "x.api.example:" + port} {
		_, _, f := w.connect(target)
		require.NotNil(t, f, target)
		require.Equal(t, http.StatusForbidden, f.status, target)
		require.Equal(t, CodeHost, f.Code)
		require.Equal(t, "config", f.Class)
		for _, word := range []string{"plugin crm", target, "(hint: ", "plugins: {network: {crm: direct}}"} {
			require.Contains(t, f.Message, word)
		}
	}
	require.Equal(t, 6, w.count(ResultRefused))

	remove()
	_, _, f := w.connect("api.example:" + port)
	require.NotNil(t, f, "what no integration names any more is not reached any more")
	require.Equal(t, CodeHost, f.Code)
}

// rows: P09, E01
//
// A name that is allowed opens nothing inside, whatever DNS says, and nor does a
// grant of the name open the machine's metadata.
func TestP09AnAllowedNameLeadsNowhereInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ProxyOptions{}, "granted.example")
	w.allow("api.example", "granted.example", "10.1.2.3", "api.example:80")
	for _, ip := range []string{"169.254.169.254", "10.0.0.1", "127.0.0.1", "::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"} {
		w.name("api.example", ip)
		_, _, f := w.connect("api.example:443")
		require.NotNil(t, f, ip)
		require.Equal(t, CodeAddress, f.Code)
		require.Equal(t, "config", f.Class)
		require.Equal(t, http.StatusForbidden, f.status)
		require.Contains(t, f.Message, "plugin crm")
		require.Contains(t, f.Message, "egress: {allow: [")
		code, f := w.plain("http://api.example/")
		require.Equal(t, http.StatusForbidden, code)
		require.Equal(t, CodeAddress, f.Code)
	}
	for _, ip := range []string{"169.254.169.254", "169.254.1.1", "100.100.100.200"} {
		w.name("granted.example", ip)
		_, _, f := w.connect("granted.example:443")
		require.NotNil(t, f, ip)
		require.Equal(t, CodeAddress, f.Code)
	}
	_, _, f := w.connect("10.1.2.3:443")
	require.NotNil(t, f)
	require.Equal(t, CodeAddress, f.Code, "a manifest grants nothing")
}

// rows: P09
func TestConnectionsEndWithWhatAllowedThem(t *testing.T) {
	t.Parallel()
	port := echo(t)
	w := newWorld(t, ProxyOptions{}, "api.example")
	w.name("api.example", "127.0.0.1")
	remove := w.allow("api.example:" + port)
	w.allow("other.example:" + port)
	_, in, f := w.connect("api.example:" + port)
	require.Nil(t, f)
	_, err := in.ReadString('\n')
	require.NoError(t, err)
	w.guard.Allow([]address.Grant{{Name: "api.example"}, {Name: "other.example"}})
	remove()
	_, err = io.Copy(io.Discard, in)
	require.NoError(t, err, "nothing names it any more, so it is closed")

	w.name("other.example", "127.0.0.1")
	_, in, f = w.connect("other.example:" + port)
	require.Nil(t, f)
	w.guard.Allow(nil)
	_, err = io.Copy(io.Discard, in)
	require.NoError(t, err, "nobody grants it any more, so it is closed")
}

// rows: P09
//
// What is taken away while a connection is being made ends it as well: nothing knows of
// it when all others are looked through.
func TestAConnectionInTheMakingEndsWithWhatAllowedIt(t *testing.T) {
	t.Parallel()
	port := echo(t)
	w := newWorld(t, ProxyOptions{}, "api.example")
	w.name("api.example", "127.0.0.1")
	for name, take := range map[string]func(remove func()){
		"Named":   func(remove func()) { remove() },
		"Granted": func(func()) { w.guard.Allow(nil) },
	} {
		remove := w.allow("api.example:" + port)
		w.guard.Allow([]address.Grant{{Name: "api.example"}})
		w.during(func() { take(remove) })
		_, _, f := w.connect("api.example:" + port)
		w.during(nil)
		require.NotNil(t, f, name)
		remove()
	}
	require.Zero(t, w.count(ResultConnected))
}

// rows: P09
func TestPlainHTTPIsPassedOn(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	w := newWorld(t, ProxyOptions{}, "api.example")
	w.name("api.example", "127.0.0.1")
	w.allow("api.example:" + port)
	code, f := w.plain("http://api.example:" + port + "/a?b=c")
	require.Nil(t, f)
	require.Equal(t, http.StatusTeapot, code)
	r := <-got
	require.Equal(t, "/a?b=c", r.RequestURI)
	require.Equal(t, "api.example:"+port, r.Host, "what is asked for is what is connected to")
	require.Empty(t, r.Header.Get("Proxy-Authorization"))
	require.Empty(t, r.Header.Get("X-Forwarded-For"))
	require.Positive(t, w.moved(true))
	require.Positive(t, w.moved(false))
	for url, want := range map[string]string{
		"http://evil.example/": CodeHost, "http://api.example/": CodeHost, "https://api.example:" + port + "/": CodeRequest, "/": CodeRequest,
		"http://user@api.example:" + port + "/": CodeRequest, "http://0x7f.1/": CodeRequest, "ftp://api.example/": CodeRequest,
	} {
		_, f := w.plain(url)
		require.NotNil(t, f, url)
		require.Equal(t, want, f.Code, url)
		require.Equal(t, "config", f.Class)
	}
}

// rows: P09
func TestAHostThatIsDownIsTriedAgainLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ProxyOptions{}, "down.example")
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	w.name("down.example", "127.0.0.1")
	w.allow("down.example:"+port, "unknown.example")
	for _, target := range []string{"down.example:" + port, "unknown.example:443"} {
		_, _, f := w.connect(target)
		require.NotNil(t, f)
		require.Equal(t, CodeUnreachable, f.Code)
		require.Equal(t, "transient", f.Class)
		require.Equal(t, http.StatusBadGateway, f.status)
	}
	require.Equal(t, 2, w.count(ResultFailed))
	require.Zero(t, w.count(ResultRefused))
}

// rows: P09
func TestAProcessHasSoManyConnectionsAndNoIdleOnes(t *testing.T) {
	t.Parallel()
	port := echo(t)
	w := newWorld(t, ProxyOptions{Tunnels: 2}, "api.example")
	w.name("api.example", "127.0.0.1")
	w.allow("api.example:" + port)
	var first net.Conn
	for range 2 {
		conn, _, f := w.connect("api.example:" + port)
		require.Nil(t, f)
		first = conn
	}
	_, _, f := w.connect("api.example:" + port)
	require.NotNil(t, f)
	require.Equal(t, CodeBusy, f.Code)
	require.Equal(t, "transient", f.Class)
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool {
		conn, _, f := w.connect("api.example:" + port)
		if f == nil {
			require.NoError(t, conn.Close())
		}
		return f == nil
	}, time.Minute, 20*time.Millisecond, "the place of a connection that has ended is free")

	idle := newWorld(t, ProxyOptions{Idle: 50 * time.Millisecond}, "api.example")
	idle.name("api.example", "127.0.0.1")
	idle.allow("api.example:" + port)
	_, in, f := idle.connect("api.example:" + port)
	require.Nil(t, f)
	_, err := io.Copy(io.Discard, in)
	require.NoError(t, err, "it is closed")

	full := newWorld(t, ProxyOptions{Room: func() error { return errors.New("no room") }}, "api.example")
	full.allow("api.example:" + port)
	_, _, f = full.connect("api.example:" + port)
	require.NotNil(t, f)
	require.Equal(t, CodeBusy, f.Code)
}

// rows: P09
func TestRefusalsAreToldOnceAMinuteAHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ProxyOptions{})
	for range 5 {
		w.connect("evil.example:443")
	}
	w.connect("other.example:443")
	require.Equal(t, 1, strings.Count(w.log.String(), "host=evil.example:443"), w.log.String())
	require.Equal(t, 1, strings.Count(w.log.String(), "host=other.example:443"))
	require.Contains(t, w.log.String(), "plugin=crm")
	require.Contains(t, w.log.String(), CodeHost)
	w.mu.Lock()
	w.now = w.now.Add(time.Minute)
	w.mu.Unlock()
	w.connect("evil.example:443")
	require.Equal(t, 2, strings.Count(w.log.String(), "host=evil.example:443"))
	require.Contains(t, w.log.String(), "more=4")
	for n := range 2 * toldHosts {
		w.connect(fmt.Sprintf("h%d.example:443", n))
	}
	require.LessOrEqual(t, strings.Count(w.log.String(), "refused"), toldHosts+2)
	require.Contains(t, w.log.String(), "host=others")
}

// rows: P09
//
// What a plugin says to the proxy harms nobody but itself.
func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ProxyOptions{}, "127.0.0.0/8")
	w.allow("127.0.0.1")
	for _, target := range []string{"127.0.0.1", "0x7f.1:443", "2130706433:443", "127.0.0.1.:443", "[::1%25lo]:443", "a@127.0.0.1:443", "127.0.0.1:0443", "127.0.0.1:99999", "evil\x1b[31m:443", "x" + strings.Repeat("y", 4000) + ":443"} {
		conn := w.dial()
		_, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n", target)
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
		require.NoError(t, err, target)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, target)
		require.NoError(t, resp.Body.Close())
	}
	require.NotContains(t, w.log.String(), "\x1b")
	conn := w.dial()
	go func() {
		_, _ = fmt.Fprintf(conn, "CONNECT 127.0.0.1:443 HTTP/1.1\r\nX: %s\r\n\r\n", strings.Repeat("x", 1<<20))
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}

// rows: P09
func TestCloseEndsEveryConnection(t *testing.T) {
	t.Parallel()
	port := echo(t)
	grant, err := address.ParseGrant("127.0.0.1")
	require.NoError(t, err)
	list := NewList()
	number, err := address.Port(port)
	require.NoError(t, err)
	list.Add(address.Pattern{Host: "127.0.0.1", Port: number})
	p := New(Options{Allow: []address.Grant{grant}}).Proxy(ProxyOptions{Plugin: "crm", List: list})
	w := &world{t: t, socket: filepath.Join(t.TempDir(), "egress")}
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", w.socket)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	var open []io.Reader
	for range 8 {
		_, in, f := w.connect("127.0.0.1:" + port)
		require.Nil(t, f)
		open = append(open, in)
	}
	p.Close()
	require.NoError(t, <-served)
	for _, in := range open {
		_, _ = io.Copy(io.Discard, in) // it ends
	}
	_, err = new(net.Dialer).DialContext(t.Context(), "unix", w.socket)
	require.Error(t, err)
}

func TestListsHoldWhatSeveralAddUntilAllHaveLeft(t *testing.T) {
	t.Parallel()
	l := NewList()
	p := address.Pattern{Host: "crm.example", Port: 443}
	first := l.Add(p)
	second := l.Add(p, address.Pattern{Host: "example.org", Below: true, Port: 443})
	first()
	first()
	require.True(t, l.Allows("crm.example", 443))
	require.True(t, l.Allows("a.b.example.org", 443))
	require.False(t, l.Allows("example.org", 443))
	second()
	require.False(t, l.Allows("crm.example", 443))
	require.False(t, l.Allows("a.example.org", 443))
}
