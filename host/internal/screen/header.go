package screen

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

// policy returns the Content-Security-Policy of a page that the origin may embed, and
// nobody if it is empty.
func policy(origin string) string {
	if origin == "" {
		origin = "'none'"
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors " + origin
}

// harden sets what every answer has.
func harden(h http.Header, origin string) {
	h.Set("Content-Security-Policy", policy(origin))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=(), clipboard-read=(), fullscreen=()")
	h.Set("X-Robots-Tag", "noindex")
}

// guarded hardens the answers of a handler. What breaks is logged by the pattern of
// its route: the path may have a ticket.
func (s *Server) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			id := rand.Text()[:8]
			s.opts.Log.Error("a screen failed", "id", id, "route", r.Pattern, "error", fmt.Sprint(v))
			s.problem(w, http.StatusInternalServerError, "Something went wrong here", "The host's log has it under "+id+".")
		}()
		harden(w.Header(), "")
		if r.Method == http.MethodHead { // it would use up a ticket, and shows nothing
			w.Header().Set("Allow", http.MethodGet)
			s.problem(w, http.StatusMethodNotAllowed, "Not like this", "")
			return
		}
		next(w, r)
	})
}

func (s *Server) unknown(w http.ResponseWriter, _ *http.Request) {
	s.problem(w, http.StatusNotFound, "There is nothing here", "")
}
