package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// unfit are the integrations that a version of their plugin does not take, which are
// parked (K18): they go on when their settings were changed, or another version serves.
type unfit struct {
	integrations func(ctx context.Context, f store.IntegrationFilter) ([]store.Integration, error)
	serving      func(plugin string) (sdk.Manifest, bool)
	takes        func(ctx context.Context, m sdk.Manifest, in store.Integration) bool
	resume       func(ctx context.Context, ids []int64) (names []string, err error)
	log          hclog.Logger

	look chan struct{} // of one: settings or versions changed
}

// run looks again at each that is parked, whenever something changed, until ctx ends.
func (u *unfit) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.look:
		}
		if err := u.reconsider(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrFull) {
			u.log.Error("look again at parked integrations", "error", err)
		}
	}
}

// reconsider resumes what the version that serves takes.
func (u *unfit) reconsider(ctx context.Context) error {
	parked, err := u.integrations(ctx, store.IntegrationFilter{Unfit: true, Limit: allIntegrations})
	if err != nil || len(parked) == 0 {
		return err
	}
	var fit []int64
	for _, in := range parked {
		if m, ok := u.serving(in.Plugin); ok && u.takes(ctx, m, in) {
			fit = append(fit, in.ID)
		}
	}
	names, err := u.resume(ctx, fit)
	for _, name := range names {
		u.log.Info("integration resumed: the version that serves takes its settings", "integration", name)
	}
	return err
}

// takes reports whether the version that serves takes the settings of an integration.
// What cannot be tried now is looked at with the next change.
func (d *candidates) takes(ctx context.Context, m sdk.Manifest, in store.Integration) bool {
	if misfits, err := d.misfits(m, in); err != nil || len(misfits) > 0 {
		return false
	}
	settings, err := d.opened(in)
	if err != nil {
		return false
	}
	settings.DryRun = true
	p, err := d.serving(ctx, in.Plugin, settings)
	if err != nil {
		return false
	}
	p.Release(false)
	return true
}
