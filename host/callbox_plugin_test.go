package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// pluginHooks are hooks of a plugin that answers as a test says.
func pluginHooks(answer func(call sdk.HookCall) (sdk.HookResult, error), hooks ...string) *callHooks {
	return &callHooks{
		integration: func(context.Context, string) (store.Integration, error) {
			return store.Integration{UID: "i1", IntegrationSpec: store.IntegrationSpec{Tenant: "acme", Name: "crm", Plugin: "crm"}, State: store.IntegrationActive}, nil
		},
		manifest: func(string) (sdk.Manifest, bool) {
			return sdk.Manifest{Name: "crm", Capabilities: []sdk.Capability{sdk.CanInvoke}, Hooks: hooks}, true
		},
		invoke: func(_ context.Context, _ store.Integration, call sdk.HookCall) (sdk.HookResult, error) {
			return answer(call)
		},
		lookup: time.Second,
	}
}

// A plugin's function gets the event with the log of its call and its key, and what it
// answers is what the hook answers.
//
// rows: G24, G25, G27, F31
func TestHookOfAPlugin(t *testing.T) {
	t.Parallel()
	job := callbox.Job{
		Call: store.Call{
			External: "4711", Log: store.CallLog{ID: "L1"}, Context: []byte(`{"contact":{"id":7}}`),
			Screen: []byte(`{"contacts":[{"id":"7"},{"id":"8","name":"Bob"}]}`), CallDetails: store.CallDetails{Contact: "8"},
		},
		Event: store.CallEvent{UID: "key-1", Type: store.CallEnded, Attempts: 2}, Body: sdk.CallEvent{Type: "call.ended", CallID: "4711"}, Hook: sdk.HookSaveLogCRM,
	}
	var asked sdk.HookCall
	h := pluginHooks(func(call sdk.HookCall) (sdk.HookResult, error) {
		asked = call
		return sdk.HookResult{Payload: []byte(`{"id":"L1","url":"https://crm.example/1"}`)}, nil
	}, sdk.HookSaveLogCRM, sdk.HookLookup)
	res := h.Run(t.Context(), job)
	require.Nil(t, res.Err)
	require.Equal(t, sdk.CallAnswer{ID: "L1", URL: "https://crm.example/1"}, res.Answer)
	require.True(t, res.Asks)
	require.Equal(t, sdk.HookSaveLogCRM, asked.Name)
	var given sdk.CallHook
	require.NoError(t, json.Unmarshal(asked.Payload, &given))
	require.Equal(t, "key-1", given.IdempotencyKey)
	require.Equal(t, 2, given.Attempt)
	require.Equal(t, "L1", given.Log.ID)
	require.JSONEq(t, `{"id":7}`, string(given.Context["contact"]))
	require.Equal(t, &sdk.CallContact{ID: "8", Name: "Bob"}, given.Contact, "the one that the agent chose")

	job.Ask = true
	h.Run(t.Context(), job)
	require.Equal(t, sdk.HookLookup, asked.Name, "what became of it is asked of another hook")
	require.NoError(t, json.Unmarshal(asked.Payload, &given))
	require.Equal(t, sdk.HookSaveLogCRM, given.Hook)
	require.Equal(t, "no_hook", pluginHooks(nil).Run(t.Context(), job).Err.Code)

	refuses := pluginHooks(func(sdk.HookCall) (sdk.HookResult, error) {
		return sdk.HookResult{Payload: []byte(`{"field_errors":{"subject":"is too short"}}`)}, nil
	}, sdk.HookCreateTicket)
	res = refuses.Run(t.Context(), callbox.Job{Event: store.CallEvent{Type: store.TicketCreate}, Hook: sdk.HookCreateTicket})
	require.Equal(t, "is too short", res.Err.Fields["subject"])
	require.Equal(t, store.OutcomeFailed, res.Err.Outcome)
}

