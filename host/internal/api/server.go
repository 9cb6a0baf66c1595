package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// The names of the API's files in the data directory.
const (
	SocketName = "jackfield.sock"
	TokenName  = "admin.token"
)

// localBuffer is of a connection within the process.
const localBuffer = 256 << 10

// Options are what New needs to know. The zero value of all but Socket means the
// documented default.
type Options struct {
	Socket string // path; required
	Token  string // path of the token's file; beside the socket if empty
	Log    hclog.Logger
	// Version of the host, for people.
	Version string
	// Refuse reports whether a process may not use the API because it descends
	// from a plugin (K20); nobody is refused if nil. See Descends.
	Refuse func(pid int) bool
	// Redact takes known secrets out of a text; nothing is taken out if nil.
	Redact func(string) string
	// Changed returns a channel that is closed at the next change of the store. It
	// saves watchers from waiting for Poll; they poll alone if nil.
	Changed func() <-chan struct{}
	Poll    time.Duration // between two looks of a watcher; 250ms if zero
	// CheckTimeout bounds a check of an integration; 20s if zero.
	CheckTimeout time.Duration
	// Grace is how long calls may go on when the host stops; 2s if zero.
	Grace time.Duration
	// MaxStreams is how many calls that do not end by themselves (watch, tail,
	// logs) are served at once; 64 if zero.
	MaxStreams int
	// MaxConns is how many connections there are at once; 1024 if zero. Who comes
	// then waits; when four fifths are taken, calls are refused but for the status.
	MaxConns int
	// Room says why the host can begin nothing that takes open files, or returns
	// nil; asked for the status alone, if it is not nil.
	Room func() error
	// Web tells where the HTTP listener answers, or why it does not; there is none if
	// both are nil, or if it is.
	Web func() (net.Addr, error)
	// Isolation tells what keeps plugins from what is not theirs: full, partial or none,
	// and why it is not full; none if it is nil.
	Isolation func() (level string, reasons []string)
	Now       func() time.Time // time.Now if nil
}

// Server is the host's API.
type Server struct {
	opts    Options
	deps    Deps
	log     hclog.Logger
	started time.Time
	streams chan struct{} // a place for each that is served
	crowd   chan struct{} // likewise for each connection
	rules   map[string]*rule
	local   *bufconn.Listener           // for the host itself
	grpc    atomic.Pointer[grpc.Server] // nil while it does not run
	used    uses

	ready    chan struct{} // closed when the socket answers
	stopping chan struct{} // closed when the host stops

	mu      sync.Mutex // guards running
	running bool
	token   atomic.Pointer[string] // nil while it does not run
}

// New returns a server that does not serve yet.
func New(opts Options, deps Deps) (*Server, error) {
	if opts.Socket == "" {
		return nil, errors.New("api: no socket")
	}
	if deps.Store == nil || deps.Plugins == nil || deps.Engine == nil || deps.Config == nil || deps.Database == nil || deps.Endpoints == nil || deps.Connects == nil || deps.Calls == nil || deps.Screens == nil {
		return nil, errors.New("api: a dependency is missing")
	}
	opts.Token = cmp.Or(opts.Token, filepath.Join(filepath.Dir(opts.Socket), TokenName))
	opts.Poll = cmp.Or(opts.Poll, 250*time.Millisecond)
	opts.CheckTimeout = cmp.Or(opts.CheckTimeout, 20*time.Second)
	opts.Grace = cmp.Or(opts.Grace, 2*time.Second)
	opts.MaxStreams = cmp.Or(opts.MaxStreams, 64)
	opts.MaxConns = cmp.Or(opts.MaxConns, 1024)
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Redact == nil {
		opts.Redact = func(s string) string { return s }
	}
	s := &Server{
		opts:     opts,
		deps:     deps,
		log:      opts.Log.Named("api"),
		started:  opts.Now(),
		streams:  make(chan struct{}, opts.MaxStreams),
		crowd:    make(chan struct{}, opts.MaxConns),
		ready:    make(chan struct{}),
		stopping: make(chan struct{}),
		local:    bufconn.Listen(localBuffer),
	}
	var all methods
	s.register(&all)
	var err error
	s.rules, err = readRules(all)
	return s, err
}

// Authorized reports whether token is the one that opens the API now.
func (s *Server) Authorized(token string) bool {
	want := s.token.Load()
	return want != nil && SameToken(token, *want)
}

