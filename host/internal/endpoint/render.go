package endpoint

import (
	"crypto/md5" //nolint:gosec // old systems ask for it; nothing here relies on it
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/store"
)

// maxHeader bounds the value of a header.
const maxHeader = 8 << 10

// Input is what a request is made from, besides the template.
type Input struct {
	Host       string // of the integration, without a scheme
	Callcenter string
	Fields     map[string]string
	Call       map[string]any
	Context    map[string]any // what earlier endpoints answered, by object name
	Body       map[string]any // what the client gives
	Item       any            // of a list that is gone through
}

// Request is what goes to the remote system.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	shown  Shown
	notes  *warnings // what was odd about its values
}

// Shown is a request as it may be shown: secrets are ***.
type Shown struct {
	Method string            `json:"method"`
	URL    string            `json:"url"`
	Header map[string]string `json:"headers"`
	Body   string            `json:"body,omitempty"`
}

// Shown returns the request as it may be shown.
func (r Request) Shown() Shown { return r.shown }

// placed is a parameter with its value.
type placed struct {
	in     store.Place
	name   string
	value  any
	secret bool
}

// draft is a request while it is made.
type draft struct {
	scope  scope
	header http.Header
	shown  map[string]string
	query  []pair
}

// pair is a query parameter.
type pair struct {
	name, value string
	secret      bool
}

// Render makes the request of an endpoint. token is used where the endpoint needs
// one. It returns an *Error that names everything that is missing, and
// store.ErrNotFound for an endpoint that the template does not have.
func (t *Template) Render(name string, in Input, token string) (Request, error) {
	c := t.endpoints[name]
	if c == nil {
		return Request{}, t.unknown(name)
	}
	return t.render(c, in, token)
}

func (t *Template) unknown(name string) error {
	known := t.spec.EndpointNames()
	help := nearest.Advice(name, known)
	if len(known) > 0 && !strings.HasPrefix(help, "known") {
		help = strings.TrimSpace(help + " known are " + strings.Join(known, ", "))
	}
	return store.Hint(fmt.Errorf("endpoint %q of template %s: %w", name, t.spec.Name, store.ErrNotFound), help)
}

