package endpoint

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/jackfield/jackfield/store"
)

// group are the parameters of one name at one place: the first that has a value
// counts.
type group struct {
	in        store.Place
	name      string
	required  bool
	otherwise any // if none has a value
	sources   []source
}

// source gives a value.
type source struct {
	rank   int8
	from   store.Source
	key    string // what it is there, for messages
	expr   *expression
	text   *text
	hard   any
	format string
	region string
	words  *words
}

// what says where a value comes from, for messages.
func (s source) what() string {
	switch {
	case s.from == store.FromToken:
		return "from the token"
	case s.from == store.FromField:
		return "from the field " + s.key
	case s.from == store.FromBody:
		return "from the request's " + s.key
	case s.from != "":
		return "from " + string(s.from) + " " + s.key
	case s.text != nil:
		return "from " + s.key
	default:
		return "a constant"
	}
}

// The ranks of sources: what a client gives replaces nothing.
const (
	rankHard int8 = iota
	rankToken
	rankField
	rankCall
	rankContext
	rankBody
)

// value returns what the first source with a value gives, and whether it is a
// secret.
func (g group) value(s scope) (v any, secret bool, err error) {
	for _, src := range g.sources {
		switch {
		case src.expr != nil:
			v, err = src.expr.eval(s)
			secret = src.expr.secret
		case src.text != nil:
			v, err = src.text.value(s)
			secret = src.text.secret()
		default:
			v, secret = src.hard, false
		}
		if err != nil {
			return nil, false, err
		}
		if src.format != "" {
			v = formatNumber(src.format, v, src.region)
		}
		if present(v) {
			return src.words.translate(s, v), secret, nil
		}
	}
	return g.otherwise, false, nil
}

// missing says what is missing, for messages.
func (g group) missing() string {
	var from []string
	for _, s := range g.sources {
		from = append(from, s.what())
	}
	return fmt.Sprintf("%s %q (%s)", placeWord(g.in), g.name, strings.Join(from, ", or "))
}

func placeWord(in store.Place) string {
	switch in {
	case store.InQuery:
		return "query parameter"
	case store.InPath:
		return "part of the address"
	case store.InBody:
		return "value of the body"
	default:
		return "header"
	}
}

// own reports whether the endpoint itself says what stands there: a constant, a
// value of the template or the token.
func (g group) own() bool {
	return slices.ContainsFunc(g.sources, func(s source) bool { return s.rank <= rankToken })
}

// key is the same for parameters that exclude each other.
func groupKey(in store.Place, name string) string {
	switch in {
	case store.InHeader, store.InMD5:
		return "header " + http.CanonicalHeaderKey(name)
	default:
		return string(in) + " " + name
	}
}

// groups compiles the parameters of an endpoint, with those that the template has
// for all of them.
func (b *builder) groups(path string, e *store.Endpoint, t *Template) []group {
	most := len(e.Hard) + len(e.Parameters) + len(t.fields)
	out, at := make([]group, 0, most), make(map[string]int, most)
	add := func(in store.Place, name string, required bool, otherwise any, s source) {
		key := groupKey(in, name)
		i, seen := at[key]
		if !seen {
			i = len(out)
			at[key] = i
			out = append(out, group{in: in, name: name})
		}
		g := &out[i]
		if g.in != in {
			b.fault(path, "", "%s: the header %s is a %s and a %s parameter", path, name, g.in, in)
		}
		g.required = g.required || required
		if g.otherwise == nil {
			g.otherwise = otherwise
		}
		g.sources = append(g.sources, s)
	}
	for i, h := range e.Hard {
		b.place(fmt.Sprintf("%s.hard_params[%d]", path, i), h.In, h.Name, e)
		if v, ok := inHeader(h.In, h.Value); ok {
			b.headerValue(fmt.Sprintf("%s.hard_params[%d].value", path, i), v)
		}
		add(h.In, h.Name, false, nil, source{rank: rankHard, hard: h.Value})
	}
	for i, p := range e.Parameters {
		where := fmt.Sprintf("%s.parameters[%d]", path, i)
		b.place(where, p.In, p.Name, e)
		if v, ok := inHeader(p.In, p.Default); ok {
			b.headerValue(where+".default", v)
		}
		add(p.In, p.Name, p.Required || p.In == store.InPath, p.Default, b.source(where, p, e))
	}
	for _, g := range t.fields {
		if g.in == store.InPath && !strings.Contains(e.URL, "{"+g.name+"}") {
			continue
		}
		for _, s := range g.sources {
			add(g.in, g.name, g.required, g.otherwise, s)
		}
	}
	for i := range out {
		slices.SortStableFunc(out[i].sources, func(a, b source) int { return cmp.Compare(a.rank, b.rank) })
	}
	return slices.Clip(append([]group(nil), out...))
}

