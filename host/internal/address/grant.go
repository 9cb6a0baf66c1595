package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Grant is what an operator opens that is refused otherwise: a range of addresses,
// or wherever in private networks or on this machine a name leads.
type Grant struct {
	Name  string       // exactly; else Range is given
	Range netip.Prefix // of addresses
	Port  uint16       // any if zero
}

// The shortest prefixes that a grant may have: private networks are as large.
const (
	widest4 = 8
	widest6 = 7
)

// ParseGrant reads crm.internal, crm.internal:8443, 10.1.0.0/16, 10.1.2.3:8443 or
// [fd00::1]:8443.
func ParseGrant(s string) (Grant, error) {
	if strings.Contains(s, "*") {
		return Grant{}, errors.New("a grant names a host exactly, or a range of addresses (hint: such as crm.internal:8443 or 10.1.0.0/16)")
	}
	if strings.Contains(s, "/") {
		return parseRange(s)
	}
	host, port := s, uint16(0)
	if strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1 {
		var err error
		if host, port, err = Split(s); err != nil {
			return Grant{}, err
		}
	}
	host, err := Host(host)
	if err != nil {
		return Grant{}, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return Grant{Range: netip.PrefixFrom(ip, ip.BitLen()), Port: port}, nil
	}
	return Grant{Name: host, Port: port}, nil
}

func parseRange(s string) (Grant, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return Grant{}, fmt.Errorf("%.64q is no range of addresses (hint: such as 10.1.0.0/16)", s)
	case p.Addr().Is4In6():
		return Grant{}, fmt.Errorf("%.64q: write the range as IPv4", s)
	case p != p.Masked():
		return Grant{}, fmt.Errorf("%.64q: the range begins at another address (hint: %s)", s, p.Masked())
	case p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6:
		return Grant{}, fmt.Errorf("%.64q opens nearly everything (hint: name what is needed)", s)
	}
	return Grant{Range: p}, nil
}

// Opens reports whether the grant lets a connection to port at ip pass, which host
// led to and which is of a class that is refused otherwise. A name opens private
// networks and this machine alone: whoever answers for it in DNS shall not be able
// to lead elsewhere. Metadata of a cloud's machine is opened by its own address
// alone.
func (g Grant) Opens(host string, port uint16, ip netip.Addr, class Class) bool {
	ip = ip.Unmap()
	if g.Port != 0 && g.Port != port {
		return false
	}
	if g.Name == "" {
		return g.Range.Contains(ip) && (class != Metadata || g.Range.IsSingleIP())
	}
	inside := class == Private || class == Shared || class == Loopback || class == Own
	return g.Name == host && inside
}

// String returns the grant as ParseGrant reads it.
func (g Grant) String() string {
	host := g.Name
	if host == "" {
		if !g.Range.IsSingleIP() {
			return g.Range.String()
		}
		host = g.Range.Addr().String()
	}
	if g.Port == 0 {
		return host
	}
	return Join(host, g.Port)
}
