package address

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Pattern is a host that a plugin may connect to, or all below a domain.
type Pattern struct {
	Host  string
	Below bool // what is below Host, not itself
	Port  uint16
}

// ParsePattern reads slack.com, *.slack.com or files.slack.com:8443. Without a port
// it is that of https.
func ParsePattern(s string) (Pattern, error) {
	host, below := strings.CutPrefix(s, "*.")
	port := uint16(443)
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 {
		var err error
		if host, port, err = Split(host); err != nil {
			return Pattern{}, err
		}
	}
	host, err := Host(host)
	if err != nil {
		return Pattern{}, err
	}
	if _, err := netip.ParseAddr(host); below && (err == nil || !strings.Contains(host, ".")) {
		return Pattern{}, fmt.Errorf("%.64q: a star stands for what is below a domain (hint: such as *.example.com)", s)
	}
	return Pattern{Host: host, Below: below, Port: port}, nil
}

// OfSetting returns the host that the value of a setting names: a URL, host:port, or
// a host, which is reached at the port of https.
func OfSetting(value string) (Pattern, error) {
	if strings.Contains(value, "*") {
		return Pattern{}, errors.New("a setting names one host")
	}
	if !strings.Contains(value, "://") {
		return ParsePattern(value)
	}
	u, err := url.Parse(value)
	if err != nil {
		return Pattern{}, errors.New("this is no URL")
	}
	host, err := Host(u.Hostname())
	if err != nil {
		return Pattern{}, err
	}
	if u.Port() == "" && u.Scheme != HTTP && u.Scheme != HTTPS {
		return Pattern{}, fmt.Errorf("the URL has the scheme %.16q and no port", u.Scheme)
	}
	if u.Port() != "" {
		if _, err := Port(u.Port()); err != nil {
			return Pattern{}, err
		}
	}
	return Pattern{Host: host, Port: PortOf(u)}, nil
}

// String returns the pattern as ParsePattern reads it.
func (p Pattern) String() string {
	host := p.Host
	if p.Below {
		host = "*." + host
	}
	if p.Port == 443 {
		return host
	}
	return Join(host, p.Port)
}
