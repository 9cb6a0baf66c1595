package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/rest"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/host/internal/web"
	"github.com/jackfield/jackfield/proto/openapi"
	"github.com/jackfield/jackfield/store"
)

// metricsRoute is for who scrapes metrics, with a token that opens nothing else: one
// who watches is not the administrator.
const (
	metricsRoute     = "GET /metrics"
	metricsTokenName = "metrics.token"
)

// apiRoute is for programs; the API itself says what a token opens.
const (
	apiRoute      = "/api/"
	documentRoute = "GET /api/openapi.json"
)

// wireWeb makes the HTTP listener, if somebody wants it.
func (h *Host) wireWeb() (err error) {
	if h.config.Listen == "" {
		return nil
	}
	h.rest = rest.New(rest.Options{Dial: h.api.Dial, Document: writeDocument})
	h.web, err = web.New(web.Options{
		Listen: h.config.Listen, Authorized: h.api.Authorized, Ready: h.readiness, Log: h.log.Named("http"), Redact: h.redactor.Redact,
		Cert: h.config.TLS.Cert, Key: h.config.TLS.Key, Hosts: h.config.Hosts, Refused: h.metrics.Refused,
		MaxConns: h.descriptors.httpConnections(), RPC: h.api, Caller: h.knows, Public: h.screens.Routes(),
		Routes: map[string]http.Handler{
			metricsRoute: h.metrics.Handler(), apiRoute: h.rest, documentRoute: openapi.Handler(),
		},
		Open: map[string]func(context.Context, string) bool{
			metricsRoute: h.mayScrape, apiRoute: h.knows, documentRoute: h.knows,
		},
	})
	return err
}

// knows reports whether a token opens anything of the API.
func (h *Host) knows(ctx context.Context, token string) bool {
	_, err := h.api.Identify(ctx, token)
	return err == nil
}

// writeDocument writes a message of the API as the command line does.
func writeDocument(m proto.Message) ([]byte, error) { return marshal(document(m)) }

// listening tells where HTTP is served, or why it is not; neither if nobody wants
// it.
func (h *Host) listening() (net.Addr, error) {
	if h.web == nil {
		return nil, nil
	}
	return h.web.Addr(), h.web.Err()
}

// readiness says why the daemon cannot do its work, or returns nil.
func (h *Host) readiness() error {
	select {
	case <-h.Ready():
		return h.db.Err()
	default:
		return errors.New("the API does not answer yet")
	}
}

// serveWeb serves HTTP, if somebody wants it.
func (h *Host) serveWeb(ctx context.Context) error {
	if h.web == nil {
		<-ctx.Done()
		return nil
	}
	path := filepath.Join(h.config.Data, metricsTokenName)
	token, err := api.WriteToken(path)
	if err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	h.scraper.Store(&token)
	err = actors{{"listener", h.web.Run}, {"rest", h.rest.Run}}.run(ctx)
	return errors.Join(err, os.Remove(path))
}

// mayScrape reports whether a token opens the metrics.
func (h *Host) mayScrape(_ context.Context, token string) bool {
	want := h.scraper.Load()
	return want != nil && api.SameToken(token, *want)
}

// newMetrics returns the daemon's, which read the parts when they are asked.
func (h *Host) newMetrics() *telemetry.Metrics {
	states := []supervisor.State{
		supervisor.StateStarting, supervisor.StateServing, supervisor.StateIdle, supervisor.StateBackoff,
		supervisor.StateDraining, supervisor.StateStopped, supervisor.StateRefused, supervisor.StateQuarantined, supervisor.StateWithdrawn,
	}
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return telemetry.New(telemetry.Options{
		Version: readBuild().version, States: names, Plugins: h.measured,
		Store: func(ctx context.Context) (store.Gauges, error) { return h.db.Gauges(ctx) },
	})
}

// measured returns how the plugins are: of a plugin with several processes, that
// which takes the work comes first.
func (h *Host) measured() []telemetry.Plugin {
	var out, rest []telemetry.Plugin
	all := h.sup.Status()
	others := map[string][]int{}
	for _, s := range all {
		if s.Tenant != "" && s.PID != 0 {
			others[s.Name] = append(others[s.Name], s.PID)
		}
	}
	for _, s := range all {
		if s.Tenant != "" {
			continue // no label is a tenant: the plugin's own counts them
		}
		p := telemetry.Plugin{
			Name: s.Name, Version: s.Version, State: string(s.State), PID: s.PID,
			Restarts: s.Restarts, InFlight: s.InFlight, Instances: s.Instances, Others: others[s.Name],
		}
		switch s.State {
		case supervisor.StateDraining, supervisor.StateRefused:
			rest = append(rest, p)
		default:
			out = append(out, p)
		}
	}
	return append(out, rest...)
}

// called counts a call of a plugin.
func (h *Host) called(c supervisor.Call) { h.metrics.Called(c.Plugin, c.Method, c.Code, c.Took) }
