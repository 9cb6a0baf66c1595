package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// CallEndpoint implements sdk.EndpointCaller.
func (h *fakeHost) CallEndpoint(_ context.Context, name string, body []byte) (sdk.EndpointResult, error) {
	return h.endpoint(name, body)
}

// rows: G30
func TestAFunctionCallsEndpoints(t *testing.T) {
	t.Parallel()
	o := open(t, `export async function getDataIframe(call: any, ctx: any) {
		const found = await ctx.endpoint("find", { number: call.number });
		const all = await ctx.endpoint("all");
		return { contacts: found.items, status: found.status, raw: found.body.n, all: all.body };
	}`)
	o.host.endpoint = func(name string, body []byte) (sdk.EndpointResult, error) {
		if name == "all" {
			return sdk.EndpointResult{Status: 204, Reads: true}, nil
		}
		return sdk.EndpointResult{
			Status: 200, Reads: true, Body: []byte(`{"n":` + string(body) + `}`),
			Items: []sdk.EndpointItem{{Shape: "contact", Values: map[string]string{"id": "7", "name": "Ann"}, Extra: []byte(`{"vip":true}`)}},
		}, nil
	}
	require.Equal(t, map[string]any{
		"contacts": []any{map[string]any{"shape": "contact", "id": "7", "name": "Ann", "extra": map[string]any{"vip": true}}},
		"status":   200.0, "raw": map[string]any{"number": "+49"}, "all": nil,
	}, o.lookup(`{"number": "+49"}`))
}

// rows: F31, G27
func TestAnEndpointThatFailsTellsAFunctionWhy(t *testing.T) {
	t.Parallel()
	refused := &sdk.Error{Class: sdk.ClassRemote, Code: "refused", Message: "422", Details: map[string]string{sdk.DetailOutcome: "failed", "status": "422", "field.name": "too long"}}
	for name, c := range map[string]struct {
		err  *sdk.Error
		safe bool
	}{
		"Refused": {refused, true},
		"NotSent": {&sdk.Error{Class: sdk.ClassTransient, Code: "circuit_open", Message: "later", Safe: true, Details: map[string]string{sdk.DetailOutcome: "not_sent"}}, true},
		"Lost":    {&sdk.Error{Class: sdk.ClassTransient, Code: "timeout", Message: "lost", Details: map[string]string{sdk.DetailOutcome: "unknown"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t, "export async function getDataIframe(call: any, ctx: any) {\n  await ctx.endpoint('make', {});\n}")
			o.host.endpoint = func(string, []byte) (sdk.EndpointResult, error) { return sdk.EndpointResult{}, c.err }
			e := o.fault(t.Context())
			require.Equal(t, c.err.Code, e.Code)
			require.Equal(t, c.err.Class, e.Class)
			require.Equal(t, c.safe, e.Safe)
			require.Equal(t, c.err.Details[sdk.DetailOutcome], e.Details[sdk.DetailOutcome])
			require.Contains(t, e.Message, "function.ts:2:")
		})
	}
	t.Run("Caught", func(t *testing.T) {
		t.Parallel()
		o := open(t, `export async function getDataIframe(call: any, ctx: any) {
			try { await ctx.endpoint("make", {}); } catch (e: any) { return { field_errors: e.fields, status: e.status, outcome: e.outcome }; }
			return {};
		}`)
		o.host.endpoint = func(string, []byte) (sdk.EndpointResult, error) { return sdk.EndpointResult{}, refused }
		require.Equal(t, map[string]any{"field_errors": map[string]any{"name": "too long"}, "status": 422.0, "outcome": "failed"}, o.lookup(`{}`))
	})
	t.Run("AfterAWrite", func(t *testing.T) {
		t.Parallel()
		o := open(t, `export async function getDataIframe(call: any, ctx: any) { await ctx.endpoint("make", {}); throw new Error("x"); }`)
		o.host.endpoint = func(string, []byte) (sdk.EndpointResult, error) { return sdk.EndpointResult{Status: 201}, nil }
		require.False(t, o.fault(t.Context()).Safe)
	})
	t.Run("AfterARead", func(t *testing.T) {
		t.Parallel()
		o := open(t, `export async function getDataIframe(call: any, ctx: any) { await ctx.endpoint("find", {}); throw new Error("x"); }`)
		o.host.endpoint = func(string, []byte) (sdk.EndpointResult, error) {
			return sdk.EndpointResult{Status: 200, Reads: true}, nil
		}
		require.True(t, o.fault(t.Context()).Safe)
	})
}
