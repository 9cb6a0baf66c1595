package egress

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/address"
)

// The bounds of what a process can ask of its proxy.
const (
	maxRequestHeader = 32 << 10
	headerTimeout    = 10 * time.Second
	defaultIdle      = 5 * time.Minute
	defaultTunnels   = 128
)

// Result is how an attempt to connect ended.
type Result string

// The results.
const (
	ResultConnected Result = "connected"
	ResultRefused   Result = "refused"
	ResultFailed    Result = "failed"
)

// ProxyOptions are those of a proxy. List is required; the zero value of the rest
// means the documented defaults.
type ProxyOptions struct {
	Plugin string // for messages
	Tenant string // likewise: whose process it is; empty if it is everybody's
	List   *List  // what may be connected to; the guard refuses some of it all the same

	Tunnels int           // connections of the process at once; 128 if zero
	Idle    time.Duration // after which a connection without a byte is closed; 5m if zero

	Room      func() error               // why there is no room for another connection; there is if nil
	Attempted func(Result)               // told of each attempt; may be nil
	Moved     func(sent bool, bytes int) // told of bytes that the process sent or was sent; may be nil
	Log       hclog.Logger               // of refusals, once a minute a host; none if nil
	Now       func() time.Time           // time.Now if nil
}

// Proxy is the way out of one process: HTTP with CONNECT for connections of any kind,
// and with absolute URLs for plain HTTP.
type Proxy struct {
	guard   *Guard
	opts    ProxyOptions
	plain   *httputil.ReverseProxy
	pool    *http.Transport // of plain
	tunnels chan struct{}
	told    *refusals
	server  *http.Server

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup // requests, and what is in open
}

// Proxy returns a proxy that connects through the guard, and ends connections that are
// not allowed any more. Serve sets it to work; the caller ends it with Close.
func (g *Guard) Proxy(opts ProxyOptions) *Proxy {
	opts.Tunnels = cmp.Or(opts.Tunnels, defaultTunnels)
	opts.Idle = cmp.Or(opts.Idle, defaultIdle)
	if opts.Room == nil {
		opts.Room = func() error { return nil }
	}
	if opts.Attempted == nil {
		opts.Attempted = func(Result) {}
	}
	if opts.Moved == nil {
		opts.Moved = func(bool, int) {}
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	quiet := hclog.NewNullLogger().StandardLogger(nil) // what goes wrong is answered
	p := &Proxy{
		guard: g, opts: opts, tunnels: make(chan struct{}, opts.Tunnels), open: map[net.Conn]struct{}{},
		told: newRefusals(opts),
	}
	p.pool = &http.Transport{
		DialContext: p.dial, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout: 30 * time.Second, MaxIdleConns: 16,
	}
	p.plain = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.Out.URL.Host // what is asked for is what is connected to
		},
		Transport:    p.pool,
		ErrorHandler: p.fail,
		ErrorLog:     quiet,
	}
	p.server = &http.Server{
		Handler: p, ReadHeaderTimeout: headerTimeout, IdleTimeout: opts.Idle, MaxHeaderBytes: maxRequestHeader,
		ErrorLog: quiet,
	}
	opts.List.onShrink(p.recheck)
	g.attach(p)
	return p
}

// Serve answers on l until Close, and returns nil then.
func (p *Proxy) Serve(l net.Listener) error {
	if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve egress of plugin %s: %w", p.opts.Plugin, err)
	}
	return nil
}

// Close ends every connection and returns when nothing of the proxy goes on. It closes
// the listener.
func (p *Proxy) Close() {
	p.guard.detach(p)
	_ = p.server.Close() // connections that are closed in the middle are what it is for
	p.mu.Lock()
	p.closed = true
	open := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	p.pool.CloseIdleConnections()
	p.wg.Wait()
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.begin() {
		return
	}
	defer p.wg.Done()
	switch {
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	case r.URL.Scheme == address.HTTP && r.URL.Host != "":
		p.forward(w, r)
	default:
		p.answer(w, fault{http.StatusBadRequest, CodeRequest, "config", "this is a proxy: it answers CONNECT host:port, and http:// URLs"})
	}
}

// forward passes a request for plain HTTP on.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	if err := address.Check(r.URL, address.HTTP); err != nil {
		p.refuse(w, r.URL.Host, fault{http.StatusBadRequest, CodeRequest, "config", p.message(err.Error())})
		return
	}
	host, err := address.Host(r.URL.Hostname())
	if err != nil || !p.allowed(w, host, address.PortOf(r.URL)) {
		return // Check has looked at the host, so it is said
	}
	if !p.enter(w) {
		return
	}
	defer p.leave()
	p.plain.ServeHTTP(w, r)
}

