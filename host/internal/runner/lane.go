package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/schedule"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Hold is the claim of a lane, as its holder lets a worker see it.
type Hold interface {
	// Yield is closed when the worker should end at the next segment boundary.
	Yield() <-chan struct{}
	// Crowded reports whether other lanes wait for a slot.
	Crowded() bool
	// GaveBack says that the worker has given the lane back itself, with the end of its
	// run, and when the lane is due again; zero: never.
	GaveBack(due time.Time)
}

// lane is one claim of a lane at work. Its streams run in goroutines of their own.
type lane struct {
	r        *Runner
	hold     Hold
	lane     store.Lane
	manifest sdk.Manifest
	log      hclog.Logger
	until    time.Time // of the quantum

	// in.Patch changes with what the plugin returns; the rest stays as claimed.
	in       store.Integration
	service  map[string][]byte // replaced, never changed
	patching sync.Mutex        // guards in.Patch and service
	merging  chan struct{}     // of one: held from reading the patch until the new one is applied
	quota    allowance
	pages    pageSizes
	types    *types

	first  []store.Stream // claimed with the start of the run, each with a place
	places seats
}

// Work works the lane's due streams. It returns when none is due, when the hold
// asks to yield or the quantum is over and others wait, or when ctx ends; no
// call of the plugin outlives it but for one that does not return when it is
// cancelled, whose stream is abandoned by then.
func (r *Runner) Work(ctx context.Context, l store.Lane, hold Hold) error {
	in, err := r.db.IntegrationByID(ctx, l.IntegrationID)
	if err != nil {
		return err
	}
	if !works(in) {
		return nil
	}
	m, ok := r.plugins.Manifest(in.Plugin)
	if !ok {
		return nil // parked: the lane is not claimed again before the plugin is there
	}
	w := &lane{
		r: r, hold: hold, lane: l, in: in, manifest: m,
		log:   r.opts.Log.With("tenant", in.Tenant, "integration", in.Name, "plugin", in.Plugin),
		until: r.opts.Now().Add(r.opts.Quantum), merging: make(chan struct{}, 1),
	}
	run, ok, err := w.nextRun(ctx)
	defer w.giveFirst() // what workRun has not taken over
	if stale(err) {
		return nil // somebody else has the lane
	}
	if err != nil || !ok {
		return err
	}
	if err := w.loadService(ctx); err != nil {
		return err
	}
	if err := w.loadTypes(ctx, run); err != nil {
		return err
	}
	// After its end the lane is given back and claimed anew if there is more to
	// do, with a fresh look at the integration.
	return w.workRun(ctx, run)
}

// works reports whether the integration may work: one that is disabled to the end
// of its run at most (O34).
func works(in store.Integration) bool {
	switch in.State {
	case store.IntegrationActive, store.IntegrationError, store.IntegrationNeedsReconnect:
		return true
	default:
		return in.Finishing
	}
}

// nextRun returns the run to work on, starting one if the schedule asks for it.
func (w *lane) nextRun(ctx context.Context) (store.Run, bool, error) {
	run, ok, err := w.r.db.NextRun(ctx, w.lane)
	if err != nil {
		return run, false, err
	}
	now := w.r.opts.Now()
	if !ok {
		rests := w.in.State == store.IntegrationNeedsReconnect // but for what a person asks for
		if rests || !w.in.CheckDue(now) {
			return run, false, nil
		}
		run, err = w.startRun(ctx, now)
		return run, err == nil, err
	}
	if run.State != store.RunProcessing {
		w.prepare(ctx)
		if run, err = w.r.db.BeginRun(ctx, w.lane.Ref(), run.ID, w.begin()); err != nil {
			return run, false, fmt.Errorf("begin run: %w", err)
		}
		w.log.Debug("run began", "run", run.ID, "kind", run.Kind)
	}
	return run, true, nil
}

// prepare does what the plugin wants to be done before its first run.
func (w *lane) prepare(ctx context.Context) {
	if err := w.createAttributes(ctx); err != nil {
		w.log.Warn("create attributes", "error", err) // asked again with the next run
	}
}

// begin says what the plugin makes of a run.
func (w *lane) begin() store.RunBegin {
	return store.RunBegin{
		Preprocess:  w.manifest.Has(sdk.CanPreprocess),
		Postprocess: w.manifest.Has(sdk.CanPostprocess),
		Order:       order(w.manifest),
		Allow:       w.manifest.Has(sdk.CanAllow),
		Complete:    complete(w.manifest),
		DeleteGuard: w.r.opts.DeleteGuard(),
		Gone:        gone(w.manifest, w.in.Connectors),
	}
}

