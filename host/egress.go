package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/egress"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// egressSocket is the name of a proxy's socket in the directory of its process. Of a
// plugin's own sockets none is called so.
const egressSocket = "egress"

// ways makes the ways out of plugins' processes: each has a proxy of its own, which
// lets it connect to what its manifest names, and the settings that were handed to it
// (P09).
type ways struct {
	guard   *egress.Guard
	network func(plugin string) config.Network
	kept    func(digest string) (sdk.Manifest, error) // as it was approved
	room    func() error
	metrics *telemetry.Metrics
	log     hclog.Logger
}

func (h *Host) newWays() *ways {
	return &ways{
		guard:   egress.New(egress.Options{Allow: h.config.Egress.Grants()}),
		network: h.config.Plugins.NetworkOf,
		kept:    func(digest string) (sdk.Manifest, error) { return discovery.LoadManifest(h.config.Data, digest) },
		room:    h.descriptors.room, metrics: h.metrics, log: h.log.Named("egress"),
	}
}

// open is what the supervisor calls for each process.
func (w *ways) open(ctx context.Context, b supervisor.Binary, dir string) (supervisor.Egress, error) {
	if w.network(b.Name) == config.NetworkDirect {
		return nil, nil //nolint:nilnil // it connects by itself
	}
	path := filepath.Join(dir, egressSocket)
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("make egress of plugin %s: %w", b.Name, err)
	}
	out := &way{plugin: b.Name, socket: path, log: w.log, list: egress.NewList()}
	if m, err := w.kept(b.Digest); err == nil {
		out.approved = &m
	}
	attempted, carried := w.metrics.Egress(b.Name)
	out.proxy = w.guard.Proxy(egress.ProxyOptions{
		Plugin: b.Name, Tenant: b.Tenant, List: out.list, Room: w.room, Log: w.log, Moved: carried,
		Attempted: func(r egress.Result) { attempted(string(r)) },
	})
	out.serving.Go(func() {
		if err := out.proxy.Serve(listener); err != nil {
			w.log.Error("egress", "error", err)
		}
	})
	return out, nil
}

// way is the way out of one process.
type way struct {
	plugin   string
	socket   string
	log      hclog.Logger
	list     *egress.List
	proxy    *egress.Proxy
	approved *sdk.Manifest // what it may say of itself: nil if nobody has looked at it
	serving  sync.WaitGroup

	mu     sync.Mutex // guards schema
	schema []byte     // of settings
}

var _ supervisor.Egress = (*way)(nil)

// Env implements supervisor.Egress.
func (w *way) Env() []string { return []string{plugin.EgressEnv + "=" + w.socket} }

// Describe implements supervisor.Egress. What counts is what was approved, if it was.
func (w *way) Describe(m sdk.Manifest) {
	if w.approved != nil {
		m = *w.approved
	}
	w.mu.Lock()
	w.schema = m.SettingsSchema
	w.mu.Unlock()
	var patterns []address.Pattern
	for _, host := range m.Hosts[:min(len(m.Hosts), sdk.MaxHosts)] {
		p, err := address.ParsePattern(host)
		if err != nil {
			w.log.Warn("host of a manifest cannot be used", "plugin", w.plugin, "error", err)
			continue
		}
		patterns = append(patterns, p)
	}
	w.list.Add(patterns...)
}

// Open implements supervisor.Egress.
func (w *way) Open(in sdk.Integration) (left func()) {
	w.mu.Lock()
	schema := w.schema
	w.mu.Unlock()
	var patterns []address.Pattern
	for _, value := range config.Hosts(schema, in.Settings.Reveal()) {
		if p, err := address.OfSetting(value); err == nil { // else the plugin refuses it, or it is refused what is there
			patterns = append(patterns, p)
		}
	}
	return w.list.Add(patterns...)
}

// Close implements supervisor.Egress.
func (w *way) Close() {
	w.proxy.Close()
	w.serving.Wait()
}

// letGo has plugins close what they hold of integrations that are disabled, gone, or
// have other settings by now: with it goes the way to the hosts that these named.
func (h *Host) letGo(ctx context.Context) {
	for _, in := range h.sup.Opened() {
		now, err := h.db.IntegrationByUID(ctx, in.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			h.log.Warn("look for integrations that are gone", "error", err)
			return
		case now.Enabled && now.RemovedAt.IsZero() && (now.Hold == nil || now.Finishing) && now.Revision == runner.RevisionOf(in):
			continue
		}
		h.sup.Forget(in.ID, in.Revision)
	}
}

// integrations is the store as the API has it, which tells when one was stopped.
type integrations struct {
	*sqlite.DB
	stopped func()
}

// HoldIntegration implements api.Store.
func (s integrations) HoldIntegration(ctx context.Context, id int64, by string, finish bool) (store.Integration, error) {
	defer s.stopped()
	return s.DB.HoldIntegration(ctx, id, by, finish)
}

// DeleteIntegration implements api.Store.
func (s integrations) DeleteIntegration(ctx context.Context, id int64) error {
	defer s.stopped()
	return s.DB.DeleteIntegration(ctx, id)
}
