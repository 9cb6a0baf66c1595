package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/identity"
	"github.com/jackfield/jackfield/host/internal/rest"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/scheduler"
	"github.com/jackfield/jackfield/host/internal/screen"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/host/internal/upkeep"
	"github.com/jackfield/jackfield/host/internal/web"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// Host is the daemon. It knows all parts, which do not know each other.
type Host struct {
	config   config.Host
	log      hclog.Logger
	redactor *secret.Redactor

	db         *sqlite.DB
	files      *configuration
	watch      *config.Watcher
	found      *discovery.Watcher
	ways       *ways
	sup        *supervisor.Supervisor
	processes  *processes
	lifecycle  *lifecycle
	candidates *candidates
	unfit      *unfit
	cage       *cage
	reach      *reach
	runner     *runner.Runner
	scheduler  *scheduler.Scheduler
	upkeep     *upkeep.Upkeep
	members    *identity.Projector
	templates  *templates
	inbox      *sqlite.Inbox
	hooks      *callHooks
	callbox    *callbox.Callbox
	screens    *screen.Server
	api        *api.Server
	web        *web.Server // nil: no HTTP
	rest       *rest.Gateway
	metrics    *telemetry.Metrics
	traces     *telemetry.Traces      // nil: nobody wants any
	scraper    atomic.Pointer[string] // the token that opens the metrics
	snapshots  *snapshots

	descriptors *descriptors

	plugged chan struct{} // of one: the set of plugins that can take work changed
	adapted chan struct{} // of one: integrations changed, which a new version may have been refused for
}

// OpenHost opens the store and makes the parts. Nothing runs before Run, which
// also closes the store; a Host that is not run is closed with Close.
func OpenHost(ctx context.Context, cfg config.Host, log hclog.Logger, redactor *secret.Redactor) (*Host, error) {
	return openHost(ctx, cfg, log, redactor, runner.Options{})
}

// openHost is OpenHost with a runner whose patience differs from the default.
func openHost(ctx context.Context, cfg config.Host, log hclog.Logger, redactor *secret.Redactor, patience runner.Options) (*Host, error) {
	h := &Host{config: cfg, log: log, redactor: redactor, plugged: make(chan struct{}, 1), adapted: make(chan struct{}, 1)}
	var err error
	if h.descriptors, err = newDescriptors(descriptorLimit(), openDescriptors); err != nil {
		return nil, err
	}
	signers, err := discovery.ParseKeys(cfg.Plugins.Keys)
	if err != nil {
		return nil, err
	}
	h.found, err = discovery.NewWatcher(discovery.Options{
		Dir: cfg.Plugins.Dir, Lock: cfg.LockFile(), Data: cfg.Data,
		Trust: discovery.Trust(cfg.Plugins.Trust), Keys: signers, Log: log.Named("discovery"),
		Host: readBuild().release(), KeepRemoved: cfg.Plugins.OnRemove == config.RemovedKeep,
		Keep: func(digest string) bool { return h.lifecycle.keeps(digest) }, // asked once it runs
	})
	if err != nil {
		return nil, err
	}
	var warming sync.WaitGroup
	warming.Go(h.found.Warm)
	defer warming.Wait()
	h.metrics = h.newMetrics()
	if h.traces, err = h.openTraces(ctx, cfg.Telemetry.OTLP); err != nil {
		return nil, err
	}
	h.db, err = sqlite.Open(ctx, sqlite.Options{
		OnCommit: h.metrics.Committed, OnApply: h.metrics.Applied,
		Path: cfg.Data, OnRevoke: func(lanes []int64) { h.scheduler.Revoke(lanes) },
		OnFull: h.tellFull, OnDamage: h.tellDamaged,
	})
	if err != nil {
		return nil, err
	}
	keys, err := openKeys(ctx, cfg, h.db)
	if err == nil {
		h.lifecycle, err = openLifecycle(ctx, h.db, log.Named("plugin"))
	}
	if err == nil {
		h.lifecycle.count = h.metrics.Moved
	}
	if err == nil {
		err = h.wire(ctx, keys, patience)
	}
	if err == nil {
		var all []store.Integration
		all, err = h.db.Integrations(ctx, store.IntegrationFilter{Limit: allIntegrations})
		h.files.remember(all)
	}
	if err != nil {
		return nil, errors.Join(err, h.db.Close())
	}
	return h, nil
}

