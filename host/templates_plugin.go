package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// hostSetting is the setting of a plugin that names the remote system's host, where
// its template needs one.
const hostSetting = "host"

// callForPlugin calls an endpoint of the template that a plugin's manifest names, with
// the settings of the integration as its fields.
func (t *templates) callForPlugin(ctx context.Context, in store.Integration, template, name string, body []byte) (sdk.EndpointResult, error) {
	of, given, err := t.pluginIntegration(in, template, body)
	if err != nil {
		return sdk.EndpointResult{}, err
	}
	reads := readsOnly(of.Template, name)
	out, err := t.engine.Call(ctx, of, name, given)
	if err != nil {
		return sdk.EndpointResult{}, pluginEndpointError(name, reads, err)
	}
	res, err := endpointResult(name, out)
	res.Reads = reads
	return res, err
}

// readsOnly reports whether an endpoint leaves the remote system as it is.
func readsOnly(t *endpoint.Template, name string) bool {
	e, _ := t.Spec().Endpoint(name)
	return e.Type == store.EndpointGetData || e.Method == http.MethodGet
}

// pluginIntegration is an integration of a plugin as one of its template.
func (t *templates) pluginIntegration(in store.Integration, template string, body []byte) (endpoint.Integration, endpoint.Given, error) {
	var given endpoint.Given
	ready := t.get(template)
	if ready == nil {
		return endpoint.Integration{}, given, notSent("no_template", fmt.Sprintf("plugin %s calls endpoints of template %q, which is not there (hint: jackfield template list)", in.Plugin, template))
	}
	settings, err := config.OpenSettings(t.keys, in)
	if err != nil {
		return endpoint.Integration{}, given, err
	}
	values := map[string]any{}
	if err := json.Unmarshal(settings.Reveal(), &values); err != nil {
		return endpoint.Integration{}, given, notSent("bad_settings", "the settings are no JSON object") // the cause could show them
	}
	fields := make(map[string]string, len(values))
	for key, v := range values {
		if text, ok := fieldText(v); ok {
			fields[key] = text
		}
	}
	host := fields[hostSetting]
	if fault := endpoint.HostFault(host); host != "" && fault != "" {
		return endpoint.Integration{}, given, notSent("bad_settings", "settings.host: "+fault)
	}
	if len(body) > 0 {
		v, err := endpoint.Decode(body)
		object, ok := v.(map[string]any)
		if err != nil || !ok {
			return endpoint.Integration{}, given, notSent("bad_value", "what an endpoint is called with is no JSON object")
		}
		given.Body, given.Call = object, object // a function gives both: it has the call
	}
	return endpoint.Integration{ID: in.UID, Name: in.FullName(), Template: ready, Host: host, Fields: fields}, given, nil
}

// fieldText is a setting as the field of a template: those are texts.
func fieldText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	default:
		return "", false
	}
}

// notSent is why nothing was called.
func notSent(code, message string) *sdk.Error {
	return &sdk.Error{Class: sdk.ClassConfig, Code: code, Message: message, Safe: true, Details: map[string]string{sdk.DetailOutcome: string(endpoint.OutcomeNotSent)}}
}

// pluginEndpointError is why a call failed, as a plugin is told it. What is wrong with
// single fields goes along by their names.
func pluginEndpointError(name string, reads bool, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return notSent("no_endpoint", fmt.Sprintf("there is no endpoint %.64q: %v", name, err))
	}
	e, ok := errors.AsType[*endpoint.Error](err)
	if !ok {
		return err
	}
	outcome := e.Outcome
	if outcome == "" {
		outcome = endpoint.OutcomeNotSent
	}
	out := &sdk.Error{
		Class: e.Class, Code: e.Code, Message: "endpoint " + name + ": " + e.Message, Safe: reads || !e.Sent(),
		Details: map[string]string{sdk.DetailOutcome: string(outcome)}, Cause: e.Cause,
	}
	if e.Cause != nil {
		out.Message += ": " + e.Cause.Error()
	}
	if e.Status != 0 {
		out.Details["status"] = strconv.Itoa(e.Status)
	}
	for field, fault := range e.Fields {
		out.Details["field."+field] = fault
	}
	if e.Class == sdk.ClassRateLimited {
		out.Limit = &sdk.RateLimit{After: max(e.RetryAfter, time.Second)}
	}
	return out
}

// endpointResult is what an endpoint answered, as a plugin is told it.
func endpointResult(name string, out endpoint.Result) (res sdk.EndpointResult, err error) {
	res.Status = out.Status
	if out.Body != nil {
		if res.Body, err = json.Marshal(out.Body); err != nil {
			return res, fmt.Errorf("write answer of %s: %w", name, err)
		}
	}
	for _, i := range out.Items {
		item := sdk.EndpointItem{Shape: string(i.Shape), Values: i.Values}
		if len(i.Extra) > 0 {
			if item.Extra, err = json.Marshal(i.Extra); err != nil {
				return res, fmt.Errorf("write answer of %s: %w", name, err)
			}
		}
		res.Items = append(res.Items, item)
	}
	return res, nil
}
