package runner

import (
	"context"
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Invoke has the plugin of an integration answer a hook or an action, within the time
// of ctx. It waits for no lane (K12). Of an error that NotMade knows no call was made;
// after any other one the plugin may have done what it was asked.
func (r *Runner) Invoke(ctx context.Context, in store.Integration, call sdk.HookCall) (sdk.HookResult, error) {
	m, ok := r.plugins.Manifest(in.Plugin)
	if !ok {
		return sdk.HookResult{}, notMade(&sdk.Error{Class: sdk.ClassTransient, Code: "parked", Message: "plugin " + in.Plugin + " is not loaded"})
	}
	if !m.Has(sdk.CanInvoke) || !slices.Contains(m.Hooks, call.Name) {
		return sdk.HookResult{}, notMade(&sdk.Error{Class: sdk.ClassConfig, Code: "no_hook", Message: "plugin " + in.Plugin + " has no hook " + call.Name})
	}
	res, err := r.invokeOnce(ctx, in, m, call)
	if err != nil && r.plugins.Reopen(err) { // the process did not know the instance: it did nothing
		res, err = r.invokeOnce(ctx, in, m, call)
	}
	if err != nil && (r.plugins.Reopen(err) || r.plugins.Away(err)) {
		err = notMade(err)
	}
	return res, err
}

func (r *Runner) invokeOnce(ctx context.Context, in store.Integration, m sdk.Manifest, call sdk.HookCall) (res sdk.HookResult, err error) {
	open, err := r.integration(in)
	if err != nil {
		return res, notMade(err)
	}
	p, err := r.plugins.Acquire(ctx, in.Plugin, open)
	if err != nil {
		return res, notMade(err)
	}
	defer func() { p.Release(err != nil && r.plugins.Reopen(err)) }()
	invoker, ok := p.Instance.(sdk.Invoker)
	if !ok {
		return res, notMade(errMissing(sdk.CanInvoke))
	}
	w := &lane{r: r, in: in, manifest: m, log: r.opts.Log.With("tenant", in.Tenant, "integration", in.Name, "plugin", in.Plugin)}
	services := w.services(0, 0, nil)
	defer services.end()
	return invoker.Invoke(sdk.WithHost(ctx, services), call)
}

// NotMadeError says that no call was made.
type NotMadeError struct{ Err error }

func notMade(err error) error { return &NotMadeError{err} }

// Error returns the text of what kept it from being made.
func (e *NotMadeError) Error() string { return e.Err.Error() }

// Unwrap returns what kept it from being made.
func (e *NotMadeError) Unwrap() error { return e.Err }
