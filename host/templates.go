package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/egress"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// templates keeps what files declare ready to be called: each template as its file
// had it when that was good the last time.
type templates struct {
	db         *sqlite.DB
	keys       *secret.Keyring
	redactor   *secret.Redactor
	log        hclog.Logger
	compiler   *endpoint.Compiler
	engine     *endpoint.Engine
	grants     atomic.Pointer[[]address.Grant]
	chains     *chain.Runner
	variants   variants
	connects   connects
	transports *egress.Transports // of integrations
	brought    brought
	// manifest returns what an approved plugin says of itself, serving those that take
	// work.
	manifest func(plugin string) (sdk.Manifest, bool)
	serving  func() []string
	// lastGood reads from the store. What it finds is for all who ask later too, so that
	// it does not end with who asks first.
	lastGood func(name string) ([]store.StoredTemplate, error)

	mu     sync.Mutex // guards what follows
	ready  map[string]*prepared
	stored map[string][]byte // what files hashed to that were good the last time, of those that are not ready
}

var _ api.Endpoints = (*templates)(nil)

// newTemplates returns what the store has, which is the last good state of files
// that may be bad now. It is read when somebody needs it: mostly the files are good, and
// a daemon that starts would have each template twice.
func newTemplates(ctx context.Context, t *templates, transport func(id string) http.RoundTripper) (*templates, error) {
	t.compiler, t.ready, t.chains = endpoint.NewCompiler(), map[string]*prepared{}, chain.New(chain.Options{})
	var err error
	t.engine, err = endpoint.New(endpoint.Options{Transport: transport, Tokens: tokens{t}, Plain: t.plainHTTP, Reconnect: t.reconnect})
	if err != nil {
		return nil, err
	}
	t.lastGood = func(name string) ([]store.StoredTemplate, error) {
		return t.db.Templates(context.WithoutCancel(ctx), name)
	}
	t.stored, err = t.db.TemplateSums(ctx)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	return t, nil
}

// options adds to how configuration is read what concerns templates.
func (t *templates) options(o config.Options) config.Options {
	o = templateOptions(t.compiler, o)
	o.Read = &config.ReadTemplates{}
	o.Template = t.spec
	return o
}

// templateOptions has templates checked, with or without a daemon.
func templateOptions(c *endpoint.Compiler, o config.Options) config.Options {
	o.HostFault = endpoint.HostFault
	o.CheckTemplate = func(t store.Template) []config.TemplateFault { return templateFaults(c.Check(t)) }
	o.CheckOverride = func(t store.Template) []config.TemplateFault { return templateFaults(c.CheckOverride(t)) }
	return o
}

func templateFaults(faults []endpoint.Fault) []config.TemplateFault {
	out := make([]config.TemplateFault, len(faults))
	for i, f := range faults {
		out[i] = config.TemplateFault(f)
	}
	return out
}

// apply makes the stored templates those of the files. One whose file is bad stays
// as it was.
func (t *templates) apply(ctx context.Context, snap config.Snapshot) error {
	good, bad := snap.GoodTemplates()
	changed, deleted, err := t.db.ApplyTemplates(ctx, good, bad)
	if err != nil {
		return err
	}
	for _, spec := range good {
		t.prepare(spec)
	}
	t.mu.Lock()
	for _, name := range deleted {
		delete(t.ready, name)
		delete(t.stored, name)
		t.compiler.Forget(name)
	}
	t.mu.Unlock()
	for _, name := range changed {
		t.log.Info("template changed", "template", name)
	}
	for _, name := range deleted {
		t.log.Info("template gone", "template", name)
	}
	return nil
}

