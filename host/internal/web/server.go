package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/net/netutil"

	"github.com/jackfield/jackfield/store"
)

// The bounds of what a caller may take.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = time.Minute
	maxHeader     = 32 << 10
	maxBody       = 1 << 20
)

// Options are what New needs to know. The zero value of all but Listen and
// Authorized means the documented default.
type Options struct {
	Listen string // host:port of this machine; port 0 takes a free one
	// Authorized reports whether a bearer token opens the routes; required.
	Authorized func(token string) bool
	// Ready says why the daemon cannot do its work, or returns nil.
	Ready func() error
	// Cert and Key are the files of the certificate, read again when they change; without
	// them there is no TLS, and nothing beyond this machine may be listened on.
	Cert, Key string
	// Hosts are the names, in lower case, that it is reached by besides those of this
	// machine.
	Hosts []string
	// Public are routes that need no token: they see to that themselves.
	Public map[string]http.Handler
	// RPC takes the calls of gRPC, of who Caller knows; none if nil.
	RPC    http.Handler
	Caller func(ctx context.Context, token string) bool
	// Refused is told why each request is refused: token, limit, host or origin.
	Refused func(reason string)
	// Redact takes known secrets out of what is logged.
	Redact func(string) string
	// Routes are what else is served, by pattern of http.ServeMux, to who has a token.
	Routes map[string]http.Handler
	// Open reports, for some of Routes, whether a token opens that one and no other.
	Open map[string]func(ctx context.Context, token string) bool
	// MaxConns is how many connections there are at once; who comes then waits. 64 if
	// zero.
	MaxConns int
	// Retry is the time between two tries to listen where another program does; 5s
	// if zero.
	Retry time.Duration
	// Grace is how long requests may go on when the host stops; 2s if zero.
	Grace time.Duration
	// CertEvery is how often the files of the certificate are looked at, at most; 1s if
	// zero.
	CertEvery time.Duration
	// HeaderTimeout is how long a caller may take to say what it wants; 5s if zero.
	HeaderTimeout time.Duration
	Log           hclog.Logger // none if nil
}

// Server is the listener.
type Server struct {
	opts     Options
	log      hclog.Logger
	cert     *certificate // nil: no TLS
	failures failures

	mu   sync.Mutex // guards what follows
	addr net.Addr   // nil while it does not listen
	err  error      // why it does not
}

// New returns a server that does not listen yet. An address beyond this machine
// without a certificate is an error: tokens would cross a network in clear.
func New(opts Options) (*Server, error) {
	if opts.Authorized == nil {
		return nil, errors.New("web: nobody says who is authorized")
	}
	host, _, err := net.SplitHostPort(opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("web: read address: %w", err)
	}
	if !local(host) && opts.Cert == "" {
		return nil, store.Hint(fmt.Errorf("web: %s is an address beyond this machine, where tokens would cross the network in clear", opts.Listen),
			"give it a certificate (tls: {cert: FILE, key: FILE}), or listen on 127.0.0.1 and put a proxy with TLS before it")
	}
	opts.MaxConns = cmp.Or(opts.MaxConns, 64)
	opts.Retry = cmp.Or(opts.Retry, 5*time.Second)
	opts.Grace = cmp.Or(opts.Grace, 2*time.Second)
	opts.HeaderTimeout = cmp.Or(opts.HeaderTimeout, headerTimeout)
	if opts.Ready == nil {
		opts.Ready = func() error { return nil }
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Refused == nil {
		opts.Refused = func(string) {}
	}
	if opts.Redact == nil {
		opts.Redact = func(s string) string { return s }
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() || ip == nil && host != "" {
		opts.Hosts = append(slices.Clone(opts.Hosts), strings.ToLower(host))
	}
	s := &Server{opts: opts, log: opts.Log, err: errors.New("it has not begun yet"), failures: failures{now: time.Now}}
	if opts.Cert != "" {
		if s.cert, err = readCertificate(opts.Cert, opts.Key, cmp.Or(opts.CertEvery, time.Second), opts.Log); err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
	}
	return s, nil
}

// Addr returns where it listens; nil while it does not.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Err says why it does not listen; nil if it does.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Server) become(addr net.Addr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.err = addr, err
}

// Run serves until ctx ends and then lets requests finish for Grace. That another
// program has the address is no reason for the daemon to end: Run tries again until
// it is free.
func (s *Server) Run(ctx context.Context) error {
	l, err := s.listen(ctx)
	if err != nil {
		return nil // the end was asked for
	}
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.opts.HeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(s.cert == nil) // gRPC on this machine
	srv.Protocols = protocols
	served := make(chan error, 1)
	go func() { served <- s.serve(srv, netutil.LimitListener(l, s.opts.MaxConns)) }()
	s.become(l.Addr(), nil)
	s.log.Debug("listening", "address", l.Addr().String())
	select {
	case err := <-served:
		s.become(nil, err)
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	s.become(nil, errors.New("it has ended"))
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Grace)
	defer cancel()
	if srv.Shutdown(stop) != nil {
		_ = srv.Close() // who still asks is cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// listen waits until the address is free, or ctx ends.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	for told := false; ; told = true {
		l, err := lc.Listen(ctx, "tcp", s.opts.Listen)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		err = store.Hint(err, "another program may listen there: end it, or change listen: in host.yaml")
		s.become(nil, err)
		if !told {
			s.log.Warn("the HTTP listener does not serve, and is tried again", "error", err)
		}
		timer := time.NewTimer(s.opts.Retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Server) serve(srv *http.Server, l net.Listener) error {
	if s.cert == nil {
		return srv.Serve(l)
	}
	srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.cert.get}
	return srv.ServeTLS(l, "", "")
}
