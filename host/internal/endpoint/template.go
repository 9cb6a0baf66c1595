package endpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/jackfield/jackfield/store"
)

// The deadline of a request that no template limits, and the longest that one may
// have.
const (
	DefaultTimeout = 10 * time.Second
	MaxTimeout     = 2 * time.Minute
)

// Fault is one thing that is wrong in a template, at the place of a key such as
// endpoints[2].url.
type Fault struct {
	Path    string
	Message string
	Help    string
	Offset  int // in the text at Path, in bytes
}

// Compiler makes templates ready to be called. Templates that are compiled by one
// Compiler share what their expressions have in common. It is safe for concurrent
// use.
type Compiler struct {
	mu    sync.Mutex // guards what follows
	cache *cache
	last  map[string]checked // the newest of each name that is without fault
}

// checked is a template without fault. What was made of it is there as long as
// somebody uses it: of a thousand templates most are used by nobody.
type checked struct {
	sum  []byte
	made weak.Pointer[Template]
}

// NewCompiler returns a Compiler.
func NewCompiler() *Compiler { return &Compiler{cache: newCache(), last: map[string]checked{}} }

// Forget lets go of a template that is gone.
func (c *Compiler) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, name)
}

// Template is a template that is ready: every expression is compiled and checked.
type Template struct {
	spec      store.Template
	base      address
	headers   []named // defaults
	query     []named
	auth      *credential
	endpoints map[string]*call
	fields    []group         // of the template's parameters that go with each request
	flows     map[string]Flow // by hook
	triggered map[string][]Step
	screen    *screen // nil: none
}

// Spec returns what was compiled.
func (t *Template) Spec() store.Template { return t.spec }

// named is a header or a query parameter with its text.
type named struct {
	name string
	text text
}

// call is a compiled endpoint.
type call struct {
	spec     *store.Endpoint
	url      address
	headers  []named
	groups   []group
	body     *node // nil: none
	auth     *credential
	forward  bool
	timeout  time.Duration
	response answer
}

// Check returns what is wrong with a template. One whose declaration is that of the
// last time is known to be good.
func (c *Compiler) Check(spec store.Template) []Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last[spec.Name].is(spec) {
		return nil
	}
	_, faults := c.compile(spec)
	return faults
}

// Compile makes a template ready, or tells everything that is wrong with it. One
// whose declaration is that of the last time may be ready already.
func (c *Compiler) Compile(spec store.Template) (*Template, []Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.last[spec.Name]; last.is(spec) {
		if made := last.made.Value(); made != nil {
			return made, nil
		}
	}
	return c.compile(spec)
}

// is reports whether a declaration is the one that was checked.
func (l checked) is(spec store.Template) bool {
	return len(spec.Sum) > 0 && bytes.Equal(l.sum, spec.Sum)
}

// compile makes a template ready. The caller holds mu.
func (c *Compiler) compile(spec store.Template) (*Template, []Fault) {
	b := c.builder(spec)
	t := b.template()
	if len(b.faults) > 0 {
		return nil, b.faults
	}
	c.last[spec.Name] = checked{sum: spec.Sum, made: weak.Make(t)}
	return t, nil
}

// builder compiles one template.
type builder struct {
	spec            store.Template
	request, answer dialect
	faults          []Fault
}

func (b *builder) fault(path, help, format string, args ...any) {
	b.faults = append(b.faults, Fault{Path: path, Message: fmt.Sprintf(format, args...), Help: help})
}

func (b *builder) template() *Template {
	t := &Template{spec: b.spec, endpoints: make(map[string]*call, len(b.spec.Endpoints))}
	t.headers = b.headers("request.headers", b.spec.Request.Headers)
	t.query = b.named("request.query", b.spec.Request.Query)
	if b.spec.Request.BaseURL != "" {
		t.base = b.address("request.base_url", b.spec.Request.BaseURL)
		b.checkBase(t.base)
	}
	t.auth = b.credential("auth", b.spec.Auth)
	t.fields = b.templateGroups()
	for i := range t.spec.Endpoints {
		e := &t.spec.Endpoints[i]
		t.endpoints[e.Name] = b.call(fmt.Sprintf("endpoints[%d]", i), e, t)
	}
	b.interplay(t)
	return t
}

// interplay compiles what concerns several endpoints, or none: it may be otherwise in
// an integration.
func (b *builder) interplay(t *Template) {
	t.flows, t.triggered = b.flows(), b.triggered()
	t.screen = b.screen()
}

// CheckOverride returns what is wrong with the chains and the screen of a template,
// and with nothing else of it.
func (c *Compiler) CheckOverride(spec store.Template) []Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.builder(spec)
	b.interplay(&Template{})
	return b.faults
}