// wire makes the parts around the store.
func (h *Host) wire(ctx context.Context, keys *secret.Keyring, patience runner.Options) error {
	h.ways = h.newWays()
	var err error
	h.cage = newCage(h.config, true)
	h.sup, err = supervisor.New(supervisor.Options{
		Confine:   h.cage.confine,
		Probation: h.config.Plugins.Probation, DrainTimeout: h.config.Plugins.Drain,
		RunDir: h.cage.runDir(h.config.Data), Shared: h.cage.box.Separate() == "", Log: h.log.Named("plugin"), Redact: h.redactor.Redact,
		Inspect: discovery.Inspect, Folder: discovery.CheckFolder, OnChange: h.pluginsChanged, Room: h.descriptors.room,
		OnMove: h.lifecycle.moved, OnCall: h.called, Verify: h.verifyCandidate, Accept: h.acceptManifest, Resume: h.resume, Manifest: h.manifestOf, Cursors: cursors{h.db, h.lifecycle.flush, h.log.Named("plugin")}, Idle: h.config.Plugins.Idle, IdleOf: h.config.Plugins.Idles,
		Trace:  traceCall(h.traces),
		Egress: h.ways.open,

		PerTenant: h.perTenant, MaxProcesses: h.config.Plugins.MaxProcesses,
		Reach: func(plugin, tenant string) supervisor.Access { return h.reach.of(plugin, tenant) },
	})
	if err != nil {
		return err
	}
	h.processes = &processes{sup: h.sup, watch: h.found, data: h.config.Data, lock: h.config.LockFile(), withdrawn: h.lifecycle.withdrawn, revive: h.revive, network: h.config.Plugins.NetworkOf, cage: h.cage, perTenant: h.perTenant}
	h.reach = &reach{integrations: h.db.Integrations, keys: keys, manifest: h.processes.kept, perTenant: h.perTenant}
	h.processes.reach, h.processes.adapted = h.reach, h.adapted
	if err := h.wireTemplates(ctx, keys); err != nil {
		return err
	}
	opts := h.templates.options(config.Options{
		Plugins: h.processes.kept, Redactor: h.redactor, Running: &h.config,
		Had:  func(integration string) []string { return h.files.connectors(integration) },
		Good: func() (config.Host, bool) { return h.files.lastGood() },
	})
	h.files = &configuration{
		file: h.config.File, opts: opts, keys: keys, db: h.db,
		manifest: h.processes.kept, types: h.templates, log: h.log.Named("config"), now: time.Now, retention: h.config.Retention, guard: h.config.DeleteGuard,
		paused: h.config.Paused, stuck: h.config.StuckAfter, parks: h.config.Plugins.OnIncompatible == config.IncompatiblePark,
	}
	h.snapshots = &snapshots{
		backup: h.db.Backup, size: h.storeSize, free: freeBytes, now: time.Now, since: time.Now(), log: h.log.Named("snapshot"),
	}
	h.snapshots.configure(h.config.Snapshots)
	h.files.applied = func() {
		nudge(h.adapted)
		nudge(h.unfit.look)
	}
	h.files.follow = func(c config.Host) {
		h.snapshots.configure(c.Snapshots)
		h.sup.SetIdle(c.Plugins.Idle, c.Plugins.Idles)
		h.ways.guard.Allow(c.Egress.Grants())
		h.sup.SetPatience(c.Plugins.Probation, c.Plugins.Drain)
		h.templates.allow(c.Egress.Grants())
		h.scheduler.Wake() // it may have been paused, or be no longer
	}
	h.watch = config.NewWatcher(h.config.File, opts, config.WatchOptions{Log: h.log.Named("config")})
	h.files.reread = h.watch.Reload
	patience.Log, patience.Redact = h.log.Named("run"), h.redactor.Redact
	patience.Say, patience.DeleteGuard = h.sup.Say, h.files.DeleteGuard
	patience.Endpoint = h.templates.callForPlugin
	if h.traces != nil {
		patience.Trace = h.traces
	}
	h.candidates = &candidates{
		integrations: h.db.Integrations, unread: h.unread, keys: keys, redactor: h.redactor, serving: h.processes.Acquire,
		own: h.templates.misfits, parks: h.files.ParksIncompatible, park: h.db.ParkUnfit, log: h.log.Named("plugin"),
	}
	h.unfit = &unfit{
		integrations: h.db.Integrations, serving: h.sup.Manifest, takes: h.candidates.takes, resume: h.db.ResumeFit,
		log: h.log.Named("plugin"), look: make(chan struct{}, 1),
	}
	h.runner = runner.New(h.db, h.processes, vault{keys, h.redactor, h.processes.kept}, patience)
	h.candidates.check = h.runner.CheckWith
	h.scheduler = scheduler.New(h.db, func(ctx context.Context, l store.Lane, hold *scheduler.Hold) error {
		return h.runner.Work(ctx, l, hold)
	}, scheduler.Options{Plugins: h.sup.Loaded, Paused: h.files.Paused, Wake: h.db.Wakes(), Log: h.log.Named("scheduler")})
	if err := h.wireCalls(ctx); err != nil {
		return err
	}
	box := &calls{h.inbox, h.callbox, h.hooks}
	if err := h.wireScreens(box); err != nil {
		return err
	}
	h.upkeep = upkeep.New(h.log.Named("upkeep"), h.tasks()...)
	h.members = identity.New(h.db, identity.Options{Changed: h.db.Changed, Log: h.log.Named("member")})
	h.api, err = api.New(api.Options{
		Socket: filepath.Join(h.config.Data, api.SocketName), Log: h.log, Version: readBuild().version,
		Refuse: api.Descends(h.sup.PIDs), Redact: h.redactor.Redact, Changed: h.db.Changed,
		MaxConns: h.descriptors.connections(), Room: h.descriptors.room, Web: h.listening, Isolation: h.cage.isolation,
	}, api.Deps{
		Store: integrations{h.db, func() { nudge(h.adapted) }}, Plugins: &manifests{h.processes}, Engine: &engine{db: h.db, runner: h.runner}, Config: h.files,
		Database: database{h.db, h.snapshots}, Endpoints: h.templates, Connects: h.templates, Calls: box, Screens: screens{h.screens, h.base},
	})
	if err != nil {
		return err
	}
	return h.wireWeb()
}