// An event of an integration whose plugin has not said yet what it is waits for it: only
// of one that is known and has no hook for it there is nothing to do.
//
// rows: G24, G25
func TestAnEventWaitsForAPluginThatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	h := pluginHooks(nil, sdk.HookSaveLogCRM)
	in := store.Integration{IntegrationSpec: store.IntegrationSpec{Plugin: "crm"}}
	require.False(t, h.Plan(t.Context(), in, store.CallEnded).Nothing())
	require.True(t, h.Plan(t.Context(), in, store.CallConnected).Nothing(), "it is known to have no hook for it")
	h.manifest = func(string) (sdk.Manifest, bool) { return sdk.Manifest{}, false }
	for _, event := range []store.CallEventType{store.CallStarted, store.CallConnected, store.CallEnded, store.TicketCreate} {
		plan := h.Plan(t.Context(), in, event)
		require.False(t, plan.Nothing(), event)
		require.Equal(t, event.Writes(), plan.Writes, event)
		require.Empty(t, plan.Runs, "nobody can tell")
	}
	res := h.Run(t.Context(), callbox.Job{Event: store.CallEvent{Type: store.CallEnded}, Hook: sdk.HookSaveLogCRM})
	require.Equal(t, "parked", res.Err.Code)
	require.Equal(t, string(sdk.ClassTransient), res.Err.Class, "it is tried again")
	require.Equal(t, store.OutcomeNotSent, res.Err.Outcome)
}

// What is known of a write follows from the plugin's error: only one that says so, or
// that never reached the plugin, did not arrive.
//
// rows: F31, I08, G23
func TestWhatIsKnownOfAPluginsWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		typ    store.CallEventType
		want   string
		passes bool // time may cure it
	}{
		"no process":         {&runner.NotMadeError{Err: errors.New("no process")}, store.CallEnded, store.OutcomeNotSent, true},
		"parked":             {&runner.NotMadeError{Err: &sdk.Error{Class: sdk.ClassTransient, Code: "parked"}}, store.CallEnded, store.OutcomeNotSent, true},
		"safe":               {&sdk.Error{Class: sdk.ClassTransient, Code: "x", Safe: true}, store.CallEnded, store.OutcomeNotSent, true},
		"connection":         {&sdk.Error{Class: sdk.ClassTransient, Code: "x"}, store.CallEnded, store.OutcomeUnknown, true},
		"the plugin crashed": {errors.New("lost"), store.CallEnded, store.OutcomeUnknown, true},
		"credentials":        {&sdk.Error{Class: sdk.ClassAuth, Code: "x"}, store.CallEnded, store.OutcomeUnknown, true},
		"safe credentials":   {&sdk.Error{Class: sdk.ClassAuth, Code: "x", Safe: true}, store.CallEnded, store.OutcomeNotSent, true},
		"rate limit":         {sdk.RateLimitedFor(time.Minute), store.CallEnded, store.OutcomeUnknown, true},
		"settings":           {&sdk.Error{Class: sdk.ClassConfig, Code: "x"}, store.CallEnded, store.OutcomeFailed, false},
		"a read":             {&sdk.Error{Class: sdk.ClassTransient, Code: "x"}, store.CallStarted, store.OutcomeNotSent, true},
	} {
		h := pluginHooks(func(sdk.HookCall) (sdk.HookResult, error) { return sdk.HookResult{}, c.err }, sdk.HookSaveLogCRM, sdk.HookGetDataIframe)
		res := h.Run(t.Context(), callbox.Job{Event: store.CallEvent{Type: c.typ}, Hook: callbox.Hook(c.typ)})
		require.Equal(t, c.want, res.Err.Outcome, name)
		require.Equal(t, c.passes, res.Err.Class != string(sdk.ClassConfig), name)
		if name == "rate limit" {
			require.Equal(t, time.Minute, res.Err.RetryAfter)
		}
	}
}

// rows: G23
func TestLookupOfAPluginHasItsTime(t *testing.T) {
	t.Parallel()
	h := pluginHooks(nil, sdk.HookGetDataIframe)
	h.lookup = time.Millisecond
	h.invoke = func(ctx context.Context, _ store.Integration, _ sdk.HookCall) (sdk.HookResult, error) {
		<-ctx.Done()
		return sdk.HookResult{}, ctx.Err()
	}
	res := h.Run(t.Context(), callbox.Job{Event: store.CallEvent{Type: store.CallStarted}, Hook: sdk.HookGetDataIframe})
	require.Equal(t, callbox.CodeLookupTimeout, res.Err.Code)
}
