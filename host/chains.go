package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// runHook runs what the template of an integration declares for a hook or an event.
// input says the rest; its Target is made here.
func (t *templates) runHook(ctx context.Context, in store.Integration, input chain.Input) chain.Result {
	target, err := t.target(in)
	if err != nil {
		return chain.Result{Err: hookError(err)}
	}
	input.Target = target
	switch input.Name { // what somebody waits for goes before logs, which may come a moment later
	case sdk.HookGetDataIframe, sdk.HookCreateTicket, sdk.HookCreateContact:
		ctx = endpoint.Interactive(ctx)
	}
	return t.chains.Run(ctx, input)
}

// declares returns what the template of an integration declares for a hook and an
// event.
func (t *templates) declares(in store.Integration, hook string, event store.CallEventType) (chain.Flow, error) {
	target, err := t.target(in)
	if err != nil {
		return chain.Flow{}, err
	}
	return target.Flow(hook, event), nil
}

// target makes an integration ready for its chains.
func (t *templates) target(in store.Integration) (chainTarget, error) {
	if err := callable(in); err != nil {
		return chainTarget{}, err
	}
	of, _, err := t.integration(in, api.EndpointGiven{})
	if err != nil {
		return chainTarget{}, err
	}
	of.Template, err = t.variants.of(t.compiler, of.Template, in)
	return chainTarget{t.engine, of, in.Lookup}, err
}

// variants are templates as single integrations have them that say some of it
// otherwise.
type variants struct {
	mu    sync.Mutex // guards byUID
	byUID map[string]variant
}

type variant struct {
	sum   [sha256.Size]byte // of what it was made of
	ready *endpoint.Template
}

// maxVariants is where what is known is dropped: it holds what was deleted.
const maxVariants = 10_000

// of returns the template as the integration has it.
func (v *variants) of(c *endpoint.Compiler, t *endpoint.Template, in store.Integration) (*endpoint.Template, error) {
	if len(in.Info) == 0 && len(in.Iframe) == 0 {
		return t, nil
	}
	h := sha256.New()
	for _, part := range [][]byte{t.Spec().Sum, in.Info, in.Iframe} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	made := variant{sum: [sha256.Size]byte(h.Sum(nil))}
	v.mu.Lock()
	defer v.mu.Unlock()
	if had, ok := v.byUID[in.UID]; ok && had.sum == made.sum {
		return had.ready, nil
	}
	spec, err := t.Spec().With(in.Info, in.Iframe)
	if err != nil {
		return nil, fmt.Errorf("template %s of %s: %w", in.Template, in.FullName(), err)
	}
	ready, faults := c.Vary(t, spec)
	if len(faults) > 0 {
		return nil, store.Hint(fmt.Errorf("template %s of %s: %s: %w", in.Template, in.FullName(), faults[0].Message, store.ErrInvalid), "jackfield validate")
	}
	if made.ready = ready; v.byUID == nil || len(v.byUID) >= maxVariants {
		v.byUID = map[string]variant{}
	}
	v.byUID[in.UID] = made
	return ready, nil
}

// chainTarget is an integration of a template, as chains see it.
type chainTarget struct {
	engine *endpoint.Engine
	in     endpoint.Integration
	lookup time.Duration // of the integration; 0: as the template says
}

var _ chain.Target = chainTarget{}

// ID implements chain.Target.
func (c chainTarget) ID() string { return c.in.ID }

// Number implements chain.Target.
func (c chainTarget) Number(number string) string {
	if v, ok := endpoint.Number("e164", number, c.in.Template.Spec().Region); ok {
		return v
	}
	return number
}

