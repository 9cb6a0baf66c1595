package screen

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// exchange takes a ticket and gives a cookie and an address without a secret.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	if !opens(r) {
		s.problem(w, http.StatusForbidden, "A screen is opened as a page", "")
		return
	}
	now := time.Now()
	scope, ok := s.tickets.take(r.PathValue("ticket"), now)
	if !ok {
		s.problem(w, http.StatusGone, "This link was used, or is too old", "It opens a screen once, and for a minute. Open the screen anew.")
		return
	}
	if err := s.mayEmbed(scope); err != nil || foreign(r, scope.Origin) {
		s.opts.Log.Warn("a screen was asked for where it may not be shown", "tenant", scope.Tenant, "integration", scope.Integration, "agent", scope.Agent, "origin", scope.Origin)
		s.problem(w, http.StatusForbidden, "This screen is for another page", "")
		return
	}
	made, secret, err := s.sessions.open(scope, now)
	if err != nil {
		s.problem(w, http.StatusServiceUnavailable, "Too many screens are open", "Try again in a minute.")
		return
	}
	s.tidy(w, r)
	http.SetCookie(w, s.sessionCookie(made.id, secret, int(sessionLife/time.Second)))
	s.opts.Log.Debug("screen opened", "tenant", scope.Tenant, "integration", scope.Integration, "agent", scope.Agent, "screen", made.id)
	w.Header().Set("Location", "/screen/c/"+made.id)
	w.WriteHeader(http.StatusSeeOther)
}

// opens reports whether a browser is about to show what it asks for: a ticket is not
// for one who looks ahead, or takes a page for an image.
func opens(r *http.Request) bool {
	if strings.Contains(r.Header.Get("Sec-Purpose"), "prefetch") || r.Header.Get("Purpose") == "prefetch" {
		return false
	}
	dest := r.Header.Get("Sec-Fetch-Dest")
	return dest == "" || dest == "document" || dest == "iframe"
}

// foreign reports whether a browser says that another page than that of origin embeds
// the screen. One that does not say is held by frame-ancestors.
func foreign(r *http.Request, origin string) bool {
	if r.Header.Get("Sec-Fetch-Dest") != "iframe" || r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return false
	}
	from, err := url.Parse(r.Referer())
	return err != nil || from.Host != "" && from.Scheme+"://"+from.Host != origin
}

// sessionCookie returns a session's cookie; K25 has the attributes. On http, which is
// this machine alone, browsers other than Chromium refuse them.
func (s *Server) sessionCookie(id, secret string, maxAge int) *http.Cookie {
	c := &http.Cookie{Name: s.cookie(id), Value: secret, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if s.secure() {
		c.Secure, c.SameSite, c.Partitioned = true, http.SameSiteNoneMode, true
	}
	return c
}

// tidy lets go of the cookies of screens that are over: a browser that opens hundreds
// of them a day would send them all.
func (s *Server) tidy(w http.ResponseWriter, r *http.Request) {
	prefix, n := s.cookie(""), 0
	for _, c := range r.Cookies() {
		id, ours := strings.CutPrefix(c.Name, prefix)
		if ours && n < 32 && !s.sessions.known(id) {
			http.SetCookie(w, s.sessionCookie(id, "", -1))
			n++
		}
	}
}

// opened gives next the session that a request's cookie opens, and its call.
func (s *Server) opened(next func(http.ResponseWriter, *http.Request, *session, Call)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, ok := s.session(r)
		if why := s.ending(r); !ok && why != "" {
			s.problem(w, http.StatusGone, why, "")
			return
		}
		if !ok {
			s.problem(w, http.StatusUnauthorized, "This screen is not open here", "It may be over, or the browser may not keep cookies for it. Open it anew.")
			return
		}
		if s.mayEmbed(o.scope) != nil {
			s.close(o, "")
			s.problem(w, http.StatusForbidden, "This screen may not be shown here any more", "")
			return
		}
		harden(w.Header(), o.scope.Origin)
		call, err := s.calls.Call(r.Context(), o.scope)
		switch {
		case errors.Is(err, ErrGone) || err == nil && over(call, time.Now()):
			s.close(o, "")
			s.problem(w, http.StatusGone, "This call is over", "")
		case errors.Is(err, ErrMoved):
			s.close(o, movedText)
			s.problem(w, http.StatusGone, movedText, "")
		case err != nil:
			s.opts.Log.Warn("a call cannot be shown", "tenant", o.scope.Tenant, "integration", o.scope.Integration, "call", o.scope.Call, "error", err)
			w.Header().Set("Retry-After", "5")
			s.problem(w, http.StatusServiceUnavailable, "The call cannot be read now", "Try again in a moment.")
		default:
			next(w, r, o, call)
		}
	}
}

// session returns the one that a request's cookie opens.
func (s *Server) session(r *http.Request) (*session, bool) {
	id := r.PathValue("id")
	c, err := r.Cookie(s.cookie(id))
	if err != nil {
		return nil, false
	}
	return s.sessions.get(id, c.Value, time.Now())
}

// ending returns why the session of a request's cookie ended, if its agent is to be told.
func (s *Server) ending(r *http.Request) string {
	id := r.PathValue("id")
	c, err := r.Cookie(s.cookie(id))
	if err != nil {
		return ""
	}
	return s.sessions.ending(id, c.Value)
}

// close ends a session; why is for its agent, and may be empty.
func (s *Server) close(o *session, why string) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	if s.sessions.byID[o.id] == o {
		o.why = why
	}
	s.sessions.end(func(other *session) bool { return other == o })
}

// sameOrigin reports whether a browser says that a request comes from the screen's
// own page.
func sameOrigin(r *http.Request, base string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := r.Header.Get("Origin")
	return origin == "" || slices.Contains([]string{"http://" + r.Host, "https://" + r.Host, strings.TrimSuffix(base, "/")}, origin)
}
