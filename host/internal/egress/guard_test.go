package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/host/internal/address"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inside are addresses that nothing may be connected to.
func inside() []string {
	return []string{
		"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.0.0.1", "0.255.255.255",
		"10.0.0.0", "10.0.0.1", "10.10.10.10", "10.255.255.255", "172.16.0.0", "172.16.0.1", "172.20.1.1", "172.31.255.255",
		"192.168.0.0", "192.168.0.1", "192.168.1.254", "192.168.255.255", "100.64.0.0", "100.64.0.1", "100.100.100.200", "100.127.255.255",
		"169.254.0.1", "169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.170.23", "169.254.255.255", "168.63.129.16",
		"192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.0.2.255", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.88.99.2", "192.175.48.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "198.51.100.255", "203.0.113.1", "203.0.113.255",
		"224.0.0.1", "224.0.0.251", "232.1.1.1", "239.255.255.250", "239.255.255.255", "240.0.0.1", "250.1.1.1", "255.255.255.254", "255.255.255.255",
		"::", "::1", "::2", "::7f00:1", "::127.0.0.1", "::10.0.0.1", "::169.254.169.254", "::8.8.8.8",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:172.16.0.1", "::ffff:192.168.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255", "::ffff:192.0.2.1", "::ffff:7f00:1",
		"::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b::1", "64:ff9b:1::1", "64:ff9b:1::127.0.0.1", "64:ff9b:1:ffff::1",
		"100::", "100::1", "100:0:0:1::1", "200::1", "400::1", "1000::1", "1fff::1",
		"2001::", "2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff::1",
		"2001:db8::", "2001:db8::1", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1",
		"2002::", "2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:c0a8:1::1", "2002:808:808::1",
		"4000::1", "5f00::1", "6000::1", "8000::1", "c000::1", "e000::1", "f000::1", "f800::1", "fb00::1",
		"fc00::1", "fd00::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fdff:ffff::1", "fe00::1", "fe80::1", "fe80::a9fe:a9fe", "fe90::1", "febf::1", "fec0::1", "feff::1",
		"ff00::1", "ff01::1", "ff02::1", "ff02::2", "ff05::2", "ff0e::1",
	}
}

// zone answers for names as a resolver does that is in the hands of an attacker.
type zone struct {
	asked atomic.Int64
	each  func(n int64) []netip.Addr
}

func (z *zone) lookup(context.Context, string) ([]netip.Addr, error) {
	return z.each(z.asked.Add(1)), nil
}

func refusedAs(t *testing.T, err error, ip string) {
	t.Helper()
	refused, ok := errors.AsType[*Refused](err)
	require.True(t, ok, "%s: %v", ip, err)
	require.Equal(t, netip.MustParseAddr(ip).Unmap().String(), refused.IP)
	require.NotEqual(t, address.Public, refused.Class)
	require.Contains(t, refused.Error(), "(hint: ")
}

// rows: E01, P09
//
// Each of these addresses is refused when a URL names it, when a name leads there,
// when a redirect does, and when the name led elsewhere a moment before.
func TestE01NothingInsideIsReached(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(inside()), 120)
	var to atomic.Pointer[string]
	hops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, *to.Load(), http.StatusFound) }))
	t.Cleanup(hops.Close)
	grant, err := address.ParseGrant(strings.TrimPrefix(hops.URL, "http://"))
	require.NoError(t, err)
	hop := New(Options{Allow: []address.Grant{grant}}).Client(ClientOptions{PlainHTTP: true, Redirects: 3})
	t.Cleanup(hop.CloseIdleConnections)
	for _, ip := range inside() {
		literal := ip
		if strings.Contains(ip, ":") {
			literal = "[" + ip + "]"
		}
		at := netip.MustParseAddr(ip)
		plain := New(Options{})
		for _, port := range []string{"80", "443", "6379"} {
			_, err := plain.DialContext(t.Context(), "tcp", literal+":"+port)
			refusedAs(t, err, ip)
		}
		client := plain.Client(ClientOptions{PlainHTTP: true})
		_, err = get(t, client, "http://"+literal+"/")
		refusedAs(t, err, ip)
		_, err = get(t, client, "https://"+literal+"/")
		refusedAs(t, err, ip)

		named := New(Options{Lookup: (&zone{each: func(int64) []netip.Addr { return []netip.Addr{at} }}).lookup})
		_, err = named.DialContext(t.Context(), "tcp", "innocent.example:443")
		refusedAs(t, err, ip)

		where := "http://" + literal + "/latest/meta-data/"
		to.Store(&where)
		_, err = get(t, hop, hops.URL)
		refusedAs(t, err, ip)

		rebound := New(Options{Lookup: (&zone{each: func(n int64) []netip.Addr {
			if n == 1 {
				return []netip.Addr{netip.MustParseAddr("93.184.215.14")}
			}
			return []netip.Addr{at}
		}}).lookup})
		require.NoError(t, rebound.Check(t.Context(), "rebind.example", 443))
		_, err = rebound.DialContext(t.Context(), "tcp", "rebind.example:443")
		refusedAs(t, err, ip)
	}
}

