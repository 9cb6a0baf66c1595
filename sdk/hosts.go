package sdk

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MaxHosts is how many hosts a manifest names.
const MaxHosts = 256

// hosts reports what is wrong with the hosts of a manifest.
func (m Manifest) hosts() []error {
	var errs []error
	if len(m.Hosts) > MaxHosts {
		errs = append(errs, fmt.Errorf("hosts: %d are named, %d are allowed", len(m.Hosts), MaxHosts))
	}
	for i, h := range m.Hosts {
		switch {
		case !ValidHost(h):
			errs = append(errs, fmt.Errorf("hosts[%d] %q: a host in lower case, *. with a domain, or one of these with a port is needed, such as *.example.com", i, h))
		case slices.Contains(m.Hosts[:i], h):
			errs = append(errs, fmt.Errorf("hosts[%d] %q: named twice", i, h))
		}
	}
	return errs
}

// ValidHost reports whether a manifest can name the host: a name or an IP address, or
// *. with a domain for all below it, each also with a port.
func ValidHost(host string) bool {
	name, below := strings.CutPrefix(host, "*.")
	if ip, err := netip.ParseAddrPort(name); err == nil {
		return !below && ip.Port() != 0 && ip.Addr().Zone() == ""
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return !below && ip.Zone() == ""
	}
	if at := strings.LastIndexByte(name, ':'); at >= 0 {
		port, err := strconv.ParseUint(name[at+1:], 10, 16)
		if err != nil || port == 0 {
			return false
		}
		name = name[:at]
	}
	labels := strings.Split(name, ".")
	if len(name) > 253 || below && len(labels) < 2 || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
	})
}