// order returns the manifest's order of connectors (O20).
func order(m sdk.Manifest) map[string]int {
	out := make(map[string]int, len(m.Connectors))
	for _, c := range m.Connectors {
		out[c.Name] = c.Order
	}
	return out
}

// startRun begins what the schedule asks for: the onboarding until one has
// succeeded, then checks.
func (w *lane) startRun(ctx context.Context, now time.Time) (store.Run, error) {
	kind := store.RunCheck
	if w.in.OnboardedAt.IsZero() {
		kind = store.RunOnboarding
	}
	next, err := schedule.Of(w.in).Next(now)
	if err != nil {
		return store.Run{}, fmt.Errorf("schedule of %s: %w", w.in.FullName(), err)
	}
	w.prepare(ctx)
	places := w.r.seats(w.manifest, w.in.TenantID, kind)
	claim := places.try() // else it is waited for later
	started, err := w.r.db.StartRun(ctx, store.RunStart{
		Lane: w.lane, Request: store.RunRequest{Kind: kind, NextCheckAt: next}, Begin: w.begin(), Claim: claim,
	})
	if claim && len(started.Streams) == 0 {
		places.give(1)
	}
	if err != nil {
		return store.Run{}, fmt.Errorf("start %s run: %w", kind, err)
	}
	if len(started.Streams) > 0 {
		w.first, w.places = started.Streams, places
	}
	w.log.Debug("run began", "run", started.Run.ID, "kind", started.Run.Kind)
	return started.Run, nil
}

// giveFirst gives the places of what was claimed with the run's start back.
func (w *lane) giveFirst() {
	if len(w.first) > 0 {
		w.places.give(len(w.first))
		w.first = nil
	}
}

// createAttributes has the plugin declare its member attributes, once per tenant
// and version (C09).
func (w *lane) createAttributes(ctx context.Context) (err error) {
	if !w.manifest.Has(sdk.CanCreateAttributes) {
		return nil
	}
	done, err := w.r.db.AttributesDone(ctx, w.in.TenantID, w.in.Plugin, w.manifest.Version)
	if err != nil || done {
		return err
	}
	p, err := w.acquire(ctx, false)
	if err != nil {
		return err
	}
	defer func() { p.Release(err != nil && w.r.plugins.Reopen(err)) }()
	ctx, cancel := context.WithTimeout(ctx, w.r.opts.Unary)
	defer cancel()
	maker, ok := p.Instance.(sdk.Attributer)
	if !ok {
		return errMissing(sdk.CanCreateAttributes)
	}
	services := w.services(0, 0, nil)
	defer services.end()
	attrs, err := maker.CreateAttributes(sdk.WithHost(ctx, services))
	if err != nil {
		return err
	}
	kept := make([]store.Attribute, len(attrs))
	for i, a := range attrs {
		kept[i] = store.Attribute(a)
	}
	return w.r.db.SaveAttributes(ctx, w.in.TenantID, w.in.Plugin, w.manifest.Version, kept)
}

// acquire returns the plugin opened for the lane's integration, alone in a process
// of its own if that is asked for.
func (w *lane) acquire(ctx context.Context, alone bool) (Plugin, error) {
	w.patching.Lock()
	in, err := w.r.integration(w.in)
	w.patching.Unlock()
	if err != nil {
		return Plugin{}, err
	}
	if alone {
		return w.r.plugins.AcquireAlone(ctx, w.in.Plugin, in)
	}
	return w.r.plugins.Acquire(ctx, w.in.Plugin, in)
}

// over reports whether the lane should start nothing more.
func (w *lane) over() bool {
	select {
	case <-w.hold.Yield():
		return true
	default:
		return w.hold.Crowded() && w.r.opts.Now().After(w.until)
	}
}

// errMissing says that a plugin's manifest promises what its instances lack.
func errMissing(c sdk.Capability) error {
	return &sdk.Error{Class: sdk.ClassSystem, Code: "capability_missing", Message: "the manifest lists " + string(c) + ", the instance does not implement it"}
}

// stale reports whether err says that the lane or stream is not ours any more.
func stale(err error) bool { return errors.Is(err, store.ErrStale) }