// rows: E01
//
// The look at the socket that is about to connect refuses by itself, whoever comes to it
// with an address that nobody looked at before.
func TestE01TheDialHookRefusesByItself(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	at := netip.MustParseAddrPort(l.Addr().String())
	_, err = New(Options{}).dial(t.Context(), "tcp", "innocent.example", at.Port(), at.Addr(), 1)
	refusedAs(t, err, "127.0.0.1")
	granted := New(Options{Allow: []address.Grant{{Name: "innocent.example"}}})
	conn, err := granted.dial(t.Context(), "tcp", "innocent.example", at.Port(), at.Addr(), 1)
	require.NoError(t, err, "somebody listens there")
	require.NoError(t, conn.Close())
}

// get asks for a URL and closes what it is answered.
func get(t *testing.T, c *http.Client, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// rows: E01, E03
//
// A URL that can be read in two ways leads nowhere: not from a setting, and not from
// the answer of a remote system.
func TestE01OddURLsAreRefused(t *testing.T) {
	t.Parallel()
	var to atomic.Pointer[string]
	hops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", *to.Load())
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(hops.Close)
	grant, err := address.ParseGrant(strings.TrimPrefix(hops.URL, "http://"))
	require.NoError(t, err)
	// Whatever is asked for in DNS is where the test's own server is: what is
	// refused is refused before that.
	home := &zone{each: func(int64) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }}
	c := New(Options{Allow: []address.Grant{grant}, Lookup: home.lookup}).Client(ClientOptions{PlainHTTP: true, Redirects: 3})
	t.Cleanup(c.CloseIdleConnections)
	port := hops.URL[strings.LastIndexByte(hops.URL, ':'):]
	for _, host := range []string{
		"127.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "0x7f.1", "127.0.0.1.", "localhost.", "127.0.0.01", "1.2.3", "0", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost",
		"user@127.0.0.1", "user:pw@127.0.0.1", "example.com@127.0.0.1", "[::1%25lo]", "[127.0.0.1]", "%31%32%37.0.0.1",
	} {
		url := "http://" + host + port + "/"
		_, err := get(t, c, url)
		require.Error(t, err, url)
		to.Store(&url)
		_, err = get(t, c, hops.URL)
		require.Error(t, err, "redirect to %s", url)
		require.NotContains(t, err.Error(), "stopped after", "it was followed: %s", url)
	}
	require.Zero(t, home.asked.Load(), "one of them was resolved")
	for _, url := range []string{"file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "unix:///run/x", "//user@127.0.0.1" + port + "/"} {
		to.Store(&url)
		_, err = get(t, c, hops.URL)
		require.Error(t, err, url)
	}
}

// rows: E01
func TestAGrantOpensWhatItNames(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	at := strings.TrimPrefix(server.URL, "http://")
	_, port, err := net.SplitHostPort(at)
	require.NoError(t, err)
	home := &zone{each: func(int64) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }}
	g := New(Options{Lookup: home.lookup})
	c := g.Client(ClientOptions{PlainHTTP: true})
	t.Cleanup(c.CloseIdleConnections)
	_, err = get(t, c, server.URL)
	refusedAs(t, err, "127.0.0.1")
	for _, grant := range []string{"127.0.0.1", at, "127.0.0.0/8"} {
		parsed, err := address.ParseGrant(grant)
		require.NoError(t, err)
		g.Allow([]address.Grant{parsed})
		code, err := get(t, c, server.URL)
		require.NoError(t, err, grant)
		require.Equal(t, http.StatusTeapot, code)
		c.CloseIdleConnections()
	}
	named, err := address.ParseGrant("crm.internal:" + port)
	require.NoError(t, err)
	g.Allow([]address.Grant{named})
	code, err := get(t, c, "http://crm.internal:"+port)
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, code)
	_, err = get(t, c, "http://other.internal:"+port)
	refusedAs(t, err, "127.0.0.1")
	_, err = get(t, c, server.URL)
	refusedAs(t, err, "127.0.0.1")
	g.Allow(nil)
	c.CloseIdleConnections()
	_, err = get(t, c, "http://crm.internal:"+port)
	refusedAs(t, err, "127.0.0.1")
}

// rows: E01
func TestOfSeveralAddressesTheGoodOnesAreTried(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	mixed := &zone{each: func(int64) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("127.0.0.1")}
	}}
	grant, err := address.ParseGrant("127.0.0.1")
	require.NoError(t, err)
	g := New(Options{Lookup: mixed.lookup, Allow: []address.Grant{grant}})
	conn, err := g.DialContext(t.Context(), "tcp", "mixed.example:"+port)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// rows: E01