// Templates implements api.Endpoints: those of files, and those that plugins bring along.
func (t *templates) Templates(ctx context.Context, name string) ([]store.StoredTemplate, error) {
	list, err := t.db.Templates(ctx, name)
	if err != nil || name != "" && len(list) > 0 {
		return list, err
	}
	plugins := []string{name}
	if name == "" {
		plugins = t.serving()
	}
	for _, plugin := range plugins {
		if m, ok := t.manifest(plugin); ok && m.TemplateText != nil {
			ready, err := t.brought.of(t.compiler, m)
			if err != nil {
				return nil, err
			}
			list = append(list, store.StoredTemplate{Template: ready.Spec()})
		}
	}
	slices.SortStableFunc(list, func(a, b store.StoredTemplate) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// TemplateOf implements api.Endpoints.
func (t *templates) TemplateOf(in store.Integration) (name string) {
	if in.Template != "" {
		return in.Template
	}
	m, ok := t.manifest(in.Plugin)
	switch {
	case !ok:
		return ""
	case m.TemplateText != nil:
		return m.Name
	}
	return m.Template
}

// Render implements api.Endpoints.
func (t *templates) Render(ctx context.Context, in store.Integration, name string, g api.EndpointGiven) (api.EndpointRequest, error) {
	of, given, err := t.integration(in, g)
	if err != nil {
		return api.EndpointRequest{}, err
	}
	r, err := t.engine.Render(ctx, of, name, given)
	if err != nil {
		return api.EndpointRequest{}, endpointError(err)
	}
	shown := r.Shown()
	return api.EndpointRequest{Method: shown.Method, URL: shown.URL, Headers: shown.Header, Body: shown.Body}, nil
}

// Call implements api.Endpoints.
func (t *templates) Call(ctx context.Context, in store.Integration, name string, g api.EndpointGiven) (api.EndpointResult, error) {
	if err := callable(in); err != nil {
		return api.EndpointResult{}, err
	}
	of, given, err := t.integration(in, g)
	if err != nil {
		return api.EndpointResult{}, err
	}
	out, err := t.engine.Call(ctx, of, name, given)
	res := api.EndpointResult{Status: out.Status, Headers: out.Header, Took: time.Duration(out.TookMS) * time.Millisecond}
	if err != nil {
		return res, endpointError(err)
	}
	if out.Body != nil {
		if res.Body, err = json.Marshal(out.Body); err != nil {
			return res, fmt.Errorf("write answer of %s: %w", name, err)
		}
	}
	for _, i := range out.Items {
		item := api.EndpointItem{Shape: string(i.Shape), Values: i.Values}
		if len(i.Extra) > 0 {
			if item.Extra, err = json.Marshal(i.Extra); err != nil {
				return res, fmt.Errorf("write answer of %s: %w", name, err)
			}
		}
		res.Items = append(res.Items, item)
	}
	return res, nil
}

// callable refuses an integration that must not be called.
func callable(in store.Integration) error {
	hint := ""
	switch {
	case !in.RemovedAt.IsZero():
		hint = "declare it again"
	case in.State == store.IntegrationActive:
		return nil
	case in.State == store.IntegrationNeedsReconnect:
		hint = "give other credentials in " + in.File
	case in.Hold != nil:
		hint = "jackfield integration enable " + in.FullName()
	}
	return &api.EndpointError{Class: "config", Code: "integration_" + string(in.State), Message: fmt.Sprintf("integration %s is %s: %s", in.FullName(), in.State, in.Reason), Hint: hint, Outcome: string(endpoint.OutcomeNotSent)}
}

// integration makes what is stored ready to be called.
func (t *templates) integration(in store.Integration, g api.EndpointGiven) (endpoint.Integration, endpoint.Given, error) {
	var given endpoint.Given
	if in.Template == "" {
		return t.ofPlugin(in, g)
	}
	ready := t.get(in.Template)
	if ready == nil {
		return endpoint.Integration{}, given, store.Hint(fmt.Errorf("template %s of %s: %w", in.Template, in.FullName(), store.ErrNotFound), "jackfield template list")
	}
	settings, err := config.OpenSettings(t.keys, in)
	if err != nil {
		return endpoint.Integration{}, given, err
	}
	fields := map[string]string{}
	if err := json.Unmarshal(settings.Reveal(), &fields); err != nil {
		return endpoint.Integration{}, given, fmt.Errorf("fields of %s: %w", in.FullName(), store.ErrInvalid) // the cause could show them
	}
	t.redactor.Keep(in.UID, config.Secrets(config.FieldsSchema(ready.Spec()), settings.Reveal())...)
	given, err = givenOf(g)
	return endpoint.Integration{
		ID: in.UID, Name: in.FullName(), Template: ready, Host: in.Host, Callcenter: in.Callcenter, Fields: fields,
	}, given, err
}

// givenOf reads what an endpoint is called with.
func givenOf(g api.EndpointGiven) (given endpoint.Given, err error) {
	for _, part := range []struct {
		raw  []byte
		into *map[string]any
	}{{g.Body, &given.Body}, {g.Call, &given.Call}, {g.Context, &given.Context}} {
		if len(part.raw) == 0 {
			continue
		}
		v, err := endpoint.Decode(part.raw)
		object, ok := v.(map[string]any)
		if err != nil || !ok {
			return endpoint.Given{}, fmt.Errorf("what endpoint is called with: %w: no JSON object", store.ErrInvalid)
		}
		*part.into = object
	}
	return given, nil
}

// schema tells which fields of an integration are secrets.
func (t *templates) schema(in store.Integration) []byte {
	spec, ok := t.spec(in.Template)
	if !ok {
		return nil
	}
	return config.FieldsSchema(spec)
}

// reconnect says in the store that a person has to give other credentials. It
// makes one event, however often it is told.
func (t *templates) reconnect(ctx context.Context, uid, reason string) error {
	in, err := t.db.IntegrationByUID(ctx, uid)
	if err != nil {
		return err
	}
	err = t.db.SetIntegrationState(ctx, in.ID, store.IntegrationNeedsReconnect, t.redactor.Redact(reason))
	if errors.Is(err, store.ErrConflict) { // it was disabled meanwhile
		return nil
	}
	return err
}

// endpointError is why a call failed, as the API tells it.
func endpointError(err error) error {
	e, ok := errors.AsType[*endpoint.Error](err)
	if !ok {
		return err
	}
	message := e.Message
	if e.Cause != nil {
		message += ": " + e.Cause.Error()
	}
	return &api.EndpointError{
		Class: string(e.Class), Code: e.Code, Message: message, Hint: e.Hint, Outcome: string(e.Outcome), Body: e.Body, Status: e.Status,
		RetryAfter: e.RetryAfter, Fields: e.Fields, Missing: e.Missing,
	}
}

const tokenName = "endpoint token"
