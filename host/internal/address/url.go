package address

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxURL bounds what is looked at.
const maxURL = 8 << 10

// The schemes of the web.
const (
	HTTPS = "https"
	HTTP  = "http"
)

// URL reads an absolute URL of one of the schemes, https alone if none is given. It
// refuses what different readers read differently, or what could be meant to
// mislead a person: user information, a fragment, control characters, backslashes,
// characters beyond ASCII, hosts that Host refuses, and whatever is not the same
// when it is written again (E01, E03).
func URL(raw string, schemes ...string) (*url.URL, error) {
	if len(schemes) == 0 {
		schemes = []string{HTTPS}
	}
	if len(raw) > maxURL {
		return nil, fmt.Errorf("the URL is longer than %d bytes", maxURL)
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, fmt.Errorf("the URL has the character %q (hint: it has to be written as %%%02X)", rune(c), c)
		}
	}
	if strings.Contains(raw, "#") {
		return nil, errors.New("the URL has a fragment, which nothing is sent of")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("this is no URL") // the cause would show it, with what is secret in it
	}
	if err := Check(u, schemes...); err != nil {
		return nil, err
	}
	if !strings.EqualFold(u.String(), raw) {
		return nil, errors.New("the URL can be read in two ways")
	}
	return u, nil
}

// Check is URL for one that is parsed already, such as of a redirect.
func Check(u *url.URL, schemes ...string) error {
	if len(schemes) == 0 {
		schemes = []string{HTTPS}
	}
	switch {
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("the URL has the scheme %.16q (hint: %s is needed)", u.Scheme, strings.Join(schemes, " or "))
	case u.Opaque != "":
		return errors.New("the URL has no // before its host")
	case u.User != nil:
		return errors.New("the URL has user information")
	case u.Fragment != "" || u.RawFragment != "":
		return errors.New("the URL has a fragment, which nothing is sent of")
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("the URL has a colon without a port")
	}
	host, err := Host(u.Hostname())
	if err != nil {
		return err
	}
	if port := u.Port(); port != "" {
		if _, err := Port(port); err != nil {
			return err
		}
	}
	bracketed := strings.HasPrefix(u.Host, "[")
	if bracketed != strings.Contains(u.Hostname(), ":") {
		return fmt.Errorf("the host %.64q: brackets are for IPv6 addresses", host)
	}
	return nil
}

// PortOf returns the port that a checked URL is reached at.
func PortOf(u *url.URL) uint16 {
	if port, err := Port(u.Port()); err == nil {
		return port
	}
	if u.Scheme == HTTP {
		return 80
	}
	return 443
}