// templateGroups compiles what the template's parameters put into each request.
func (b *builder) templateGroups() []group {
	var out []group
	for i, p := range b.spec.Parameters {
		if p.In == "" {
			continue
		}
		path := fmt.Sprintf("parameters[%d]", i)
		name := cmp.Or(p.As, p.Name)
		if p.In == store.InHeader || p.In == store.InMD5 {
			b.headerName(path+".name", name)
		}
		if p.In == store.InHeader {
			b.headerValue(path+".default", p.Default)
		}
		e, bad := b.request.compile("fields." + p.Name)
		if bad != nil {
			e, bad = b.request.compile(fmt.Sprintf("fields[%q]", p.Name)) // a name with a dash
		}
		if bad != nil {
			b.expression(path+".name", 0, bad)
			continue
		}
		var otherwise any
		if p.Default != "" {
			otherwise = p.Default
		}
		out = append(out, group{
			in: p.In, name: name, required: p.Required, otherwise: otherwise,
			sources: []source{{rank: rankField, from: store.FromField, key: p.Name, expr: e}},
		})
	}
	return out
}

// source compiles where a parameter comes from.
func (b *builder) source(path string, p store.EndpointParameter, e *store.Endpoint) source {
	s := source{format: p.Format, region: b.spec.Region, words: b.words(path+".map", p.Map)}
	if p.Value != "" {
		x := b.text(path+".value", p.Value, &b.request)
		if p.In == store.InHeader {
			b.headerTexts(path+".value", x)
		}
		s.rank, s.text, s.key = rankHard, &x, p.Value
		return s
	}
	key := cmp.Or(p.Key, p.Name)
	s.from, s.key = p.From, key
	keyPath := path + ".key"
	if p.Key == "" {
		keyPath = path + ".name"
	}
	expr := &expression{source: string(p.From) + "." + key}
	switch p.From {
	case store.FromToken:
		s.rank = rankToken
		expr.path, expr.token, expr.secret, expr.source = []string{"token"}, true, true, "token"
		b.needsToken(path+".from", e)
	case store.FromField:
		s.rank = rankField
		expr.path = []string{"fields", key}
		if bad := b.request.field(expr, key, 0); bad != nil {
			b.expression(keyPath, 0, bad)
		}
	case store.FromCall:
		s.rank = rankCall
		expr = b.request.cache.at("call", key)
	case store.FromContext:
		s.rank = rankContext
		expr = b.request.cache.at("context", key)
	default:
		s.rank = rankBody
		expr = b.request.cache.at("body", key)
	}
	s.expr = expr
	return s
}

// needsToken refuses a token that nobody gets.
func (b *builder) needsToken(path string, e *store.Endpoint) {
	switch {
	case e.Type == store.EndpointAuth:
		b.fault(path, "", "%s: an Auth endpoint gets the token; it cannot need it", path)
	case !b.spec.Auth.HasToken():
		b.fault(path, "auth: {type: token, endpoint: NAME}, or one of OAuth", "%s: the template gets no token", path)
	}
}

// place checks where a parameter goes.
func (b *builder) place(path string, in store.Place, name string, e *store.Endpoint) {
	switch in {
	case store.InHeader, store.InMD5:
		b.headerName(path+".name", name)
	case store.InPath:
		if !strings.Contains(e.URL, "{"+name+"}") {
			b.fault(path+".name", "", "%s.name: the address has no {%s}", path, name)
		}
	case store.InBody:
		if e.Encoding == store.EncodeRaw {
			b.fault(path+".in", "encoding: json or form, or {{ }} in body", "%s.in: a raw body has no parameters", path)
		}
	}
}

// headerName refuses what is no name of a header, and what belongs to the
// transport.
func (b *builder) headerName(path, name string) {
	if !httpguts.ValidHeaderFieldName(name) {
		b.fault(path, "", "%s: %q cannot be the name of a header", path, name)
		return
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Accept-Encoding", "Expect":
		b.fault(path, "", "%s: the header %s belongs to the connection", path, http.CanonicalHeaderKey(name))
	}
}

// headerValue refuses what can be part of no header, wherever it would come from: a line
// break would begin another one.
func (b *builder) headerValue(path, literal string) {
	i := strings.IndexFunc(literal, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
	if i < 0 {
		return
	}
	b.faults = append(b.faults, Fault{
		Path: path, Offset: i, Help: "a value of several lines goes into the body",
		Message: fmt.Sprintf("%s: a header cannot have a line break or a control character", path),
	})
}

// headerTexts does so for the literal parts of a text.
func (b *builder) headerTexts(path string, x text) {
	for _, p := range x.parts {
		b.headerValue(path, p.literal)
	}
}

// inHeader reports whether a value goes into a header as it is.
func inHeader(in store.Place, v any) (string, bool) {
	if in != store.InHeader || v == nil {
		return "", false
	}
	return stringOf(v), true
}

// checkHeaders refuses a header that is said twice.
func (b *builder) checkHeaders(path string, c *call) {
	for _, h := range c.headers {
		for _, g := range c.groups {
			if groupKey(g.in, g.name) == groupKey(store.InHeader, h.name) {
				b.fault(path+".headers."+h.name, "", "%s.headers: a parameter says what %s is", path, h.name)
			}
		}
	}
}

// checkPlaceholders refuses an address with a part that no parameter fills.
func (b *builder) checkPlaceholders(path string, c *call) {
	for _, name := range c.url.placeholders() {
		has := slices.ContainsFunc(c.groups, func(g group) bool { return g.in == store.InPath && g.name == name })
		if !has {
			b.fault(path+".url", "a parameter {name: "+name+", in: path, ...}", "%s.url: no parameter fills {%s}", path, name)
		}
	}
}
