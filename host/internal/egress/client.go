package egress

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackfield/jackfield/host/internal/address"
)

// The bounds of what a remote system can send.
const (
	maxHeader    = 64 << 10
	maxAnswer    = 8 << 20
	maxRedirects = 3
	maxConns     = 64 // to one host at once
)

// ClientOptions are those of one purpose. The zero value means the documented
// defaults.
type ClientOptions struct {
	PlainHTTP bool          // http too, not https alone
	Redirects int           // that are followed; none if zero, three at most
	Timeout   time.Duration // of a request with the last byte of its answer; 30s if zero
	Header    time.Duration // until the answer begins; 10s if zero
	MaxBody   int64         // of an answer, unpacked; 8 MiB if zero
	Conns     int           // to one host at once; 64 if zero
}

func (o ClientOptions) defaults() ClientOptions {
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.Header = cmp.Or(o.Header, 10*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, maxAnswer)
	o.Conns = cmp.Or(o.Conns, maxConns)
	o.Redirects = min(o.Redirects, maxRedirects)
	return o
}

// Client returns an HTTP client that connects through the guard, takes no proxy from
// the environment, and keeps its connections to itself: one for each tenant and
// purpose. Each URL, also of a redirect, is checked; a redirect to another host takes
// no header along that could hold a secret, and no body. An answer that is larger
// than it may be ends with ErrTooLarge.
func (g *Guard) Client(opts ClientOptions) *http.Client {
	opts = opts.defaults()
	return &http.Client{Timeout: opts.Timeout, Transport: g.transport(opts), CheckRedirect: opts.redirect}
}

// transport returns a transport for options that have their defaults. While it has no
// connection it costs no goroutine.
func (g *Guard) transport(opts ClientOptions) *checked {
	schemes := []string{address.HTTPS}
	if opts.PlainHTTP {
		schemes = append(schemes, address.HTTP)
	}
	return &checked{
		schemes: schemes, most: opts.MaxBody,
		base: &http.Transport{
			DialContext:            g.DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  opts.Header,
			MaxResponseHeaderBytes: maxHeader,
			IdleConnTimeout:        30 * time.Second,
			MaxConnsPerHost:        opts.Conns,
			MaxIdleConns:           16,
			MaxIdleConnsPerHost:    4,
		},
	}
}

// redirect decides on the next hop.
func (o ClientOptions) redirect(req *http.Request, via []*http.Request) error {
	if o.Redirects <= 0 {
		return http.ErrUseLastResponse
	}
	before := via[len(via)-1]
	home := sameHost(via[0].URL, req.URL)
	for _, hop := range via[1:] { // the library copies the first request's headers at each hop anew
		home = home && sameHost(via[0].URL, hop.URL)
	}
	switch {
	case len(via) > o.Redirects:
		return fmt.Errorf("%w: there were %d before it", ErrRedirect, o.Redirects)
	case before.URL.Scheme == address.HTTPS && req.URL.Scheme != address.HTTPS:
		return fmt.Errorf("%w: it leads from https to %s", ErrRedirect, req.URL.Scheme)
	case home:
		return nil
	case req.Body != nil && req.Body != http.NoBody:
		return fmt.Errorf("%w: it would send what is for %s to another host", ErrRedirect, before.URL.Hostname())
	}
	for name := range req.Header {
		switch name {
		case "Accept", "Accept-Encoding", "Accept-Language", "User-Agent":
		default: // a key may be in a header of any name
			req.Header.Del(name)
		}
	}
	return nil
}

func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && address.PortOf(a) == address.PortOf(b)
}

// checked is a transport that refuses URLs, and answers that are too large.
type checked struct {
	base    *http.Transport
	schemes []string
	most    int64
}

// RoundTrip implements http.RoundTripper.
func (c *checked) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := address.Check(req.URL, c.schemes...); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		return nil, fmt.Errorf("refuse request: %w", err)
	}
	resp, err := c.base.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // http.Client says what it was about
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: c.most}
	return resp, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (c *checked) CloseIdleConnections() { c.base.CloseIdleConnections() }

// bounded ends with ErrTooLarge in the place of the first byte that is too many.
type bounded struct {
	io.ReadCloser
	left int64
	over bool
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.over {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		b.over = true
		return int(b.left), ErrTooLarge
	}
	b.left -= int64(n)
	return n, err
}
