package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/upkeep"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// wireCalls makes what takes the events of calls.
func (h *Host) wireCalls(ctx context.Context) (err error) {
	if h.inbox, err = h.db.OpenInbox(ctx); err != nil {
		return err
	}
	h.hooks = &callHooks{
		integration: h.db.IntegrationByUID, manifest: h.processes.kept, invoke: h.runner.Invoke, lookup: h.config.Calls.Lookup,
		flows: templateFlows{h.templates, h.config.Calls.Lookup}, templates: h.templates,
	}
	h.callbox = callbox.New(h.inbox, h.hooks, callbox.Options{
		GiveUp: h.config.Calls.Retry, Log: h.log.Named("call"), Redact: h.redactor.Redact, Unknown: h.db.TellUnknown,
	})
	return nil
}

// purgeCalls closes and removes calls that are over.
func (h *Host) purgeCalls() upkeep.Task {
	return upkeep.Task{Name: "calls", Every: time.Minute, Do: func(ctx context.Context) (bool, error) {
		return h.inbox.PurgeCalls(ctx, h.config.Calls.Keep)
	}}
}

// calls are the call box as the API knows it.
type calls struct {
	*sqlite.Inbox
	box   *callbox.Callbox
	hooks *callHooks
}

var _ api.Calls = (*calls)(nil)

// Send implements api.Calls.
func (c *calls) Send(ctx context.Context, in store.Integration, r api.CallRequest) (api.CallSent, error) {
	if !in.RemovedAt.IsZero() || in.State == store.IntegrationDisabled {
		return api.CallSent{}, store.Hint(fmt.Errorf("integration %s is %s: %w", in.FullName(), in.State, store.ErrConflict), "jackfield integration enable "+in.FullName())
	}
	sent, err := c.box.Send(ctx, in, callbox.Request{Event: r.Event, Key: r.Key, Wait: r.Wait})
	if bad, ok := errors.AsType[*callbox.InvalidError](err); ok {
		e := &api.Error{Kind: api.KindInvalid, Message: bad.Error(), Hint: "jackfield hook fire --help"}
		for _, field := range sortedKeys(bad.Fields) {
			e.Fields = append(e.Fields, api.FieldError{Field: "event." + field, Message: bad.Fields[field]})
		}
		err = e
	}
	if errors.Is(err, callbox.ErrStopping) {
		err = &api.Error{Kind: api.KindUnavailable, Message: err.Error(), Hint: "send it again with the same idempotency key"}
	}
	return api.CallSent{Call: sent.Call, Event: sent.Event, Replayed: sent.Replayed}, err
}

// Resolve implements api.Calls.
func (c *calls) Resolve(ctx context.Context, event int64, how store.EventResolution, log store.CallLog) (store.CallEvent, error) {
	return c.box.Resolve(ctx, event, how, log)
}

// Hooks implements api.Calls.
func (c *calls) Hooks(ctx context.Context, in store.Integration) (out []api.CallHook) {
	for _, name := range store.Triggers() {
		event := store.CallEventType(name)
		plan := c.hooks.Plan(ctx, in, event)
		if len(plan.Runs) > 0 {
			out = append(out, api.CallHook{Event: event, Hook: callbox.Hook(event), Way: plan.Way, Runs: plan.Runs})
		}
		if len(plan.Triggers) > 0 {
			out = append(out, api.CallHook{Event: event, Way: store.WayTrigger, Runs: plan.Triggers})
		}
	}
	return out
}

// flows run what templates declare.
type flows interface {
	plan(in store.Integration, t store.CallEventType) callbox.Plan
	run(ctx context.Context, in store.Integration, job callbox.Job) callbox.Result
}

// pluginTemplates know what the templates of plugins say.
type pluginTemplates interface {
	// optionsOf returns the choices that an integration makes; nil if there are none.
	optionsOf(m sdk.Manifest, in store.Integration) map[string]bool
	// shows makes the screen that is declared of what a hook answered; nil if none is.
	shows(in store.Integration, h sdk.CallHook, a sdk.CallAnswer) (screen json.RawMessage, warnings []string)
}

