package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// How much a new version of a plugin is tried before it takes over: the schema with
// the settings of every integration, the rest with some of them.
const (
	triedOpens  = 50
	triedChecks = 3
	namedFaults = 5
)

// Why a new version does not take over.
const (
	refusedSettings = "settings_refused"
	refusedCheck    = "check_failed"
	refusedState    = "state_unreadable"
)

// candidates decide whether a new version of a plugin may take over from the one
// that serves. What is wrong with both is nothing against the new one.
type candidates struct {
	integrations func(ctx context.Context, f store.IntegrationFilter) ([]store.Integration, error)
	keys         *secret.Keyring
	redactor     *secret.Redactor
	unread       func(ctx context.Context, plugin string, reads []int) ([]store.UnreadState, error)
	serving      func(ctx context.Context, name string, in sdk.Integration) (runner.Plugin, error)
	check        func(ctx context.Context, in store.Integration, p runner.Plugin) error
	// own tells what integrations say otherwise that a version's template does not take.
	own func(m sdk.Manifest, in store.Integration) []string
	// parks reports whether integrations are parked whose settings a new version does
	// not take (K18), and park does it; otherwise the version is refused.
	parks func() bool
	park  func(ctx context.Context, why map[int64]string) (names []string, err error)
	log   hclog.Logger
}

// fault is what a version does not take of an integration.
type fault struct {
	in   store.Integration
	says string
}

// verify returns why c may not take over. Integrations that change meanwhile are
// looked at again.
func (d *candidates) verify(ctx context.Context, c supervisor.Candidate) error {
	const looks = 3 // whoever changes settings faster than that is told at the next run
	seen, unfit := map[int64]int64{}, map[int64]string{}
	for range looks {
		all, err := d.integrations(ctx, store.IntegrationFilter{Plugin: c.Name, Limit: allIntegrations})
		if err != nil {
			return fmt.Errorf("read integrations: %w", err)
		}
		var changed []store.Integration
		for _, in := range all {
			if in.Enabled && in.RemovedAt.IsZero() && seen[in.ID] != in.Revision && (in.Unfit == "" || d.parks()) {
				changed = append(changed, in)
				seen[in.ID] = in.Revision
				delete(unfit, in.ID)
			}
		}
		if len(changed) == 0 {
			break
		}
		if err := d.suits(ctx, c, changed, unfit); err != nil {
			return err
		}
	}
	if err := d.reads(ctx, c); err != nil { // last: what serves goes on writing
		return err
	}
	return d.parkUnfit(ctx, c, unfit)
}

// suits returns why integrations do not let the candidate take over. Those that have
// to be parked instead are added to unfit.
func (d *candidates) suits(ctx context.Context, c supervisor.Candidate, list []store.Integration, unfit map[int64]string) error {
	faults, err := d.fit(c, list)
	if err == nil {
		err = d.settle(c, "settings do not fit the new version", faults, unfit)
	}
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(in store.Integration) bool { return unfit[in.ID] != "" })
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) //nolint:gosec // a sample is no secret
	opens, checks, err := d.try(ctx, c, list)
	if err == nil {
		err = d.settle(c, "settings are refused by the new version", opens, unfit)
	}
	if err != nil {
		return err
	}
	return faulted(refusedCheck, "the new version does not reach what the old one does", checks)
}

// settle returns the faults as the reason to refuse the candidate, or keeps them as
// reasons to park.
func (d *candidates) settle(c supervisor.Candidate, what string, faults []fault, unfit map[int64]string) error {
	if !d.parks() {
		return faulted(refusedSettings, what, faults)
	}
	for _, f := range faults {
		unfit[f.in.ID] = fmt.Sprintf("version %s of plugin %q does not take its settings: %s", c.Manifest.Version, c.Name, f.says)
	}
	return nil
}

// parkUnfit parks integrations before the candidate takes over. If that fails in the
// end they are looked at again.
func (d *candidates) parkUnfit(ctx context.Context, c supervisor.Candidate, unfit map[int64]string) error {
	if len(unfit) == 0 {
		return nil
	}
	names, err := d.park(ctx, unfit)
	if err != nil {
		return fmt.Errorf("park integrations: %w", err)
	}
	for _, name := range names {
		d.log.Warn("integration parked: a new version does not take its settings", "integration", name, "plugin", c.Name, "version", c.Manifest.Version)
	}
	return nil
}