func TestThisMachineIsInsideAtItsPublicAddressToo(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddr("93.184.215.14")
	g := New(Options{Own: func() []netip.Addr { return []netip.Addr{own} }})
	_, err := g.DialContext(t.Context(), "tcp", "93.184.215.14:22")
	refused, ok := errors.AsType[*Refused](err)
	require.True(t, ok, err)
	require.Equal(t, address.Own, refused.Class)
}

// rows: E01
//
// Who grants the prefix of a NAT64 has not granted what is behind it.
func TestATranslatorsPrefixOpensNothingInside(t *testing.T) {
	t.Parallel()
	grant, err := address.ParseGrant("64:ff9b::/96")
	require.NoError(t, err)
	g := New(Options{Allow: []address.Grant{grant}})
	require.NoError(t, g.Check(t.Context(), "64:ff9b::808:808", 443))
	for _, ip := range []string{"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1"} {
		require.Error(t, g.Check(t.Context(), ip, 443), ip)
	}
}

// rows: E01
func TestRedirectsTakeNothingAlongAndAreFew(t *testing.T) {
	t.Parallel()
	type hop struct{ key, cookie, auth, body string }
	seen := make(chan hop, 16)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/again" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		seen <- hop{r.Header.Get("X-Api-Key"), r.Header.Get("Cookie"), r.Header.Get("Authorization"), r.Method}
	}))
	t.Cleanup(other.Close)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusFound
		switch r.URL.Path {
		case "/own":
			http.Redirect(w, r, "/other", code)
		case "/keep":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", code)
		case "/twice":
			http.Redirect(w, r, other.URL+"/again", code)
		default:
			http.Redirect(w, r, other.URL, code)
		}
	}))
	t.Cleanup(first.Close)
	grant, err := address.ParseGrant("127.0.0.1")
	require.NoError(t, err)
	g := New(Options{Allow: []address.Grant{grant}})
	c := g.Client(ClientOptions{PlainHTTP: true, Redirects: 9})
	t.Cleanup(c.CloseIdleConnections)
	send := func(method, path, body string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, first.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("X-Api-Key", "s3cret")
		req.Header.Set("Cookie", "s=3cret")
		req.Header.Set("Authorization", "Bearer s3cret")
		resp, err := c.Do(req)
		if err == nil {
			require.NoError(t, resp.Body.Close())
		}
		return err
	}
	require.NoError(t, send(http.MethodGet, "/own", ""))
	require.Equal(t, hop{"", "", "", http.MethodGet}, <-seen)
	require.NoError(t, send(http.MethodGet, "/twice", ""))
	require.Equal(t, hop{"", "", "", http.MethodGet}, <-seen, "nor when the other host sends it on to itself")
	require.ErrorIs(t, send(http.MethodPost, "/keep", "s3cret"), ErrRedirect)
	require.ErrorIs(t, send(http.MethodGet, "/loop", ""), ErrRedirect)
	require.Empty(t, seen)

	still := g.Client(ClientOptions{PlainHTTP: true})
	t.Cleanup(still.CloseIdleConnections)
	code, err := get(t, still, first.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, code, "it is not followed unless it is asked for")
}

// rows: R01
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(toxic))
	t.Cleanup(server.Close)
	grant, err := address.ParseGrant("127.0.0.1")
	require.NoError(t, err)
	g := New(Options{Allow: []address.Grant{grant}})
	read := func(path string, opts ClientOptions) (int64, error) {
		opts.PlainHTTP = true
		c := g.Client(opts)
		defer c.CloseIdleConnections()
		return readAll(t, c, server.URL+path)
	}
	n, err := read("/bomb", ClientOptions{})
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualValues(t, 8<<20, n)
	n, err = read("/bomb", ClientOptions{MaxBody: 1 << 10})
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualValues(t, 1<<10, n)
	n, err = read("/fits", ClientOptions{MaxBody: 1 << 10})
	require.NoError(t, err)
	require.EqualValues(t, 1<<10, n)
	_, err = read("/header", ClientOptions{})
	require.ErrorContains(t, err, "server response headers exceeded")
	began := time.Now()
	_, err = read("/drip", ClientOptions{Timeout: 300 * time.Millisecond})
	require.Error(t, err)
	_, err = read("/silence", ClientOptions{Header: 300 * time.Millisecond})
	require.ErrorContains(t, err, "timeout awaiting response headers")
	require.Less(t, time.Since(began), 30*time.Second)
}

func ExampleRefused() {
	fmt.Println(&Refused{Host: "crm.internal", Port: 8443, IP: "10.1.2.3", Class: address.Private})
	// Output: crm.internal:8443 is refused: it is at 10.1.2.3, a private address (hint: egress: {allow: ["crm.internal:8443"]} in host.yaml opens it)
}