// Vary returns a template with other chains and another screen, those of spec. What
// it has besides is the same.
func (c *Compiler) Vary(t *Template, spec store.Template) (*Template, []Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := *t
	b := c.builder(spec)
	b.interplay(&own)
	if len(b.faults) > 0 {
		return nil, b.faults
	}
	own.spec = spec
	return &own, nil
}

// builder returns what compiles one template. The caller holds mu.
func (c *Compiler) builder(spec store.Template) *builder {
	b := &builder{spec: spec}
	fields := make([]string, len(spec.Parameters))
	for i, p := range spec.Parameters {
		fields[i] = p.Name
	}
	d := dialect{roots: requestRoots(), fields: fields, secrets: spec.Secrets(), region: spec.Region, cache: c.cache}
	b.request, b.answer = d, d
	b.answer.roots = responseRoots()
	return b
}

// call compiles an endpoint.
func (b *builder) call(path string, e *store.Endpoint, t *Template) *call {
	c := &call{spec: e, auth: t.auth}
	c.url = b.address(path+".url", e.URL)
	c.headers = b.headers(path+".headers", e.Headers)
	c.groups = b.groups(path, e, t)
	b.checkPlaceholders(path, c)
	b.checkHeaders(path, c)
	b.headerValue(path+".content_type", e.ContentType)
	if len(e.Body) > 0 {
		c.body = b.body(path+".body", e)
	}
	switch {
	case e.Type == store.EndpointAuth:
		c.auth = &credential{}
	case e.Auth != nil:
		c.auth = b.credential(path+".auth", *e.Auth)
		if c.auth.token && e.Auth.Type != b.spec.Auth.Type {
			b.fault(path+".auth", "", "%s.auth: an endpoint cannot have a token of its own", path)
		}
	}
	posts := e.Type == store.EndpointPostData || e.Type == store.EndpointSendSMS
	c.forward = posts && !c.hasBody()
	if e.Forward != nil {
		c.forward = *e.Forward
	}
	c.timeout = min(cmp.Or(e.Timeout, b.spec.Request.Timeout, DefaultTimeout), MaxTimeout)
	c.response = b.response(path+".response", e)
	b.checkType(path, e)
	return c
}

// hasBody reports whether the endpoint says what its body is.
func (c *call) hasBody() bool {
	return c.body != nil || slices.ContainsFunc(c.groups, func(g group) bool { return g.in == store.InBody })
}

// checkType refuses what does not go with the type of an endpoint.
func (b *builder) checkType(path string, e *store.Endpoint) {
	switch e.Type {
	case store.EndpointAuth:
		if e.Trigger != "" {
			b.fault(path+".trigger", "", "%s.trigger: an Auth endpoint is called when a token is needed", path)
		}
		if e.Response.Token == "" {
			b.fault(path, "such as token: data.access_token", "%s.response needs the key \"token\": where the token is in the answer", path)
		}
	case store.EndpointSendSMS:
		if b.spec.Type != store.TemplateSMS {
			b.fault(path+".type", "type: SMS, or another type of endpoint", "%s.type: SendSMS belongs to templates of type SMS", path)
		}
	}
	if e.Type != store.EndpointAuth && (e.Response.Token != "" || e.Response.ExpiresIn != "" || e.Response.ExpiresAt != "") {
		b.fault(path+".response", "type: Auth", "%s.response: only an endpoint of type Auth has a token", path)
	}
}

// text compiles a text, and reports what is wrong with it.
func (b *builder) text(path, source string, d *dialect) text {
	pieces, err := split(source)
	if err != nil {
		b.expression(path, 0, err)
		return text{}
	}
	var out text
	for _, p := range pieces {
		if !p.expr {
			out.parts = append(out.parts, part{literal: p.text})
			continue
		}
		e, bad := d.compile(p.text)
		if bad != nil {
			lead := len(p.text) - len(strings.TrimLeft(p.text, " "))
			b.expression(path, p.offset+lead, bad)
			continue
		}
		out.parts = append(out.parts, part{expr: e})
	}
	return out
}

func (b *builder) expression(path string, offset int, err error) {
	f := Fault{Path: path, Message: path + ": " + err.Error(), Offset: offset}
	if e, ok := err.(*exprError); ok { //nolint:errorlint // it is never wrapped
		f.Help, f.Offset = e.help, offset+e.offset
	}
	b.faults = append(b.faults, f)
}

// named compiles texts by name, sorted.
func (b *builder) named(path string, texts map[string]string) []named {
	out := make([]named, 0, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		out = append(out, named{name, b.text(path+"."+name, texts[name], &b.request)})
	}
	return out
}

// headers compiles headers.
func (b *builder) headers(path string, texts map[string]string) []named {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		b.headerName(path+"."+name, name)
	}
	out := b.named(path, texts)
	for _, h := range out {
		b.headerTexts(path+"."+h.name, h.text)
	}
	return out
}
