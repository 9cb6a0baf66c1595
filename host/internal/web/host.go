package web

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// sameHost refuses a request that was meant for another name: a page of the web
// whose name was made to point here sends its own.
func (s *Server) sameHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(nameOf(r.Host))
		if !local(host) && !slices.Contains(s.opts.Hosts, host) {
			s.opts.Refused("host")
			answer(w, r, refusal{
				status: http.StatusForbidden, text: "this is not the host that was asked for",
				hint: "the names it is reached by stand in hosts: of host.yaml",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// nameOf returns a host without its port.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.Trim(host, "[]")
}

// local reports whether a name or address is this machine and nothing else.
func local(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