// Flow implements chain.Target.
func (c chainTarget) Flow(hook string, event store.CallEventType) chain.Flow {
	t := c.in.Template
	info := t.Spec().Info
	flow := chain.Flow{Options: info.Chosen()}
	for _, u := range info.UserInfo {
		flow.User = append(flow.User, u.Field)
	}
	if hook != sdk.HookLookup {
		for _, s := range t.Triggered(event) {
			flow.Triggers = append(flow.Triggers, c.step(s))
		}
	}
	declared, ok := t.Flow(hook)
	if ok {
		for _, s := range declared.Steps {
			flow.Steps = append(flow.Steps, c.step(s))
		}
		flow.ID, flow.URL, flow.Deadline = c.expression(declared.ID), c.expression(declared.URL), declared.Deadline
		flow.Route, flow.Reject = c.expression(declared.Route), c.expression(declared.Reject)
	}
	if field := info.Chain(hook).Dedupe; field != "" {
		flow.Same = func(form map[string]any) string { return sameNumber(form[field], t.Spec().Region) }
	}
	if hook == sdk.HookGetDataIframe {
		flow.Deadline = cmp.Or(c.lookup, flow.Deadline)
		if t.HasScreen() {
			flow.Screen = c.screen
		}
	}
	return flow
}

func (c chainTarget) step(s endpoint.Step) chain.Step {
	return chain.Step{
		Name: s.Name, Endpoint: s.Endpoint, When: c.expression(s.When), ForEach: c.expression(s.ForEach),
		Optional: s.Optional, Reads: s.Reads, Again: s.Again, Contacts: s.Contacts,
		Shape: string(s.Shape),
	}
}

func (c chainTarget) expression(x *endpoint.Expression) chain.Expression {
	if x == nil {
		return nil
	}
	return func(g chain.Given) (any, error) { return c.in.Template.Eval(x, c.in, endpoint.Given(g)) }
}

func (c chainTarget) screen(g chain.Given) (json.RawMessage, []string) {
	s, notes := c.in.Template.Screen(c.in, endpoint.Given(g))
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, append(notes, "the screen cannot be written: "+err.Error())
	}
	return raw, notes
}

// Fingerprint implements chain.Target.
func (c chainTarget) Fingerprint(name string, g chain.Given) (string, error) {
	mark, err := c.engine.Fingerprint(c.in, name, endpoint.Given(g))
	if err != nil {
		return "", hookError(err)
	}
	return mark, nil
}

// Call implements chain.Target.
func (c chainTarget) Call(ctx context.Context, name string, g chain.Given) (chain.Answer, error) {
	out, err := c.engine.Call(ctx, c.in, name, endpoint.Given(g))
	a := chain.Answer{Status: out.Status, Body: out.Body, Warnings: out.Warnings, Bare: out.Bare}
	for _, i := range out.Items {
		a.Items = append(a.Items, chain.Item{Shape: string(i.Shape), Values: i.Values, Extra: i.Extra})
	}
	if err != nil {
		return a, hookError(err)
	}
	return a, nil
}

// As implements chain.Target.
func (c chainTarget) As(name string, it chain.Item) (any, bool) {
	return c.in.Template.As(name, endpoint.Item{Shape: store.ItemShape(it.Shape), Values: it.Values, Extra: it.Extra})
}

// hookError is why a step failed, as a call tells it.
func hookError(err error) *store.HookError {
	e, ok := errors.AsType[*api.EndpointError](endpointError(err))
	if !ok {
		class, code := sdk.ClassSystem, "internal"
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
			class, code = sdk.ClassConfig, "template"
		}
		out := &store.HookError{Class: string(class), Code: code, Message: err.Error(), Outcome: store.OutcomeNotSent}
		if hint, ok := errors.AsType[*store.HintError](err); ok {
			out.Message, out.Hint = hint.Err.Error(), hint.Hint
		}
		return out
	}
	outcome := e.Outcome
	if outcome == "" {
		outcome = store.OutcomeNotSent
	}
	return &store.HookError{
		Class: e.Class, Code: e.Code, Message: e.Message, Hint: e.Hint, Outcome: outcome, Status: e.Status, RetryAfter: e.RetryAfter, Fields: e.Fields,
	}
}
