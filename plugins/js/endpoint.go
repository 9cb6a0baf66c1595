package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/dop251/goja"

	"github.com/jackfield/jackfield/sdk"
)

// endpoint is ctx.endpoint(name, body): a promise of {status, body, items}. The host
// calls the endpoint of the template that plugin.yaml names.
func (c *call) endpoint(call goja.FunctionCall) goja.Value {
	name, at := call.Argument(0).String(), c.here()
	var body []byte
	if o, ok := call.Argument(1).(*goja.Object); ok {
		raw, err := o.MarshalJSON()
		if err != nil {
			panic(c.vm.NewTypeError("endpoint: the body cannot be written as JSON")) //nolint:forbidigo // how a native function throws
		}
		body = raw
	}
	c.writes.begin() // the host knows what the endpoint does, and says whether it was done
	return c.loop.promise(func(ctx context.Context) settled {
		res, err := sdk.CallEndpoint(sdk.WithHost(ctx, c.host), name, body)
		if unchanged(res, sdk.AsError(err)) {
			c.writes.undone()
		}
		return func() (goja.Value, goja.Value) {
			if err != nil {
				return nil, c.throwable(sdk.AsError(err), at)
			}
			v, err := c.parse(resultJSON(res))
			if err != nil {
				return nil, c.throwable(sdk.AsError(err), at)
			}
			return v, nil
		}
	})
}

// unchanged reports whether the remote system is as it was before an endpoint's call.
func unchanged(res sdk.EndpointResult, e *sdk.Error) bool {
	if e == nil {
		return res.Reads
	}
	return e.Safe || e.Details[sdk.DetailOutcome] == "failed"
}

// resultJSON writes what an endpoint answered. The values of an item are its members.
func resultJSON(r sdk.EndpointResult) []byte {
	items := make([]map[string]any, 0, len(r.Items))
	for _, i := range r.Items {
		item := map[string]any{"shape": i.Shape}
		for name, value := range i.Values {
			item[name] = value
		}
		if len(i.Extra) > 0 {
			item["extra"] = json.RawMessage(i.Extra)
		}
		items = append(items, item)
	}
	out := map[string]any{"status": r.Status, "items": items, "body": nil}
	if len(r.Body) > 0 {
		out["body"] = json.RawMessage(r.Body)
	}
	raw, err := json.Marshal(out)
	if err != nil { // the host sent what is no JSON
		return []byte(`{"status":0,"items":[],"body":null}`)
	}
	return raw
}

// fieldFaults are what a remote system says of single fields, of an error's details.
func fieldFaults(details map[string]string) map[string]any {
	faults := map[string]any{}
	for name, text := range details {
		if field, ok := strings.CutPrefix(name, "field."); ok {
			faults[field] = text
		}
	}
	return faults
}