// perTenant reports whether each tenant has a process of the plugin.
func (h *Host) perTenant(plugin string) bool {
	return h.config.Plugins.IsolationOf(plugin) == config.IsolationTenant
}

// Ready returns a channel that is closed once the API answers.
func (h *Host) Ready() <-chan struct{} { return h.api.Ready() }

// Close closes a Host that is not run.
func (h *Host) Close() error { return h.db.Close() }

// Run serves until ctx ends, then stops in order: nobody asks for work any more,
// streams end or return to pending, the files are let go, the plugins end, the
// store closes. It returns store.ErrOutcomeUnknown when the store cannot tell
// what was written; the next start can.
func (h *Host) Run(ctx context.Context) error {
	artifacts := make(chan []discovery.Artifact)
	go h.tellReady(ctx)
	err := actors{
		{"screens", h.screens.Run}, // what they follow would hold up the listener
		{"http", h.serveWeb},
		{"api", h.api.Run},
		{"calls", h.callbox.Run},
		{"scheduler", h.scheduler.Run},
		{"upkeep", h.upkeep.Run},
		{"members", h.members.Run},
		{"config", func(ctx context.Context) error { return h.watch.Run(ctx, h.files.changed) }},
		{"discovery", func(ctx context.Context) error { return h.found.Run(ctx, artifacts) }},
		{"plugins", func(ctx context.Context) error { return h.keepPlugins(ctx, artifacts) }},
		{"unfit", h.unfit.run},
		{"supervisor", h.sup.Run},
		{"lifecycle", h.lifecycle.run},
		{"traces", h.trace},
		{"memory", keepMemory},
		{"store", h.watchStore},
	}.run(ctx)
	err = errors.Join(err, h.db.Close())
	h.log.Info("stopped")
	return err
}

