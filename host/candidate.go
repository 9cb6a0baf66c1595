package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

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
	refusedGone     = "connector_gone"
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
}

// verify returns why c may not take over. Integrations that change meanwhile are
// looked at again.
func (d *candidates) verify(ctx context.Context, c supervisor.Candidate) error {
	const looks = 3 // whoever changes settings faster than that is told at the next run
	seen := map[int64]int64{}
	for range looks {
		all, err := d.integrations(ctx, store.IntegrationFilter{Plugin: c.Name, Limit: allIntegrations})
		if err != nil {
			return fmt.Errorf("read integrations: %w", err)
		}
		var changed []store.Integration
		for _, in := range all {
			if in.Enabled && in.RemovedAt.IsZero() && seen[in.ID] != in.Revision {
				changed = append(changed, in)
				seen[in.ID] = in.Revision
			}
		}
		if len(changed) == 0 {
			return d.reads(ctx, c) // last: what serves goes on writing
		}
		if err := connected(c.Manifest, changed); err != nil {
			return err
		}
		if err := d.fit(c, changed); err != nil {
			return err
		}
		rand.Shuffle(len(changed), func(i, j int) { changed[i], changed[j] = changed[j], changed[i] }) //nolint:gosec // a sample is no secret
		if err := d.try(ctx, c, changed); err != nil {
			return err
		}
	}
	return d.reads(ctx, c)
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
	var faults []string
	for _, u := range unread {
		where := "a cursor"
		if u.Run != 0 {
			where = fmt.Sprintf("run %d", u.Run)
		}
		faults = append(faults, fmt.Sprintf("%s: %s is of version %d", u.Integration, where, u.Version))
	}
	return faulted(refusedState, fmt.Sprintf("the new version reads state of the versions %v only (hint: one that reads them all has to come in between)", reads), faults)
}

// connected returns which connectors of integrations the candidate has no more.
func connected(m sdk.Manifest, list []store.Integration) error {
	var faults []string
	for _, in := range list {
		for _, name := range in.Connectors {
			if !slices.ContainsFunc(m.Connectors, func(c sdk.Connector) bool { return c.Name == name }) {
				faults = append(faults, fmt.Sprintf("%s: connector %q", in.FullName(), name))
			}
		}
	}
	return faulted(refusedGone, "connectors are gone from the new version (hint: take them out of the tenant files first)", faults)
}

// fit holds the settings of integrations against the schema of the candidate.
func (d *candidates) fit(c supervisor.Candidate, list []store.Integration) error {
	var faults []string
	for _, in := range list {
		own := in
		own.Patch = nil // what the plugin keeps is no setting of the user's
		plain, err := config.OpenSettings(d.keys, own)
		if err != nil {
			return err
		}
		d.redactor.Keep(in.UID, config.Secrets(c.Manifest.SettingsSchema, plain.Reveal())...)
		misfits, err := config.Misfits(c.Manifest.SettingsSchema, plain.Reveal())
		if err != nil {
			return supervisor.Because(refusedSettings, fmt.Errorf("its settings schema cannot be used: %w", err))
		}
		if len(misfits) > 0 {
			faults = append(faults, in.FullName()+": "+strings.Join(misfits, ", "))
		}
	}
	return faulted(refusedSettings, "settings do not fit the new version", faults)
}

// try opens the candidate with settings, and has it reach the remote system.
func (d *candidates) try(ctx context.Context, c supervisor.Candidate, list []store.Integration) error {
	var opens, checks []string
	for i, in := range list[:min(len(list), triedOpens)] {
		plain, err := config.OpenSettings(d.keys, in)
		if err != nil {
			return err
		}
		// Without a revision it is an instance of its own, of no run.
		settings := sdk.Integration{Tenant: in.Tenant, Name: in.Name, ID: in.UID, Connectors: in.Connectors, Settings: plain}
		dry := settings
		dry.DryRun = true
		if err := d.open(ctx, c, dry); err != nil {
			opens = append(opens, in.FullName()+": "+err.Error())
			continue
		}
		if i < triedChecks {
			if err := d.reach(ctx, c, in, settings); err != nil {
				checks = append(checks, in.FullName()+": "+err.Error())
			}
		}
	}
	if err := faulted(refusedSettings, "settings are refused by the new version", opens); err != nil {
		return err
	}
	return faulted(refusedCheck, "the new version does not reach what the old one does", checks)
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
func faulted(reason, what string, faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	text := strings.Join(faults[:min(len(faults), namedFaults)], "; ")
	if more := len(faults) - namedFaults; more > 0 {
		text += fmt.Sprintf("; and of %d more integrations", more)
	}
	return supervisor.Because(reason, fmt.Errorf("%s: %s", what, text))
}
