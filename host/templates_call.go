package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/host/internal/egress"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/secret"
)

// wireTemplates makes what calls endpoints. It connects through the guard, and
// without TLS to nobody but whom the operator names in egress.allow.
func (h *Host) wireTemplates(ctx context.Context, keys *secret.Keyring) (err error) {
	each := h.ways.guard.Transports(egress.ClientOptions{PlainHTTP: true, Header: endpoint.MaxTimeout})
	t := &templates{db: h.db, keys: keys, redactor: h.redactor, log: h.log.Named("template"), transports: each, manifest: h.processes.kept, serving: h.sup.Loaded}
	t.allow(h.config.Egress.Grants())
	h.templates, err = newTemplates(ctx, t, guardedEach(each))
	return err
}

// allow puts grants in the place of those before. A connection that one of those opened
// is not used any more.
func (t *templates) allow(grants []address.Grant) {
	if before := t.grants.Swap(&grants); before != nil && !slices.Equal(*before, grants) {
		t.transports.Renew()
	}
}

// plainHTTP reports whether a host may be called without TLS: one that is granted.
func (t *templates) plainHTTP(hostport string) bool {
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		host, portText = hostport, "80"
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return false
	}
	ip, ipErr := netip.ParseAddr(host)
	for _, g := range *t.grants.Load() {
		if g.Port != 0 && uint64(g.Port) != port {
			continue
		}
		if g.Name != "" && g.Name == host || g.Name == "" && ipErr == nil && g.Range.Contains(ip) {
			return true
		}
	}
	return false
}

// guarded tells the engine which errors say that a host must not be called.
type guarded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := g.RoundTripper.RoundTrip(req)
	if refused, ok := errors.AsType[*egress.Refused](err); ok {
		return nil, endpointRefused{refused}
	}
	return res, err
}

// guardedEach gives each integration a guarded transport of its own.
func guardedEach(of *egress.Transports) func(id string) http.RoundTripper {
	return func(id string) http.RoundTripper { return guarded{of.For(id)} }
}

// endpointRefused is a connection that is not made, however often it is tried.
type endpointRefused struct{ error }

// Refused is what the engine asks.
func (endpointRefused) Refused() bool { return true }