// Ready returns a channel that is closed once the socket answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run makes a new token, serves until ctx ends, lets calls finish for Grace, and
// returns when all that it started has ended. It returns nil for a stop that was
// asked for. It runs once.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.running
	s.running = true
	s.mu.Unlock()
	if again {
		return errors.New("serve api: it ran before")
	}
	token, err := WriteToken(s.opts.Token)
	if err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	s.token.Store(&token)
	defer func() {
		s.token.Store(nil)
		_ = os.Remove(s.opts.Token)
	}()
	l, err := listen(ctx, s.opts.Socket)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.opts.Socket, err)
	}
	defer l.remove()

	guard := &guard{identify: s.Identify, authorize: s.authorizeMethod, admit: s.admit, refuse: s.opts.Refuse, log: s.log}
	srv := grpc.NewServer(
		grpc.Creds(newPeerCredentials()),
		grpc.ChainUnaryInterceptor(s.answerUnary, guard.unary),
		grpc.ChainStreamInterceptor(s.answerStream, guard.stream),
		grpc.MaxConcurrentStreams(256),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.MaxHeaderListSize(16<<10),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 10 * time.Minute}),
		grpc.WaitForHandlers(true),
	)
	s.register(srv)
	served := make(chan error, 2)
	go func() { served <- srv.Serve(newCrowd(l, s.crowd)) }()
	go func() { served <- srv.Serve(s.local) }()
	s.grpc.Store(srv)
	defer s.grpc.Store(nil)
	close(s.ready)
	s.log.Debug("serving", "socket", s.opts.Socket)

	var broken error
	select {
	case broken = <-served:
	case <-ctx.Done():
	}
	close(s.stopping)
	s.stop(srv)
	if broken != nil {
		return errors.Join(fmt.Errorf("serve api: %w", broken), ended(<-served))
	}
	return errors.Join(ended(<-served), ended(<-served))
}

// ended returns what a server ended with, if it was not asked to.
func ended(err error) error {
	if err == nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fmt.Errorf("serve api: %w", err)
}

// Dial returns a connection to the API within the process. Calls on it need a token
// like any other.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) { return s.local.DialContext(ctx) }

// ServeHTTP answers a call of gRPC that came over HTTP/2.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv := s.grpc.Load()
	if srv == nil {
		http.Error(w, "the API does not answer yet", http.StatusServiceUnavailable)
		return
	}
	srv.ServeHTTP(w, r)
}

// stop lets calls finish for a while.
func (s *Server) stop(srv *grpc.Server) {
	done := make(chan struct{})
	go func() {
		srv.GracefulStop()
		close(done)
	}()
	timer := time.NewTimer(s.opts.Grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		srv.Stop()
		<-done
	}
}

func (s *Server) register(srv grpc.ServiceRegistrar) {
	hostv1.RegisterStatusServiceServer(srv, &statusService{Server: s})
	hostv1.RegisterDatabaseServiceServer(srv, &databaseService{Server: s})
	hostv1.RegisterConfigServiceServer(srv, &configService{Server: s})
	hostv1.RegisterPluginServiceServer(srv, &pluginService{Server: s})
	hostv1.RegisterTenantServiceServer(srv, &tenantService{Server: s})
	hostv1.RegisterIntegrationServiceServer(srv, &integrationService{Server: s})
	hostv1.RegisterEventServiceServer(srv, &eventService{Server: s})
	hostv1.RegisterRunServiceServer(srv, &runService{Server: s})
	hostv1.RegisterStreamServiceServer(srv, &streamService{Server: s})
	hostv1.RegisterRecordServiceServer(srv, &recordService{Server: s})
	hostv1.RegisterMemberServiceServer(srv, &memberService{Server: s})
	hostv1.RegisterTokenServiceServer(srv, &tokenService{Server: s})
	hostv1.RegisterTemplateServiceServer(srv, &templateService{Server: s})
	hostv1.RegisterAuthServiceServer(srv, &authService{Server: s})
	hostv1.RegisterEndpointServiceServer(srv, &endpointService{Server: s})
	hostv1.RegisterScreenServiceServer(srv, &screenService{Server: s})
	hostv1.RegisterCallServiceServer(srv, &callService{Server: s})
}

// acquire takes a place among the calls that do not end by themselves.
func (s *Server) acquire() (release func(), err error) {
	select {
	case s.streams <- struct{}{}:
		return func() { <-s.streams }, nil
	default:
		return nil, &Error{
			Kind: KindLimit, Message: fmt.Sprintf("%d watchers are served already (api.max_streams)", s.opts.MaxStreams),
			Hint: "end one of them",
		}
	}
}

// wait returns nil when it is time to look at the store again.
func (s *Server) wait(ctx context.Context, changed <-chan struct{}) error {
	timer := time.NewTimer(s.opts.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stopping:
		return errStopping()
	case <-changed:
	case <-timer.C:
	}
	return nil
}

// changed returns the hint for wait. It is taken before the store is read, so
// that no change falls between.
func (s *Server) changed() <-chan struct{} {
	if s.opts.Changed == nil {
		return nil
	}
	return s.opts.Changed()
}
