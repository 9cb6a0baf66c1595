package egress

import (
	"errors"
	"fmt"

	"github.com/jackfield/jackfield/host/internal/address"
)

// Codes of what a proxy answers in the place of a connection.
const (
	CodeHost        = "egress_host"        // the plugin may not connect to that host
	CodeAddress     = "egress_address"     // the host is at an address that is not public
	CodeRequest     = "egress_request"     // what was asked for is none that a proxy answers
	CodeUnreachable = "egress_unreachable" // the host does not answer, or has no address
	CodeBusy        = "egress_busy"        // too many connections
)

// Refused is a connection that was not made because the host is at an address that
// is not public, and that nobody granted.
type Refused struct {
	Host  string
	Port  uint16
	IP    string
	Class address.Class
}

// Error says what was refused, and how an operator allows it.
func (e *Refused) Error() string {
	target, at := address.Join(e.Host, e.Port), ""
	if e.IP != e.Host {
		at = "it is at " + e.IP + ", "
	}
	return fmt.Sprintf("%s is refused: %sa %s address (hint: egress: {allow: [%q]} in host.yaml opens it)", target, at, e.Class, e.grant(target))
}

// grant is what would let the connection pass.
func (e *Refused) grant(target string) string {
	switch e.Class {
	case address.Private, address.Shared, address.Loopback, address.Own:
		return target
	default: // no name opens these
		return e.IP
	}
}

// errGone is a connection that was allowed when it was asked for, and is no more. The
// next attempt is told why.
var errGone = errors.New("what allowed it went away meanwhile")

// ErrTooLarge is an answer that is larger than a Client takes.
var ErrTooLarge = errors.New("the answer is too large")

// ErrRedirect is a redirect that a Client does not follow.
var ErrRedirect = errors.New("the redirect is refused")
