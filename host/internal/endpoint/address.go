package endpoint

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxURL bounds an address.
const maxURL = 8 << 10

// address is a URL with expressions and {placeholders}: what it is made of, each
// escaped for its place.
type address struct {
	scheme string // empty: relative
	host   []chunk
	path   []chunk
	query  []chunk
}

// chunk is a piece of an address: a literal, a {placeholder}, or an expression.
type chunk struct {
	literal string
	name    string
	expr    *expression
}

// address compiles a URL.
func (b *builder) address(path, source string) address {
	var a address
	if strings.TrimSpace(source) != source || source == "" {
		b.fault(path, "", "%s: an address is needed, without spaces around it", path)
		return a
	}
	x := b.text(path, source, &b.request)
	chunks := chunksOf(x)
	if scheme, rest, ok := strings.Cut(leading(chunks), "://"); ok {
		if scheme != "https" && scheme != "http" {
			b.fault(path, "https://", "%s: %q is not a scheme that can be called", path, scheme)
			return a
		}
		a.scheme = scheme
		chunks[0].literal = rest
		a.host, chunks = cut(chunks, "/?")
		if !hasContent(a.host) {
			b.fault(path, "", "%s: the address has no host", path)
		}
	}
	a.path, a.query = cutQuery(chunks)
	for _, c := range slices.Concat(a.host, a.path, a.query) {
		if c.name != "" && slices.Contains(a.host, c) {
			b.fault(path, "use {{ fields."+c.name+" }}", "%s: a {placeholder} cannot stand in the host", path)
		}
		b.literal(path, c.literal)
	}
	for _, c := range a.host {
		if strings.ContainsAny(c.literal, "@\\#") {
			b.fault(path, "", "%s: a host is needed, without user and password", path)
		}
	}
	return a
}

// literal refuses what can be no part of an address.
func (b *builder) literal(path, s string) {
	for _, r := range s {
		switch {
		case r <= ' ' || r == 0x7f:
			b.fault(path, "spaces are %20", "%s: an address has no spaces and control characters", path)
			return
		case r == '#':
			b.fault(path, "", "%s: what follows # is never sent", path)
			return
		case r == '{' || r == '}' || r == '\\':
			b.fault(path, "{name} for a parameter, {{ }} for an expression", "%s: %q has no meaning here", path, string(r))
			return
		}
	}
}

// checkBase refuses what no address can follow.
func (b *builder) checkBase(a address) {
	const path = "request.base_url"
	switch {
	case a.scheme == "" && hasContent(a.path):
		b.fault(path, "such as https://{{ host }}/api/v1", "%s: it needs a scheme and a host", path)
	case len(a.query) > 0:
		b.fault(path, "request: {query: {...}}", "%s: parameters do not belong here", path)
	case len(a.placeholders()) > 0:
		b.fault(path, "use {{ }}", "%s: a {placeholder} belongs to endpoints", path)
	}
}

// chunksOf takes a text apart at its {placeholders}.
func chunksOf(x text) []chunk {
	var out []chunk
	for _, p := range x.parts {
		if p.expr != nil {
			out = append(out, chunk{expr: p.expr})
			continue
		}
		s := p.literal
		for {
			before, name, after := placeholder(s)
			if name == "" {
				break
			}
			out = append(out, chunk{literal: before}, chunk{name: name})
			s = after
		}
		out = append(out, chunk{literal: s})
	}
	return out
}

// placeholder finds the first {name} in s; the name is empty if there is none.
func placeholder(s string) (before, name, after string) {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], '{')
		if i < 0 {
			return s, "", ""
		}
		begin := at + i + 1
		length := strings.IndexFunc(s[begin:], func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
		})
		if length > 0 && s[begin+length] == '}' {
			return s[:begin-1], s[begin : begin+length], s[begin+length+1:]
		}
		at = begin
	}
}

func leading(chunks []chunk) string {
	if len(chunks) == 0 {
		return ""
	}
	return chunks[0].literal
}

func hasContent(chunks []chunk) bool {
	return slices.ContainsFunc(chunks, func(c chunk) bool { return c != chunk{} })
}

// cut divides chunks before the first literal character that is one of those.
func cut(chunks []chunk, chars string) (before, rest []chunk) {
	for i, c := range chunks {
		if at := strings.IndexAny(c.literal, chars); at >= 0 {
			before = append(before, chunk{literal: c.literal[:at]})
			return before, append([]chunk{{literal: c.literal[at:]}}, chunks[i+1:]...)
		}
		before = append(before, c)
	}
	return before, nil
}

// cutQuery divides the path from the query; the ? is in neither.
func cutQuery(chunks []chunk) (path, query []chunk) {
	path, query = cut(chunks, "?")
	if len(query) > 0 {
		query[0].literal = query[0].literal[1:]
	}
	return path, query
}

