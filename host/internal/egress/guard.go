package egress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackfield/jackfield/host/internal/address"
)

const (
	defaultDialTimeout = 10 * time.Second
	leastDialTimeout   = 2 * time.Second // of one of several addresses
	mostAddresses      = 8               // of one host that are tried
)

// Options of a Guard. The zero value means the documented defaults.
type Options struct {
	Allow       []address.Grant // what is refused otherwise
	DialTimeout time.Duration   // of a connection, with its resolution; 10s if zero
	// Lookup resolves a name; by the system's resolver if nil.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Own returns the addresses of this machine; those of its interfaces if nil.
	Own func() []netip.Addr
}

// Guard connects to public addresses, and to what it was granted besides. Its methods
// may be called from several goroutines.
type Guard struct {
	opts   Options
	grants atomic.Pointer[[]address.Grant]

	mu      sync.Mutex // guards proxies
	proxies map[*Proxy]struct{}
}

// New returns a Guard.
func New(opts Options) *Guard {
	opts.DialTimeout = cmp.Or(opts.DialTimeout, defaultDialTimeout)
	if opts.Lookup == nil {
		opts.Lookup = lookup
	}
	if opts.Own == nil {
		opts.Own = interfaces
	}
	g := &Guard{opts: opts, proxies: map[*Proxy]struct{}{}}
	g.Allow(opts.Allow)
	return g
}

// Allow puts grants in the place of those before. Connections of proxies that need one
// which is gone end; others stay.
func (g *Guard) Allow(grants []address.Grant) {
	grants = slices.Clone(grants)
	if before := g.grants.Swap(&grants); before == nil || slices.Equal(*before, grants) {
		return
	}
	g.mu.Lock()
	proxies := slices.Collect(maps.Keys(g.proxies))
	g.mu.Unlock()
	for _, p := range proxies {
		p.recheck()
	}
}

func (g *Guard) attach(p *Proxy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.proxies[p] = struct{}{}
}

func (g *Guard) detach(p *Proxy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.proxies, p)
}

// DialContext connects to host:port over TCP. It returns *Refused if the host has no
// address that it may connect to. What it connects to is what it has looked at: the
// name is resolved once, and each address is looked at again when the socket is
// about to be connected to it.
func (g *Guard) DialContext(ctx context.Context, network, target string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, fmt.Errorf("connect to %s: %s is not supported", target, network)
	}
	host, port, err := address.Split(target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.opts.DialTimeout)
	defer cancel()
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	addrs = addrs[:min(len(addrs), mostAddresses)]
	for i, ip := range addrs {
		if err := g.permits(host, port, ip); err != nil {
			errs = append(errs, err)
			continue
		}
		conn, err := g.dial(ctx, network, host, port, ip, len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, worst(errs)
}

// Check reports whether a host may be connected to, as far as its addresses of now
// tell: DialContext asks again.
func (g *Guard) Check(ctx context.Context, host string, port uint16) error {
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return err
	}
	var errs []error
	for _, ip := range addrs {
		err := g.permits(host, port, ip)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return worst(errs)
}

// worst returns the error that tells most: that an address does not answer may pass,
// that all are refused does not.
func worst(errs []error) error {
	for _, err := range errs {
		if _, refused := errors.AsType[*Refused](err); !refused {
			return err
		}
	}
	return errs[0] // there is an address for each
}

// resolve returns at least one address.
func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	addrs, err := g.opts.Lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("resolve %s: it has no address", host)
	}
	return addrs, nil
}

// dial connects to one address of several that are left.
func (g *Guard) dial(ctx context.Context, network, host string, port uint16, ip netip.Addr, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(left), leastDialTimeout))
		defer cancel()
	}
	d := net.Dialer{
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, at string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(at)
			if err != nil {
				return fmt.Errorf("connect to %s: %q is no address", host, at)
			}
			return g.permits(host, to.Port(), to.Addr())
		},
	}
	conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(ip.Unmap(), port).String())
	if err == nil {
		return conn, nil
	}
	if refused, ok := errors.AsType[*Refused](err); ok {
		return nil, refused
	}
	return nil, fmt.Errorf("connect to %s: %w", address.Join(host, port), err)
}

// permits returns a *Refused unless a connection for host may be made to ip.
func (g *Guard) permits(host string, port uint16, ip netip.Addr) error {
	ip = ip.Unmap()
	class := address.Classify(ip)
	if class == address.Public {
		if !slices.Contains(g.opts.Own(), ip) {
			return nil
		}
		class = address.Own
	}
	if g.granted(host, port, ip, class) {
		inner, ok := address.Embedded(ip)
		if !ok {
			return nil
		}
		return g.permits(host, port, inner)
	}
	return &Refused{Host: host, Port: port, IP: ip.String(), Class: class}
}

func (g *Guard) granted(host string, port uint16, ip netip.Addr, class address.Class) bool {
	for _, grant := range *g.grants.Load() {
		if grant.Opens(host, port, ip, class) {
			return true
		}
	}
	return false
}

// lookup resolves a name by the system's resolver.
func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// interfaces returns the addresses of this machine.
func interfaces() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil // what is not public is refused without it
	}
	var out []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}