// connect makes a tunnel.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := address.Split(r.RequestURI) // as it was sent: the server takes the host of it alone
	if err != nil {
		p.refuse(w, r.RequestURI, fault{http.StatusBadRequest, CodeRequest, "config", p.message(err.Error())})
		return
	}
	if !p.allowed(w, host, port) || !p.enter(w) {
		return
	}
	defer p.leave()
	remote, err := p.dial(r.Context(), "tcp", address.Join(host, port))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	defer remote.Close() //nolint:errcheck // its end is what is wanted
	local, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.answer(w, fault{http.StatusInternalServerError, CodeBusy, "transient", err.Error()})
		return
	}
	defer local.Close() //nolint:errcheck // its end is what is wanted
	if !p.keep(local) {
		return
	}
	defer p.drop(local)
	_ = local.SetDeadline(time.Time{}) // the server's are over
	if _, err := io.WriteString(local, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	tunnel(local, early.Reader, remote, p.opts.Idle)
}

// allowed reports whether the process may connect to the host, and answers if not.
func (p *Proxy) allowed(w http.ResponseWriter, host string, port uint16) bool {
	if p.opts.List.Allows(host, port) {
		return true
	}
	target := address.Join(host, port)
	p.refuse(w, target, fault{http.StatusForbidden, CodeHost, "config", p.message(fmt.Sprintf(
		"%s is none of its hosts (hint: its manifest names them, a setting with an address adds one; plugins: {network: {%s: direct}} in host.yaml lets it connect anywhere)",
		target, p.opts.Plugin))})
	return false
}

// enter takes a place for a connection, or answers that there is none.
func (p *Proxy) enter(w http.ResponseWriter) bool {
	select {
	case p.tunnels <- struct{}{}:
	default:
		p.opts.Attempted(ResultFailed)
		p.answer(w, fault{http.StatusServiceUnavailable, CodeBusy, "transient", p.message(fmt.Sprintf("it has %d connections, which are all that it may have", p.opts.Tunnels))})
		return false
	}
	if err := p.opts.Room(); err != nil {
		<-p.tunnels
		p.opts.Attempted(ResultFailed)
		p.answer(w, fault{http.StatusServiceUnavailable, CodeBusy, "transient", p.message(err.Error())})
		return false
	}
	return true
}

func (p *Proxy) leave() { <-p.tunnels }

// dial connects through the guard and counts what passes.
func (p *Proxy) dial(ctx context.Context, network, target string) (net.Conn, error) {
	conn, err := p.guard.DialContext(ctx, network, target)
	if err != nil {
		return nil, err
	}
	c := &counted{Conn: conn, p: p}
	if c.host, c.port, err = address.Split(target); err != nil || !p.keep(c) {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	if !p.still(c) { // what allows it went away while it was made, when nothing knew of it
		_ = c.Close()
		return nil, errGone
	}
	p.opts.Attempted(ResultConnected)
	return c, nil
}

// still reports whether a connection would be made now, too.
func (p *Proxy) still(c *counted) bool {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	return err == nil && p.opts.List.Allows(c.host, c.port) && p.guard.permits(c.host, c.port, at.Addr()) == nil
}

// recheck ends the connections that would not be made any more.
func (p *Proxy) recheck() {
	p.mu.Lock()
	open := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, conn := range open {
		c, ok := conn.(*counted)
		if !ok {
			continue // it ends with its counterpart
		}
		if !p.still(c) {
			_ = c.Close()
		}
	}
}

// begin counts a request, for Close; not once Close was called.
func (p *Proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.wg.Add(1)
	}
	return !p.closed
}

// keep notes a connection, for Close; not once Close was called.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open[c] = struct{}{}
	p.wg.Add(1)
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.open[c]; ok {
		delete(p.open, c)
		p.wg.Done()
	}
}

// fault is an answer in the place of a connection.
type fault struct {
	status  int
	Code    string `json:"code"`
	Class   string `json:"class"` // as of sdk.Error
	Message string `json:"message"`
}

// fail answers that a connection could not be made.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refused, ok := errors.AsType[*Refused](err); ok {
		p.refuse(w, address.Join(refused.Host, refused.Port), fault{http.StatusForbidden, CodeAddress, "config", p.message(refused.Error())})
		return
	}
	p.opts.Attempted(ResultFailed)
	status := http.StatusBadGateway
	if errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusGatewayTimeout
	}
	p.answer(w, fault{status, CodeUnreachable, "transient", fmt.Sprintf("%s cannot be reached: %v", r.URL.Host, err)})
}

// refuse answers what trying again does not change, and tells of it.
func (p *Proxy) refuse(w http.ResponseWriter, target string, f fault) {
	p.opts.Attempted(ResultRefused)
	p.told.tell(target, f)
	p.answer(w, f)
}

// message says whose connection it is about.
func (p *Proxy) message(why string) string {
	whose := ""
	if p.opts.Tenant != "" {
		whose = " of tenant " + p.opts.Tenant
	}
	return fmt.Sprintf("plugin %s%s may not connect: %s", p.opts.Plugin, whose, why)
}

func (p *Proxy) answer(w http.ResponseWriter, f fault) {
	body, err := json.Marshal(f)
	if err != nil {
		body = nil // three strings are always JSON
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Jackfield-Egress", f.Code)
	h.Set("Connection", "close")
	w.WriteHeader(f.status)
	_, _ = w.Write(append(body, '\n')) // nobody is left to tell
}

// clean returns text of a process without what could be taken for a line of a log.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
