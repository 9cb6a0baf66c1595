package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// handler returns what is served: the checks that every request passes, around the
// routes.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, r, refusal{status: http.StatusOK, text: "ok"}) })
	mux.HandleFunc("GET /readyz", s.ready)
	for pattern, h := range s.opts.Public {
		mux.Handle(pattern, h)
	}
	inner := http.NewServeMux()
	for pattern, h := range s.opts.Routes {
		if open := s.opts.Open[pattern]; open != nil {
			mux.Handle(pattern, s.authorized(h, open))
			continue
		}
		inner.Handle(pattern, h)
	}
	mux.Handle("/", s.authorized(inner, nil)) // who has no token does not learn which paths there are
	var routes http.Handler = mux
	if s.opts.RPC != nil {
		routes = s.calls(mux)
	}
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.opts.Refused("origin")
		answer(w, r, refusal{status: http.StatusForbidden, text: "a page of another site sent this", hint: "use the API from a program, with a token"})
	}))
	return s.recovered(hardened(s.sameHost(sameOrigin.Handler(http.MaxBytesHandler(routes, maxBody)))))
}

// calls takes the calls of gRPC out. They may last, like a watch.
func (s *Server) calls(next http.Handler) http.Handler {
	rpc := s.authorized(s.opts.RPC, s.opts.Caller)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			next.ServeHTTP(w, r)
			return
		}
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Time{}) // where there is none, nothing waits
		_ = control.SetWriteDeadline(time.Time{})
		rpc.ServeHTTP(w, r)
	})
}

// ready answers whether the daemon can do its work. Why it cannot is for who has the
// daemon's token: it may name files and tenants.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.opts.Ready()
	switch {
	case err == nil:
		answer(w, r, refusal{status: http.StatusOK, text: "ready"})
	case s.allowed(r, nil):
		answer(w, r, refusal{status: http.StatusServiceUnavailable, text: "not ready: " + err.Error()})
	default:
		answer(w, r, refusal{status: http.StatusServiceUnavailable, text: "not ready"})
	}
}

// authorized lets through who has the daemon's token, or one that open knows. Who comes
// without too often is told to wait; a token that is right is never kept waiting by
// others of the same address.
func (s *Server) authorized(next http.Handler, open func(ctx context.Context, token string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.allowed(r, open) {
			next.ServeHTTP(w, r)
			return
		}
		if wait := s.failures.note(r.RemoteAddr); wait > 0 {
			s.opts.Refused("limit")
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			answer(w, r, refusal{status: http.StatusTooManyRequests, code: "limit", text: "too many requests of this address had no token that is valid", hint: "wait, and look at the token"})
			return
		}
		s.opts.Refused("token")
		w.Header().Set("WWW-Authenticate", `Bearer realm="jackfield"`)
		answer(w, r, refusal{
			status: http.StatusUnauthorized, code: "unauthenticated", text: "a bearer token is needed",
			hint: "jackfield token create makes one; it goes into Authorization: Bearer",
		})
	})
}

func (s *Server) allowed(r *http.Request, open func(ctx context.Context, token string) bool) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	return ok && (s.opts.Authorized(token) || open != nil && open(r.Context(), token))
}

// hardened keeps a browser from keeping, guessing or running what it gets.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// recovered answers a handler's panic without saying what it was about; the log has
// that under the same number.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			id := rand.Text()[:8]
			s.log.Error("a request failed", "id", id, "path", s.opts.Redact(r.URL.Path), "error", s.opts.Redact(fmt.Sprint(v)))
			answer(w, r, refusal{status: http.StatusInternalServerError, code: "internal", text: "internal error " + id})
		}()
		next.ServeHTTP(w, r)
	})
}
