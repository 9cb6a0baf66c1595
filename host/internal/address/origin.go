package address

import (
	"fmt"
	"net/url"
	"strings"
)

// CheckOrigin says what is wrong with the origin of a web page, and what helps; both are
// empty if nothing is. It is exact, https or of this machine, and has nothing but scheme,
// name and port.
func CheckOrigin(origin string) (problem, help string) {
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		origin != u.Scheme+"://"+strings.ToLower(u.Host) || strings.ContainsAny(u.Host, "*;, '\"\\"):
		return fmt.Sprintf("%q is not the origin of a page", origin), "such as https://crm.acme.example, without a path and without *"
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return fmt.Sprintf("%q names the port that its scheme has anyway", origin), "browsers leave it out"
	case u.Scheme == "http" && !thisMachine(u.Hostname()):
		return fmt.Sprintf("%q is not encrypted, so anybody on the way could be it", origin), "http is for this machine alone"
	}
	return "", ""
}

// thisMachine reports whether browsers take a name for their own machine.
func thisMachine(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1" || strings.HasSuffix(host, ".localhost")
}