func (t *Template) scope(in Input, token string) scope {
	fields := make(map[string]any, len(t.spec.Parameters))
	for _, p := range t.spec.Parameters {
		if v, ok := in.Fields[p.Name]; ok && v != "" {
			fields[p.Name] = v
		} else if p.Default != "" {
			fields[p.Name] = p.Default
		}
	}
	s := scope{
		"fields": fields, "call": orEmpty(in.Call), "context": orEmpty(in.Context), "body": orEmpty(in.Body),
		"host": in.Host, "callcenter": in.Callcenter, "item": in.Item, "token": nil, warningsKey: &warnings{}, mapsKey: t.spec.Info.Maps,
	}
	if token != "" {
		s["token"] = token
	}
	return s
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func (t *Template) render(c *call, in Input, token string) (Request, error) {
	in.Body = orEmpty(in.Body)
	d := &draft{scope: t.scope(in, token), header: http.Header{}, shown: map[string]string{}}
	values, err := resolve(c, d.scope)
	if err != nil {
		return Request{}, err
	}
	for _, set := range [][]named{t.headers, c.headers} {
		for _, h := range set {
			if err := d.headerText(h); err != nil {
				return Request{}, err
			}
		}
	}
	names := map[string]filled{}
	for _, v := range values {
		switch v.in {
		case store.InPath:
			names[v.name] = filled{stringOf(v.value), v.secret}
		case store.InQuery:
			d.addQuery(v)
		case store.InHeader, store.InMD5:
			if err := d.parameter(v); err != nil {
				return Request{}, err
			}
		}
	}
	if err := d.defaultQuery(t.query); err != nil {
		return Request{}, err
	}
	if err := c.auth.apply(d, c.groups); err != nil {
		return Request{}, err
	}
	body, err := c.content(d.scope, values, in)
	if err != nil {
		return Request{}, err
	}
	at, err := c.locate(t, filler{d.scope, names}, in.Host)
	if err != nil {
		return Request{}, err
	}
	r, err := d.request(c, at, body)
	r.notes, _ = d.scope[warningsKey].(*warnings)
	return r, err
}

// resolve returns the values of the parameters, or an error that names all that are
// missing.
func resolve(c *call, s scope) ([]placed, error) {
	var out []placed
	var missing []string
	for _, g := range c.groups {
		v, secret, err := g.value(s)
		if err != nil {
			return nil, err
		}
		if !present(v) {
			if g.required {
				missing = append(missing, g.missing())
			}
			continue
		}
		out = append(out, placed{g.in, g.name, v, secret})
	}
	if len(missing) > 0 {
		return nil, &Error{
			Class: classConfig, Code: codeMissing, Outcome: OutcomeNotSent, Missing: missing,
			Message: fmt.Sprintf("endpoint %s needs the %s", c.spec.Name, strings.Join(missing, " and the ")),
		}
	}
	return out, nil
}

// headerText sets a header from its text; one whose expression gives nothing is
// left out.
func (d *draft) headerText(h named) error {
	v, missing, err := h.text.render(d.scope, asIs)
	if err != nil || missing != "" {
		return err
	}
	return d.setHeader(h.name, v.real, v.shown)
}

// parameter sets a header from a parameter.
func (d *draft) parameter(p placed) error {
	v := stringOf(p.value)
	if p.in == store.InMD5 {
		sum := md5.Sum([]byte(v)) //nolint:gosec // as above
		v = hex.EncodeToString(sum[:])
	}
	shown := v
	if p.secret {
		shown = masked
	}
	return d.setHeader(p.name, v, shown)
}

// setHeader sets a header; each is there once.
func (d *draft) setHeader(name, v, shown string) error {
	if !httpguts.ValidHeaderFieldValue(v) {
		return configError(codeBadValue, "the header %s cannot have a line break or a control character", name)
	}
	if len(v) > maxHeader {
		return configError(codeTooLarge, "the header %s has %d bytes; %d are allowed", name, len(v), maxHeader)
	}
	d.header.Set(name, v)
	d.shown[http.CanonicalHeaderKey(name)] = shown
	return nil
}

// addQuery adds a query parameter, a list as several.
func (d *draft) addQuery(p placed) {
	list, ok := p.value.([]any)
	if !ok {
		list = []any{p.value}
	}
	for _, v := range list {
		d.query = append(d.query, pair{p.name, stringOf(v), p.secret})
	}
}

// replaceQuery sets a query parameter that is a secret.
func (d *draft) replaceQuery(name, v string) {
	d.query = slices.DeleteFunc(d.query, func(p pair) bool { return p.name == name })
	d.query = append(d.query, pair{name, v, true})
}

// defaultQuery adds what the endpoint does not say.
func (d *draft) defaultQuery(defaults []named) error {
	for _, q := range defaults {
		if slices.ContainsFunc(d.query, func(p pair) bool { return p.name == q.name }) {
			continue
		}
		v, missing, err := q.text.render(d.scope, asIs)
		if err != nil {
			return err
		}
		if missing == "" {
			d.query = append(d.query, pair{q.name, v.real, q.text.secret()})
		}
	}
	return nil
}

// request puts the parts together.
func (d *draft) request(c *call, at target, body content) (Request, error) {
	for _, q := range d.query {
		pre := ""
		if at.query.real != "" {
			pre = "&"
		}
		name, shown := pre+url.QueryEscape(q.name)+"=", url.QueryEscape(q.value)
		if q.secret {
			shown = masked
		}
		at.query.add(name+url.QueryEscape(q.value), name+shown)
	}
	u, shown, err := at.url()
	if err != nil {
		return Request{}, err
	}
	if len(body.body) > maxBody {
		return Request{}, configError(codeTooLarge, "the body of endpoint %s has %d bytes; %d are allowed", c.spec.Name, len(body.body), maxBody)
	}
	if body.kind != "" && d.header.Get("Content-Type") == "" {
		d.header.Set("Content-Type", body.kind)
		d.shown["Content-Type"] = body.kind
	}
	return Request{
		Method: c.spec.Method, URL: u.String(), Header: d.header, Body: body.body,
		shown: Shown{Method: c.spec.Method, URL: shown, Header: d.shown, Body: body.show},
	}, nil
}
