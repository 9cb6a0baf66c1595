package runner

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// checkTimeout bounds a connection test.
const checkTimeout = 30 * time.Second

// Check tests an integration's connection with its settings, or with the given
// ones, which need not be saved. The error is the remote system's reason.
func (r *Runner) Check(ctx context.Context, in store.Integration, settings []byte) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, errTooLong)
	defer cancel()
	if r.opts.Trace != nil {
		var end func(error)
		ctx, end = r.opts.Trace.Check(ctx, in)
		defer func() { end(err) }()
	}
	m, ok := r.plugins.Manifest(in.Plugin)
	if !ok {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "parked", Message: "plugin " + in.Plugin + " is not loaded"}
	}
	if !m.Has(sdk.CanCheck) {
		return &sdk.Error{Class: sdk.ClassConfig, Code: "not_checkable", Message: "plugin " + in.Plugin + " has no connection check"}
	}
	open, err := r.integration(in)
	if err != nil {
		return err
	}
	if settings != nil {
		open.Settings = sdk.NewSettings(settings)
		open.Revision = -r.opts.Now().UnixNano() // never shared with a run
	}
	p, err := r.plugins.Acquire(ctx, in.Plugin, open)
	if err != nil {
		return err
	}
	defer func() { p.Release(settings != nil || err != nil && r.plugins.Reopen(err)) }()
	return r.check(ctx, in, m, p)
}

// CheckWith tests the connection of an integration with a plugin that is opened for
// it already. One that has no connection test has nothing against it.
func (r *Runner) CheckWith(ctx context.Context, in store.Integration, p Plugin) error {
	if !p.Manifest.Has(sdk.CanCheck) {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, errTooLong)
	defer cancel()
	return r.check(ctx, in, p.Manifest, p)
}

func (r *Runner) check(ctx context.Context, in store.Integration, m sdk.Manifest, p Plugin) error {
	w := &lane{r: r, in: in, manifest: m, log: r.opts.Log.With("tenant", in.Tenant, "integration", in.Name, "plugin", in.Plugin)}
	checker, ok := p.Instance.(sdk.Checker)
	if !ok {
		return errMissing(sdk.CanCheck)
	}
	services := w.services(0, 0, nil)
	defer services.end()
	return checker.Check(sdk.WithHost(ctx, services))
}
