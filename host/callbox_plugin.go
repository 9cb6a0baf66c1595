package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func hasHook(m sdk.Manifest, hook string) bool {
	return hook != "" && m.Has(sdk.CanInvoke) && slices.Contains(m.Hooks, hook)
}

// plugin has the integration's plugin answer the hook of a job.
func (h *callHooks) plugin(ctx context.Context, in store.Integration, job callbox.Job) callbox.Result {
	m, ok := h.manifest(in.Plugin)
	if !ok {
		return callbox.Result{Err: &store.HookError{Class: string(sdk.ClassTransient), Code: "parked", Message: "plugin " + in.Plugin + " is not there", Outcome: store.OutcomeNotSent}}
	}
	asks := hasHook(m, sdk.HookLookup)
	name := job.Hook
	if job.Ask {
		name = sdk.HookLookup
	}
	if !hasHook(m, name) {
		return callbox.Result{Err: &store.HookError{
			Class: string(sdk.ClassConfig), Code: "no_hook", Message: "plugin " + in.Plugin + " has no hook " + name, Outcome: store.OutcomeNotSent,
		}}
	}
	step := store.HookStep{Way: store.WayPlugin, Name: name, Key: name, Attempt: job.Event.Attempts, Write: job.Event.Type.Writes() && !job.Ask}
	begin := time.Now()
	payload := job.Payload()
	if h.templates != nil {
		payload.Options = h.templates.optionsOf(m, in)
	}
	answer, err := h.invoked(ctx, in, name, payload)
	step.Took = time.Since(begin)
	res := callbox.Result{Answer: answer, Asks: asks}
	if err != nil {
		res.Err = pluginFault(ctx, err, step.Write)
	} else if len(answer.FieldErrors) > 0 && answer.ID == "" {
		res.Err = &store.HookError{
			Class: string(sdk.ClassRemote), Code: "fields_refused", Message: "the remote system does not take the values", Outcome: store.OutcomeFailed, Fields: answer.FieldErrors,
		}
	}
	if name == sdk.HookGetDataIframe && err == nil && len(answer.Iframe) == 0 && m.TemplateText != nil {
		res.Answer.Iframe, step.Warnings = h.templates.shows(in, payload, answer)
	}
	step.Error = res.Err
	res.Steps = []store.HookStep{step}
	return res
}

// invoked calls the plugin and reads its answer.
func (h *callHooks) invoked(ctx context.Context, in store.Integration, name string, payload sdk.CallHook) (answer sdk.CallAnswer, err error) {
	raw, err := json.Marshal(payload)
	if err != nil {
		return answer, &runner.NotMadeError{Err: err}
	}
	got, err := h.invoke(ctx, in, sdk.HookCall{Name: name, Payload: raw})
	if err != nil || len(got.Payload) == 0 {
		return answer, err
	}
	if err := json.Unmarshal(got.Payload, &answer); err != nil {
		return answer, &sdk.Error{Class: sdk.ClassSystem, Code: "bad_answer", Message: "the answer of hook " + name + " cannot be read: " + err.Error()}
	}
	return answer, nil
}

// pluginFault says why a plugin's function failed, and what is known of what it was to
// do. A plugin says itself if it changed nothing: Safe.
func pluginFault(ctx context.Context, err error, writes bool) *store.HookError {
	e := sdk.AsError(err)
	out := &store.HookError{Class: string(e.Class), Code: e.Code, Message: e.Message, Outcome: store.OutcomeUnknown, Fields: nil}
	if out.Message == "" {
		out.Message = err.Error()
	}
	if e.Limit != nil {
		out.RetryAfter = max(e.Limit.After, 0)
		if !e.Limit.Until.IsZero() {
			out.RetryAfter = max(time.Until(e.Limit.Until), 0)
		}
	}
	if e.Request != nil {
		out.Status = e.Request.Status
	}
	_, unmade := errors.AsType[*runner.NotMadeError](err)
	switch {
	case unmade:
		out.Outcome = store.OutcomeNotSent
		if e.Class == sdk.ClassSystem { // no process could take it: the next one may
			out.Class = string(sdk.ClassTransient)
		}
	case e.Safe || !writes:
		out.Outcome = store.OutcomeNotSent
	case ctx.Err() != nil:
		out.Class, out.Code, out.Message = string(sdk.ClassTransient), "timeout", "the plugin did not answer in time"
	case e.Class == sdk.ClassConfig: // a 401 or 429 may be that of a later request: only Safe says that nothing was written
		out.Outcome = store.OutcomeFailed
	}
	return out
}