// callHooks run the hooks of calls: a function of the integration's plugin, or what
// its template declares.
type callHooks struct {
	integration func(ctx context.Context, uid string) (store.Integration, error)
	manifest    func(name string) (sdk.Manifest, bool)
	invoke      func(ctx context.Context, in store.Integration, call sdk.HookCall) (sdk.HookResult, error)
	flows       flows
	templates   pluginTemplates
	lookup      time.Duration
}

var _ callbox.Hooks = (*callHooks)(nil)

// Plan implements callbox.Hooks.
func (h *callHooks) Plan(_ context.Context, in store.Integration, t store.CallEventType) callbox.Plan {
	if in.Template != "" {
		return h.flows.plan(in, t)
	}
	plan := callbox.Plan{Lookup: cmp.Or(in.Lookup, h.lookup)}
	switch m, ok := h.manifest(in.Plugin); {
	case !ok: // the event waits for it
		plan.Way, plan.Unknown, plan.Writes = store.WayPlugin, callbox.Hook(t) != "", t.Writes()
	case hasHook(m, callbox.Hook(t)):
		plan.Way, plan.Runs, plan.Writes = store.WayPlugin, []string{in.Plugin}, t.Writes()
		if field := m.DedupeContacts; field != "" && t == store.ContactCreate {
			plan.Same = func(form map[string]any) string { return sameNumber(form[field], "") }
		}
	case m.TemplateText != nil:
		return h.flows.plan(in, t)
	}
	return plan
}

// sameNumber returns a number that a form has, in one way of writing it; empty if it has
// none.
func sameNumber(given any, region string) string {
	number, _ := given.(string)
	if v, ok := endpoint.Number("e164", number, region); ok {
		return v
	}
	return strings.Map(func(r rune) rune {
		if r == '+' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
}

// declared reports whether what a template declares runs for a hook: that of the
// integration, or the one that its plugin brings along for hooks that it does not have.
func (h *callHooks) declared(in store.Integration, hook string) bool {
	if in.Template != "" {
		return true
	}
	m, ok := h.manifest(in.Plugin)
	return ok && m.TemplateText != nil && !hasHook(m, hook)
}

// Run implements callbox.Hooks.
func (h *callHooks) Run(ctx context.Context, job callbox.Job) callbox.Result {
	in, err := h.integration(ctx, job.Call.Integration)
	if err == nil {
		err = workable(in)
	}
	if err != nil {
		return callbox.Result{Err: neverSent(err)}
	}
	if job.Event.Type == store.CallStarted {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.Plan(ctx, in, job.Event.Type).Lookup)
		defer cancel()
	}
	var res callbox.Result
	if h.declared(in, job.Hook) {
		res = h.flows.run(ctx, in, job)
	} else {
		res = h.plugin(ctx, in, job)
	}
	if res.Err != nil && job.Event.Type == store.CallStarted && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		res.Err.Class, res.Err.Code, res.Err.Message = string(sdk.ClassTransient), callbox.CodeLookupTimeout, "the lookup takes too long"
	}
	return res
}

// workable returns why an integration cannot be worked for now.
func workable(in store.Integration) error {
	switch {
	case !in.RemovedAt.IsZero():
		return &store.HookError{Class: string(sdk.ClassConfig), Code: "integration_removed", Message: "integration " + in.FullName() + " is removed"}
	case in.State == store.IntegrationActive:
		return nil
	}
	class := sdk.ClassTransient
	if in.State == store.IntegrationNeedsReconnect {
		class = sdk.ClassAuth
	}
	return &store.HookError{Class: string(class), Code: "integration_" + string(in.State), Message: fmt.Sprintf("integration %s is %s: %s", in.FullName(), in.State, in.Reason)}
}

// neverSent is why nothing was sent.
func neverSent(err error) *store.HookError {
	out := &store.HookError{Class: string(sdk.ClassSystem), Code: "host_error", Message: err.Error()}
	if e, ok := errors.AsType[*store.HookError](err); ok {
		*out = *e
	} else if errors.Is(err, store.ErrNotFound) {
		out.Class, out.Code = string(sdk.ClassConfig), "integration_removed"
	}
	out.Outcome = store.OutcomeNotSent
	return out
}
