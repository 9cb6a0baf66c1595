package web

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// handler returns what is served: the checks that every request passes, around the
// routes.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	inner := http.NewServeMux()
	for pattern, h := range s.opts.Routes {
		if open := s.opts.Open[pattern]; open != nil {
			mux.Handle(pattern, s.authorized(h, open))
			continue
		}
		inner.Handle(pattern, h)
	}
	mux.Handle("/", s.authorized(inner, nil)) // who has no token does not learn which paths there are
	return s.recovered(hardened(sameHost(http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(mux, maxBody)))))
}

// ready answers whether the daemon can do its work. Why it cannot is for who has a
// token: it may name files and tenants.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.opts.Ready()
	switch {
	case err == nil:
		answer(w, http.StatusOK, "ready")
	case s.allowed(r, nil):
		answer(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
	default:
		answer(w, http.StatusServiceUnavailable, "not ready")
	}
}

// authorized lets through who has the token, or one that open knows.
func (s *Server) authorized(next http.Handler, open func(token string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.allowed(r, open) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="jackfield"`)
			answer(w, http.StatusUnauthorized, "a bearer token is needed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) allowed(r *http.Request, open func(token string) bool) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	return ok && (s.opts.Authorized(token) || open != nil && open(token))
}

// sameHost refuses a request that was meant for another name: a page of the web
// whose name was made to point here sends its own.
func sameHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !local(strings.ToLower(strings.Trim(host, "[]"))) {
			answer(w, http.StatusForbidden, "this is not the host that was asked for")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hardened keeps a browser from keeping, guessing or running what it gets.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
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
			s.log.Error("a request failed", "id", id, "path", r.URL.Path, "error", fmt.Sprint(v))
			answer(w, http.StatusInternalServerError, "internal error "+id)
		}()
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
