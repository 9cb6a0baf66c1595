package address

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The bounds of a name in DNS.
const (
	maxHost  = 253
	maxLabel = 63
)

// errEmpty is a host that is not there.
var errEmpty = errors.New("no host is named")

// Host returns the one form of a host: a name in lower case, an IPv4 address as four
// decimal numbers, an IPv6 address as RFC 5952 writes it, without brackets. It
// refuses what different readers read differently: other notations of IPv4
// addresses, zones, a dot at the end, characters beyond ASCII.
func Host(s string) (string, error) {
	if s == "" {
		return "", errEmpty
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return "", fmt.Errorf("the host %.64q is not ASCII (hint: write it as its registry does, xn--...)", s)
		}
	}
	if strings.Contains(s, ":") {
		return host6(s)
	}
	s = strings.ToLower(s)
	if len(s) > maxHost {
		return "", fmt.Errorf("the host %.64q... is longer than %d characters", s, maxHost)
	}
	labels := strings.Split(s, ".")
	if labels[len(labels)-1] == "" {
		return "", fmt.Errorf("the host %.64q ends with a dot", s)
	}
	if number(labels[len(labels)-1]) {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return "", fmt.Errorf("the host %.64q is an address in an odd form (hint: four decimal numbers)", s)
		}
		return ip.String(), nil
	}
	for _, l := range labels {
		if !label(l) {
			return "", fmt.Errorf("the host %.64q is no name", s)
		}
	}
	return s, nil
}

func host6(s string) (string, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return "", fmt.Errorf("the host %.64q is no address", s)
	}
	if ip.Zone() != "" {
		return "", fmt.Errorf("the host %.64q has a zone, which names a card of this machine", s)
	}
	return ip.Unmap().String(), nil
}

// number reports whether a reader of addresses may take the label for a number.
func number(label string) bool {
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func label(l string) bool {
	if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	return strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Port returns the number of a port, from 1 to 65535, in plain decimals.
func Port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("the port %.16q is not between 1 and 65535", s)
	}
	return uint16(n), nil
}

// Split returns the host, in its one form, and the port of host:port.
func Split(s string) (host string, port uint16, err error) {
	h, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("%.64q is no host with a port", s)
	}
	if host, err = Host(h); err != nil {
		return "", 0, err
	}
	if bracketed := strings.HasPrefix(s, "["); bracketed != strings.Contains(h, ":") {
		return "", 0, fmt.Errorf("%.64q: brackets are for IPv6 addresses", s)
	}
	port, err = Port(p)
	return host, port, err
}

// Join is the opposite of Split.
func Join(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}
