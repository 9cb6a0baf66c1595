package screen

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/jackfield/jackfield/store"
)

// CheckOrigin reports what is wrong with the origin of a page that embeds screens:
// it is exact, https or of this machine, and has nothing but scheme, name and port.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		origin != u.Scheme+"://"+strings.ToLower(u.Host) || strings.ContainsAny(u.Host, "*;, '\"\\") || u.Hostname() == "":
		return store.Hint(fmt.Errorf("%w: %q is not the origin of a page", store.ErrInvalid, origin), "such as https://crm.acme.example, without a path and without *")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return store.Hint(fmt.Errorf("%w: %q names the port that its scheme has anyway", store.ErrInvalid, origin), "browsers leave it out")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return store.Hint(fmt.Errorf("%w: %q is not encrypted, so anybody on the way could be it", store.ErrInvalid, origin), "http is for this machine alone")
	}
	return nil
}

// loopback reports whether a name is this machine.
func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1" || strings.HasSuffix(host, ".localhost")
}
