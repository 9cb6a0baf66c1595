package endpoint

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/store"
)

// The bounds of a chain.
const (
	maxSteps = 32
	foundAs  = "found" // what contacts that were found are called in the context
)

// Flow is the compiled chain of a hook. Its expressions are nil where none is given.
type Flow struct {
	Steps                  []Step
	ID, URL, Route, Reject *Expression
	Deadline               time.Duration // 0: none of its own
}

// Step is a compiled step of a chain, or an endpoint that an event triggers.
type Step struct {
	Name          string // empty: of a trigger
	Endpoint      string
	When, ForEach *Expression // nil: always; once
	Optional      bool
	Reads         bool // it changes nothing at the remote system
	Again         bool // it may be sent again although it may have arrived
	Contacts      bool // it answers contacts
	Shape         store.ItemShape
}

// Expression is a compiled text that gives a value.
type Expression struct{ text text }

// Flow returns the chain of a hook; false if the template declares none.
func (t *Template) Flow(hook string) (Flow, bool) {
	f, ok := t.flows[hook]
	return f, ok
}

// Triggered returns the endpoints that an event triggers, in the order of the
// template.
func (t *Template) Triggered(event store.CallEventType) []Step { return t.triggered[string(event)] }

// Eval returns what an expression gives; nil is nothing.
func (t *Template) Eval(x *Expression, in Integration, g Given) (any, error) {
	return x.text.value(t.scope(in.input(g), ""))
}

// flows compiles the chains of all hooks.
func (b *builder) flows() map[string]Flow {
	out := map[string]Flow{}
	hooks := slices.Collect(maps.Keys(b.spec.Info.Hooks))
	if len(b.spec.Info.DataFunction) > 0 && !slices.Contains(hooks, lookupHook) {
		hooks = append(hooks, lookupHook)
	}
	slices.Sort(hooks)
	for _, hook := range hooks {
		out[hook] = b.flow(hook)
	}
	return out
}

// lookupHook has its steps in dataFunction.
const lookupHook = "getDataIframe"

func (b *builder) flow(hook string) Flow {
	c := b.spec.Info.Chain(hook)
	path := "info.hooks." + hook
	at := path + ".steps"
	if hook == lookupHook && len(b.spec.Info.Hooks[hook].Steps) == 0 {
		at = "info.dataFunction"
	}
	f := Flow{Deadline: c.Deadline, ID: b.said(path+".id", c.ID), URL: b.said(path+".url", c.URL), Route: b.said(path+".route", c.Route), Reject: b.said(path+".reject", c.Reject)}
	if len(c.Steps) > maxSteps {
		b.fault(fmt.Sprintf("%s[%d]", at, maxSteps), "", "%s: %d steps are more than %d", at, len(c.Steps), maxSteps)
		return f
	}
	names := map[string]int{}
	for i, d := range c.Steps {
		where := fmt.Sprintf("%s[%d]", at, i)
		if j, twice := names[d.ObjectName]; twice {
			b.fault(where+".objectName", "", "%s.objectName: %q is that of %s[%d] too", where, d.ObjectName, at, j)
		}
		if d.ObjectName == foundAs {
			b.fault(where+".objectName", "another name", "%s.objectName: %q is what the contacts are called that were found", where, d.ObjectName)
		}
		names[d.ObjectName] = i
		f.Steps = append(f.Steps, b.step(where, d))
	}
	if hook == askHook && len(c.Steps) > 0 {
		b.question(at, path, c, f)
	}
	return f
}

// askHook is asked what became of a write.
const askHook = "lookup"