// placeholders returns the names in braces.
func (a address) placeholders() []string {
	var out []string
	for _, c := range slices.Concat(a.path, a.query) {
		if c.name != "" && !slices.Contains(out, c.name) {
			out = append(out, c.name)
		}
	}
	return out
}

// filler gives the values of placeholders and expressions.
type filler struct {
	scope scope
	names map[string]filled // placeholders
}

type filled struct {
	value  string
	secret bool
}

// fill writes chunks with their values escaped.
func (f filler) fill(chunks []chunk, escape func(string) (string, error)) (out twin, err error) {
	for _, c := range chunks {
		var v, what string
		var secret bool
		switch {
		case c.expr != nil:
			what = "{{ " + c.expr.source + " }}"
			given, err := c.expr.eval(f.scope)
			if err != nil {
				return twin{}, err
			}
			v, secret = stringOf(given), c.expr.secret
		case c.name != "":
			what = "{" + c.name + "}"
			v, secret = f.names[c.name].value, f.names[c.name].secret
		default:
			out.add(c.literal, c.literal)
			continue
		}
		if v == "" {
			return twin{}, &Error{Class: classConfig, Code: codeMissing, Outcome: OutcomeNotSent, Missing: []string{what}, Message: "the address needs " + what}
		}
		real, err := escape(v)
		if err != nil {
			return twin{}, configError(codeBadValue, "the address cannot have what %s is: %v", what, err)
		}
		if secret {
			out.add(real, masked)
			continue
		}
		out.add(real, real)
	}
	return out, nil
}

func escapePath(s string) (string, error)  { return url.PathEscape(s), nil }
func escapeQuery(s string) (string, error) { return url.QueryEscape(s), nil }

// hostPart lets through what can be in the name of a host and nothing that ends
// one.
func hostPart(s string) (string, error) {
	for _, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == ':' || r == '[' || r == ']'
		if !ok {
			return "", fmt.Errorf("it is no part of a host")
		}
	}
	return s, nil
}

// target is where a request goes.
type target struct {
	scheme, host string
	path, query  twin
}

// locate returns where a request of the endpoint goes.
func (c *call) locate(t *Template, f filler, host string) (target, error) {
	at := target{scheme: "https", host: host}
	var base twin
	var err error
	from := c.url
	if from.scheme == "" {
		from = t.base
		if base, err = f.fill(t.base.path, escapePath); err != nil {
			return at, err
		}
		base.real, base.shown = strings.TrimSuffix(base.real, "/"), strings.TrimSuffix(base.shown, "/")
	}
	if from.scheme != "" {
		name, err := f.fill(from.host, hostPart)
		if err != nil {
			return at, err
		}
		at.scheme, at.host = from.scheme, name.real
	}
	if at.host == "" {
		return at, configError(codeNoHost, "the integration has no host, and the address of the endpoint has none")
	}
	if at.path, err = f.fill(c.url.path, escapePath); err != nil {
		return at, err
	}
	if !strings.HasPrefix(at.path.real, "/") && (at.path.real != "" || base.real == "") {
		at.path = twin{"/" + at.path.real, "/" + at.path.shown}
	}
	at.path = twin{base.real + at.path.real, base.shown + at.path.shown}
	at.query, err = f.fill(c.url.query, escapeQuery)
	return at, err
}

// url returns the address, and as it may be shown. It is refused if it does not
// mean what it was made of.
func (a target) url() (real *url.URL, shown string, err error) {
	text := a.scheme + "://" + a.host + a.path.real
	shown = a.scheme + "://" + a.host + a.path.shown
	if a.query.real != "" {
		text += "?" + a.query.real
		shown += "?" + a.query.shown
	}
	if len(text) > maxURL {
		return nil, "", configError(codeTooLarge, "the address has %d bytes; %d are allowed", len(text), maxURL)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host != a.host || u.User != nil || u.Fragment != "" || u.Hostname() == "" || u.Opaque != "" {
		return nil, "", configError(codeBadURL, "%s is not an address that can be called", shown)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, "", configError(codeBadURL, "%s leads out of its place: a part of it is %q", shown, segment)
		}
	}
	return u, shown, nil
}

// HostFault returns what is wrong with the host of an integration: a name or an
// address with or without a port, and nothing else.
func HostFault(host string) string {
	if i := strings.Index(host, "://"); i >= 0 {
		return "a host is needed, without " + host[:i+3]
	}
	if strings.ContainsAny(host, "/?#@ \\") {
		return "a host is needed, such as crm.example.com"
	}
	u, err := url.Parse("https://" + host + "/")
	if err != nil || u.Host != host || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return "a host is needed, such as crm.example.com"
	}
	if _, err := hostPart(strings.Trim(u.Hostname(), "[]")); err != nil {
		return "a host has letters, digits, dots and dashes"
	}
	return ""
}
