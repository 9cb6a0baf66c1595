package screen

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/store"
)

// Options are what New needs to know. The zero value means the documented default.
type Options struct {
	// Base returns where browsers reach the host, such as https://calls.example or
	// http://127.0.0.1:7480.
	Base func() string
	// Origins returns the origins whose pages may embed the screens of a tenant; none
	// if nil.
	Origins func(tenant string) []string
	// Streams is how many screens follow their calls at once; a screen that finds no
	// place asks now and then. 128 if zero.
	Streams int
	// Heartbeat is the time between two signs of life of a stream; 15s if zero.
	Heartbeat time.Duration
	Log       hclog.Logger // none if nil
}

// Server serves screens and what opens them.
type Server struct {
	calls    Calls
	opts     Options
	tickets  *tickets
	sessions *sessions
	streams  chan struct{} // a place for each that is served
	assets   assets
	page     *template.Template
	stopping chan struct{} // closed when the host stops
	process  string        // in the names of cookies: hosts on one machine share a jar
}

// New returns a server of the screens of calls.
func New(calls Calls, opts Options) (*Server, error) {
	if opts.Base == nil {
		return nil, errors.New("screen: nobody says where browsers reach the host")
	}
	if opts.Origins == nil {
		opts.Origins = func(string) []string { return nil }
	}
	opts.Streams = cmp.Or(opts.Streams, 128)
	opts.Heartbeat = cmp.Or(opts.Heartbeat, 15*time.Second)
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	found, err := readAssets()
	if err != nil {
		return nil, err
	}
	page, err := parsePage(found)
	if err != nil {
		return nil, err
	}
	return &Server{
		calls: calls, opts: opts, assets: found, page: page,
		tickets:  &tickets{grant: map[[32]byte]grant{}},
		sessions: &sessions{byID: map[string]*session{}},
		streams:  make(chan struct{}, opts.Streams),
		stopping: make(chan struct{}),
		process:  strings.ToLower(rand.Text()[:8]),
	}, nil
}

// Routes returns what is served, by pattern of http.ServeMux. The routes look
// themselves after who may see what.
func (s *Server) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /screen/{ticket}":      s.guarded(s.exchange),
		"GET /screen/c/{id}":        s.guarded(s.opened(s.show)),
		"GET /screen/c/{id}/events": s.guarded(s.opened(s.follow)),
		"POST /screen/c/{id}/act":   s.guarded(s.opened(s.act)),
		"GET /screen/assets/{name}": s.guarded(s.asset),
		"GET /embed.js":             s.guarded(s.embed),
		"/screen/":                  s.guarded(s.unknown),
	}
}

// Ticket opens a screen once.
type Ticket struct {
	URL       string // has the secret
	ExpiresAt time.Time
}

// Issue returns a ticket for a screen of a call that is there. The origin has to be one
// that the tenant's settings name; without one the screen can be opened, and not
// embedded.
func (s *Server) Issue(ctx context.Context, scope Scope) (Ticket, error) {
	for _, f := range [][2]string{{"tenant", scope.Tenant}, {"integration", scope.Integration}, {"call", scope.Call}, {"agent", scope.Agent}} {
		if f[1] == "" {
			return Ticket{}, fmt.Errorf("%w: %s: a screen is bound to one", store.ErrInvalid, f[0])
		}
	}
	if err := s.mayEmbed(scope); err != nil {
		return Ticket{}, err
	}
	call, err := s.calls.Call(ctx, scope)
	if err != nil {
		return Ticket{}, err
	}
	now := time.Now()
	if over(call, now) {
		return Ticket{}, fmt.Errorf("%w: the call was over before %s", store.ErrConflict, now.Add(-wrapupGrace).UTC().Format(time.RFC3339))
	}
	secret, until, err := s.tickets.issue(scope, now)
	if err != nil {
		return Ticket{}, err
	}
	return Ticket{URL: strings.TrimSuffix(s.opts.Base(), "/") + "/screen/" + secret, ExpiresAt: until}, nil
}

// Revoke ends the screens and forgets the tickets of a tenant, and of those only the
// ones with the integration, the call and the agent that are not empty. It returns how
// many there were.
func (s *Server) Revoke(of Scope) int {
	match := func(o Scope) bool {
		return o.Tenant == of.Tenant && (of.Integration == "" || o.Integration == of.Integration) &&
			(of.Call == "" || o.Call == of.Call) && (of.Agent == "" || o.Agent == of.Agent)
	}
	return s.tickets.revoke(match) + s.sessions.revoke(match)
}

// mayEmbed reports why a page may not embed a screen.
func (s *Server) mayEmbed(scope Scope) error {
	if scope.Origin == "" {
		return nil
	}
	if problem, help := address.CheckOrigin(scope.Origin); problem != "" {
		return store.Hint(fmt.Errorf("%w: origin: %s", store.ErrInvalid, problem), help)
	}
	if !slices.Contains(s.opts.Origins(scope.Tenant), scope.Origin) {
		return store.Hint(fmt.Errorf("%w: origin: the tenant %s does not have its screens embedded by %s", store.ErrInvalid, scope.Tenant, scope.Origin),
			"name it in the tenant's file: screens: {origins: ["+scope.Origin+"]}")
	}
	return nil
}

// over reports whether nobody has anything to do with a call any more.
func over(c Call, now time.Time) bool {
	return !c.WrapupAt.IsZero() && !now.Before(c.WrapupAt.Add(wrapupGrace))
}

// secure reports whether browsers reach the host by https.
func (s *Server) secure() bool { return strings.HasPrefix(s.opts.Base(), "https://") }

// cookie returns the name of a session's cookie.
func (s *Server) cookie(id string) string {
	if s.secure() {
		return "__Host-" + cookiePrefix + id
	}
	return cookiePrefix + s.process + "-" + id
}

const cookiePrefix = "jackfield-screen-"