// question refuses a chain whose silence would be taken for an answer: a write that it
// does not find is sent again.
func (b *builder) question(at, path string, c store.HookChain, f Flow) {
	kinds := []store.ItemShape{store.ShapeCallLog, store.ShapeTicket, store.ShapeContact, store.ShapeMessage}
	for i, d := range c.Steps {
		where := fmt.Sprintf("%s[%d]", at, i)
		if d.Optional {
			b.fault(where+".optional", "no optional: a question that fails is asked again", "%s.optional: if it fails nobody knows whether there is one, and what there is would be made again", where)
		}
		if e, ok := b.spec.Endpoint(d.Endpoint); ok && e.Type != store.EndpointGetData && e.Type != store.EndpointAuth {
			b.fault(where+".endpoint", "an endpoint of type GetData; it may have the method POST", "%s.endpoint: %q writes, and a question only reads", where, d.Endpoint)
		}
	}
	if f.ID == nil && !slices.ContainsFunc(f.Steps, func(s Step) bool { return slices.Contains(kinds, s.Shape) }) {
		b.fault(path, "response.shape of an endpoint, or id:", "%s: nothing of it is what a hook makes: it would find nothing that there is", path)
	}
}

func (b *builder) step(path string, d store.DataFunction) Step {
	s := Step{Name: d.ObjectName, Endpoint: d.Endpoint, Optional: d.Optional}
	e, ok := b.spec.Endpoint(d.Endpoint)
	switch {
	case !ok:
		b.fault(path+".endpoint", nearest.Advice(d.Endpoint, b.spec.EndpointNames()), "%s.endpoint: the template has no endpoint %q", path, d.Endpoint)
	case e.Type == store.EndpointAuth:
		b.fault(path+".endpoint", "", "%s.endpoint: %q gets a token; it is called when one is needed", path, d.Endpoint)
	}
	s.When, s.ForEach = b.condition(path+".when", d.When), b.condition(path+".foreach", d.ForEach)
	s.traits(&e)
	return s
}

// traits are those that the step has from its endpoint.
func (s *Step) traits(e *store.Endpoint) {
	s.Reads = e.Type == store.EndpointGetData
	s.Again = (&call{spec: e}).again()
	s.Contacts = e.Response.Shape == store.ShapeContact
	s.Shape = e.Response.Shape
}

// triggered returns the endpoints that each event triggers. One that a step of the
// event's chain names is the chain's affair.
func (b *builder) triggered() map[string][]Step {
	out := map[string][]Step{}
	for i := range b.spec.Endpoints {
		e := &b.spec.Endpoints[i]
		if e.Trigger == "" {
			continue
		}
		chain := b.spec.Info.Chain(hookOf(e.Trigger)).Steps
		if slices.ContainsFunc(chain, func(d store.DataFunction) bool { return d.Endpoint == e.Name }) {
			continue
		}
		s := Step{Endpoint: e.Name}
		s.traits(e)
		out[e.Trigger] = append(out[e.Trigger], s)
	}
	return out
}

// hookOf returns the hook of an event; empty if it has none.
func hookOf(event string) string {
	switch store.CallEventType(event) {
	case store.CallStarted:
		return lookupHook
	case store.CallConnected:
		return "savePreLogCRM"
	case store.CallEnded:
		return "saveLogCRM"
	case store.SMSSent:
		return "createSMSNote"
	case store.TicketCreate:
		return "handleCreateTicket"
	case store.ContactCreate:
		return "handleCreateContact"
	case store.CallUpdated, store.CallWrapup:
	}
	return ""
}

// said compiles a text that people or telephone systems are told; nil if it is empty.
func (b *builder) said(path, source string) *Expression {
	if source == "" {
		return nil
	}
	x := b.text(path, source, &b.request)
	b.open(path, x)
	return &Expression{x}
}

// open refuses a text that would tell a secret.
func (b *builder) open(path string, x text) {
	if x.secret() {
		b.fault(path, "", "%s: a secret would be told", path)
	}
}

// condition compiles an expression that stands alone; nil if it is empty.
func (b *builder) condition(path, source string) *Expression {
	if source == "" {
		return nil
	}
	before := len(b.faults)
	x := b.text(path, source, &b.request)
	if len(b.faults) == before && x.only() == nil {
		b.fault(path, `such as "{{ len(context.found) == 0 }}"`, "%s: one expression in {{ }} is needed", path)
		return nil
	}
	return &Expression{x}
}