// storeSize returns roughly what a copy of the store takes.
func (h *Host) storeSize(ctx context.Context) (int64, error) {
	st, err := h.db.Status(ctx)
	return st.DatabaseBytes + st.WALBytes, err
}

// tellReady logs that the daemon answers.
func (h *Host) tellReady(ctx context.Context) {
	select {
	case <-h.Ready():
		h.log.Info("serving", "version", readBuild().version, "config", h.config.File, "data", h.config.Data)
	case <-ctx.Done():
	}
}

// tellFull logs that the disk is full, and that it is not any more.
func (h *Host) tellFull(full bool) {
	if full {
		h.log.Error("the disk is full: nothing is begun and nothing can be changed until there is room", "data", h.config.Data)
		return
	}
	h.log.Info("the disk has room again: the work goes on", "data", h.config.Data)
}

// tellDamaged logs that the database is not as it was written.
func (h *Host) tellDamaged(err error) {
	h.log.Error("the database is damaged: nothing is written any more", "error", err)
}

// watchStore ends the daemon when the store cannot go on.
func (h *Host) watchStore(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-h.db.Failed():
		return h.db.Err()
	case <-h.inbox.Failed():
		return h.inbox.Err()
	}
}

// verifyCandidate is called by the supervisor, once it runs.
func (h *Host) verifyCandidate(ctx context.Context, c supervisor.Candidate) error {
	return h.candidates.verify(ctx, c)
}

// pluginsChanged is called by the supervisor; it must not wait.
func (h *Host) pluginsChanged() {
	nudge(h.plugged)
	nudge(h.unfit.look)
}

// nudge tells one who listens to a channel of one, without waiting.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is told already
	}
}

// keepPlugins runs what discovery finds, and parks the integrations whose plugin
// is not there (C01). A plugin that crashed is there: it comes back by itself.
func (h *Host) keepPlugins(ctx context.Context, artifacts <-chan []discovery.Artifact) error {
	synced := make(chan error, 1)
	var files []discovery.Artifact
	busy, again := false, false
	for {
		select {
		case <-ctx.Done():
			if busy { // a start that the stop cut short is no failure of the daemon
				h.log.Debug("plugins", "stopped", <-synced)
			}
			return nil
		case files = <-artifacts:
			h.lifecycle.found(files)
			again = true
			h.park(ctx, h.binaries(files))
		case err := <-synced:
			busy = false
			if err != nil {
				h.log.Error("plugins", "error", err)
			}
		case <-h.adapted:
			h.letGo(ctx)
			if files != nil {
				again = true
				h.park(ctx, h.binaries(files)) // an integration may be new, or of another plugin
			}
		case <-h.plugged:
			h.watch.Reload() // settings can be checked that could not
			h.scheduler.Wake()
		}
		if again && !busy {
			busy, again = true, false
			now := files
			go func() { // slow plugins hold up nobody
				h.lookAround(ctx, now)
				synced <- h.sup.Sync(ctx, h.binaries(now))
			}()
		}
	}
}

// lookAround learns which files plugins may read.
func (h *Host) lookAround(ctx context.Context, found []discovery.Artifact) {
	var names []string
	for _, a := range found {
		if a.Runnable() {
			names = append(names, a.Name)
		}
	}
	if err := h.reach.look(ctx, names); err != nil && ctx.Err() == nil {
		h.log.Warn("plugins may read what they could before, whatever settings name by now", "error", err)
	}
}

// park tells the store which plugins are there.
func (h *Host) park(ctx context.Context, there []supervisor.Binary) {
	names := make([]string, len(there))
	for i, b := range there {
		names[i] = b.Name
	}
	gone, back, err := h.db.ParkIntegrations(ctx, names)
	if err != nil {
		h.log.Error("park integrations", "error", err)
	}
	for _, name := range gone {
		h.log.Warn("integration parked: its plugin is not there", "integration", name)
	}
	for _, name := range back {
		h.log.Info("integration resumed", "integration", name)
	}
}
