package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// hostSetting is the setting of a plugin that names the remote system's host, where
// its template needs one.
const hostSetting = "host"

// callForPlugin calls an endpoint of the template that a plugin's manifest names or
// brings along, with the settings of the integration as its fields.
func (t *templates) callForPlugin(ctx context.Context, in store.Integration, m sdk.Manifest, name string, body []byte) (sdk.EndpointResult, error) {
	of, err := t.pluginIntegration(in, m)
	if err != nil {
		return sdk.EndpointResult{}, err
	}
	var given endpoint.Given
	if len(body) > 0 {
		v, err := endpoint.Decode(body)
		object, ok := v.(map[string]any)
		if err != nil || !ok {
			return sdk.EndpointResult{}, notSent("bad_value", "what an endpoint is called with is no JSON object")
		}
		given.Body, given.Call = object, object // a function gives both: it has the call
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

// ofPlugin makes an integration of a plugin ready to be called, as integration does.
func (t *templates) ofPlugin(in store.Integration, g api.EndpointGiven) (endpoint.Integration, endpoint.Given, error) {
	m, ok := t.manifest(in.Plugin)
	if !ok {
		return endpoint.Integration{}, endpoint.Given{}, store.Hint(fmt.Errorf("template of plugin %s: %w", in.Plugin, store.ErrNotFound), "jackfield plugin show "+in.Plugin)
	}
	of, err := t.pluginIntegration(in, m)
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		err = &api.EndpointError{Class: string(e.Class), Code: e.Code, Message: e.Message, Outcome: string(endpoint.OutcomeNotSent)}
	}
	if err != nil {
		return endpoint.Integration{}, endpoint.Given{}, err
	}
	given, err := givenOf(g)
	return of, given, err
}

// pluginIntegration is an integration of a plugin as one of its template.
func (t *templates) pluginIntegration(in store.Integration, m sdk.Manifest) (endpoint.Integration, error) {
	ready, err := t.ofManifest(m)
	if err != nil {
		return endpoint.Integration{}, notSent("no_template", err.Error())
	}
	if ready == nil {
		return endpoint.Integration{}, notSent("no_template", fmt.Sprintf("plugin %s calls endpoints of template %q, which is not there (hint: jackfield template list)", in.Plugin, m.Template))
	}
	settings, err := config.OpenSettings(t.keys, in)
	if err != nil {
		return endpoint.Integration{}, err
	}
	t.redactor.Keep(in.UID, config.Secrets(m.SettingsSchema, settings.Reveal())...)
	values := map[string]any{}
	if err := json.Unmarshal(settings.Reveal(), &values); err != nil {
		return endpoint.Integration{}, notSent("bad_settings", "the settings are no JSON object") // the cause could show them
	}
	fields := make(map[string]string, len(values))
	for key, v := range values {
		if text, ok := fieldText(v); ok {
			fields[key] = text
		}
	}
	host := fields[hostSetting]
	if fault := endpoint.HostFault(host); host != "" && fault != "" {
		return endpoint.Integration{}, notSent("bad_settings", "settings.host: "+fault)
	}
	return endpoint.Integration{ID: in.UID, Name: in.FullName(), Template: ready, Host: host, Fields: fields}, nil
}

// optionsOf returns the choices that an integration of a plugin makes, by name of the
// options that its template has; nil if that has none.
func (t *templates) optionsOf(m sdk.Manifest, in store.Integration) map[string]bool {
	ready, err := t.ofManifest(m)
	if err != nil || ready == nil {
		return nil
	}
	own, err := ready.Spec().With(in.Info, nil)
	if err != nil || len(own.Info.ListOptions) == 0 {
		return nil
	}
	return own.Info.Chosen()
}

// shows makes the screen that a plugin's template declares of what a hook of the plugin
// answered; nil if it declares none.
func (t *templates) shows(in store.Integration, h sdk.CallHook, a sdk.CallAnswer) (json.RawMessage, []string) {
	target, err := t.target(in)
	if err != nil {
		return nil, nil
	}
	return chain.Show(target, h, a)
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