// reads returns which opaque data the candidate would not understand (K17).
func (d *candidates) reads(ctx context.Context, c supervisor.Candidate) error {
	reads := c.Manifest.State.Reads
	if writes := c.Serving.State.Writes; writes == 0 && len(reads) == 0 {
		return nil // neither says anything of versions
	}
	unread, err := d.unread(ctx, c.Name, reads)
	if err != nil || len(unread) == 0 {
		return err
	}
	var held []string
	for _, u := range unread {
		where := fmt.Sprintf("a cursor of connector %q", u.Connector)
		if u.Run != 0 {
			where = fmt.Sprintf("run %d, connector %q,", u.Run, u.Connector)
		}
		held = append(held, fmt.Sprintf("%s: %s is of version %d", u.Integration, where, u.Version))
	}
	return supervisor.Because(refusedState, fmt.Errorf("the new version reads state of the versions %v only (hint: one that reads them all has to come in between): %s",
		reads, strings.Join(held, "; ")))
}

// fit holds the settings of integrations against the schema of the candidate.
func (d *candidates) fit(c supervisor.Candidate, list []store.Integration) (faults []fault, err error) {
	for _, in := range list {
		misfits, err := d.misfits(c.Manifest, in)
		if err != nil {
			return nil, err
		}
		if len(misfits) > 0 {
			faults = append(faults, fault{in, strings.Join(misfits, ", ")})
		}
	}
	return faults, nil
}

// misfits returns what the schema of a version refuses of the settings.
func (d *candidates) misfits(m sdk.Manifest, in store.Integration) ([]string, error) {
	in.Patch = nil // what the plugin keeps is no setting of the user's
	plain, err := config.OpenSettings(d.keys, in)
	if err != nil {
		return nil, err
	}
	d.redactor.Keep(in.UID, config.Secrets(m.SettingsSchema, plain.Reveal())...)
	out, err := config.Misfits(m.SettingsSchema, plain.Reveal())
	if err != nil {
		return nil, supervisor.Because(refusedSettings, fmt.Errorf("its settings schema cannot be used: %w", err))
	}
	return append(out, d.own(m, in)...), nil
}

// try opens the candidate with settings, and has it reach the remote system.
func (d *candidates) try(ctx context.Context, c supervisor.Candidate, list []store.Integration) (opens, checks []fault, err error) {
	for i, in := range list[:min(len(list), triedOpens)] {
		settings, err := d.opened(in)
		if err != nil {
			return nil, nil, err
		}
		dry := settings
		dry.DryRun = true
		if err := d.open(ctx, c, dry); err != nil {
			opens = append(opens, fault{in, err.Error()})
			continue
		}
		if i < triedChecks {
			if err := d.reach(ctx, c, in, settings); err != nil {
				checks = append(checks, fault{in, err.Error()})
			}
		}
	}
	return opens, checks, nil
}

// opened returns what a plugin is told of an integration that is tried. Without a
// revision it is an instance of its own, of no run.
func (d *candidates) opened(in store.Integration) (sdk.Integration, error) {
	plain, err := config.OpenSettings(d.keys, in)
	return sdk.Integration{Tenant: in.Tenant, Name: in.Name, ID: in.UID, Connectors: in.Connectors, Settings: plain}, err
}

// open returns why the candidate does not take settings that what serves takes.
func (d *candidates) open(ctx context.Context, c supervisor.Candidate, in sdk.Integration) error {
	h, err := c.Acquire(ctx, in)
	if err == nil {
		h.Release()
		return nil
	}
	if p, also := d.serving(ctx, c.Name, in); also == nil {
		p.Release(false)
		return err
	}
	return nil
}

// reach returns why the candidate does not reach what the one that serves does.
func (d *candidates) reach(ctx context.Context, c supervisor.Candidate, in store.Integration, settings sdk.Integration) error {
	err := d.checked(ctx, in, func() (runner.Plugin, error) {
		h, err := c.Acquire(ctx, settings)
		return lent(h, err)
	})
	if err == nil {
		return nil
	}
	if also := d.checked(ctx, in, func() (runner.Plugin, error) { return d.serving(ctx, c.Name, settings) }); also != nil {
		return nil //nolint:nilerr // the old one does not either: the remote system is away, or wants other settings
	}
	return err
}

func (d *candidates) checked(ctx context.Context, in store.Integration, acquire func() (runner.Plugin, error)) error {
	p, err := acquire()
	if err != nil {
		return err
	}
	defer p.Release(false)
	return d.check(ctx, in, p)
}

// faulted says which integrations something is wrong with, the first few by name.
func faulted(reason, what string, faults []fault) error {
	if len(faults) == 0 {
		return nil
	}
	var named []string
	for _, f := range faults[:min(len(faults), namedFaults)] {
		named = append(named, f.in.FullName()+": "+f.says)
	}
	text := strings.Join(named, "; ")
	if more := len(faults) - namedFaults; more > 0 {
		text += fmt.Sprintf("; and of %d more integrations", more)
	}
	return supervisor.Because(reason, fmt.Errorf("%s: %s", what, text))
}
