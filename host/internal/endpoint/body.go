package endpoint

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/store"
)

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// node is a tree of values whose texts may have expressions.
type node struct {
	text   *text
	object map[string]*node
	list   []*node
	scalar any // nil, a bool or a number
	kind   byte
}

const (
	nodeText   = 't'
	nodeObject = 'o'
	nodeList   = 'l'
	nodeScalar = 's'
)

// body compiles the body of an endpoint.
func (b *builder) body(path string, e *store.Endpoint) *node {
	var tree any
	dec := json.NewDecoder(bytes.NewReader(e.Body))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		b.fault(path, "", "%s: it cannot be read", path)
		return nil
	}
	n := b.tree(path, tree, &b.request)
	switch _, isText := tree.(string); {
	case e.Encoding == store.EncodeRaw && !isText:
		b.fault(path, "", "%s: a raw body is a text", path)
	case e.Encoding != store.EncodeRaw && n.kind != nodeObject && e.Encoding == store.EncodeForm:
		b.fault(path, "", "%s: a form is a mapping", path)
	}
	return n
}

// tree compiles the texts of a tree.
func (b *builder) tree(path string, v any, d *dialect) *node {
	switch v := v.(type) {
	case string:
		x := b.text(path, v, d)
		return &node{kind: nodeText, text: &x}
	case map[string]any:
		n := &node{kind: nodeObject, object: make(map[string]*node, len(v))}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			n.object[name] = b.tree(path+"."+name, v[name], d)
		}
		return n
	case []any:
		n := &node{kind: nodeList}
		for i, sub := range v {
			n.list = append(n.list, b.tree(fmt.Sprintf("%s[%d]", path, i), sub, d))
		}
		return n
	default:
		return &node{kind: nodeScalar, scalar: v}
	}
}

// value returns the tree with its values, and as it may be shown. What an
// expression gives nothing for is left out of its mapping.
func (n *node) value(s scope) (real, shown any, err error) {
	switch n.kind {
	case nodeObject:
		r, sh := make(map[string]any, len(n.object)), make(map[string]any, len(n.object))
		for name, sub := range n.object {
			v, vs, err := sub.value(s)
			if err != nil {
				return nil, nil, err
			}
			if v == nil && sub.kind == nodeText {
				continue
			}
			r[name], sh[name] = v, vs
		}
		return r, sh, nil
	case nodeList:
		r, sh := make([]any, len(n.list)), make([]any, len(n.list))
		for i, sub := range n.list {
			if r[i], sh[i], err = sub.value(s); err != nil {
				return nil, nil, err
			}
		}
		return r, sh, nil
	case nodeText:
		return n.text.both(s)
	default:
		return n.scalar, n.scalar, nil
	}
}

// both returns what a text is, and as it may be shown: the value of its only
// expression, or a string in which what is nothing leaves a gap.
func (x text) both(s scope) (real, shown any, err error) {
	if e := x.only(); e != nil {
		v, err := e.eval(s)
		if err != nil || v == nil {
			return nil, nil, err
		}
		if e.secret {
			return v, masked, nil
		}
		return v, v, nil
	}
	t, _, err := x.render(s, asIs)
	return t.real, t.shown, err
}

// content is a body that is written as it is sent, and as it may be shown.
type content struct {
	kind string // the content type; empty: no body
	body []byte
	show string
}

// trees are the body while it is made: what is sent, and what may be shown.
type trees struct{ real, shown map[string]any }

// set puts a value at a dotted path, and makes the mappings on the way.
func (t trees) set(path string, v any, secret, flat bool) {
	names := []string{path}
	if !flat {
		names = strings.Split(path, ".")
	}
	put(t.real, names, v)
	if secret {
		v = masked
	}
	put(t.shown, names, v)
}

func put(at map[string]any, names []string, v any) {
	for _, name := range names[:len(names)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[names[len(names)-1]] = v
}

// copyTree copies the mappings of a tree, so that two can differ.
func copyTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, sub := range v {
			out[name] = copyTree(sub)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copyTree(v[i])
		}
		return out
	}
	return v
}

// merge lays one mapping over another one.
func merge(over, under map[string]any) {
	for name, v := range over {
		a, ok := v.(map[string]any)
		b, both := under[name].(map[string]any)
		if ok && both {
			merge(a, b)
			continue
		}
		under[name] = v
	}
}

// content makes the body of a request.
func (c *call) content(s scope, values []placed, in Input) (content, error) {
	if c.spec.Encoding == store.EncodeRaw {
		return c.raw(s)
	}
	if !c.hasBody() && !c.forward {
		return content{}, nil
	}
	t := trees{map[string]any{}, map[string]any{}}
	if c.forward {
		merge(copyTree(in.Body).(map[string]any), t.real)
		merge(copyTree(in.Body).(map[string]any), t.shown)
	}
	if c.body != nil {
		real, shown, err := c.body.value(s)
		if err != nil {
			return content{}, err
		}
		object, ok := real.(map[string]any)
		if !ok { // a list or a text is the whole body
			return c.encode(real, shown)
		}
		over, _ := shown.(map[string]any)
		merge(object, t.real)
		merge(over, t.shown)
	}
	for _, v := range values {
		if v.in == store.InBody {
			t.set(v.name, v.value, v.secret, c.spec.Encoding == store.EncodeForm)
		}
	}
	return c.encode(t.real, t.shown)
}

func (c *call) encode(real, shown any) (content, error) {
	if c.spec.Encoding == store.EncodeForm {
		return form(real, shown)
	}
	body, err := json.Marshal(real)
	if err != nil {
		return content{}, configError(codeBadValue, "the body of endpoint %s cannot be written as JSON: %v", c.spec.Name, err)
	}
	show, err := json.Marshal(shown)
	if err != nil {
		return content{}, configError(codeBadValue, "the body of endpoint %s cannot be written as JSON: %v", c.spec.Name, err)
	}
	kind := "application/json"
	if c.spec.ContentType != "" {
		kind = c.spec.ContentType
	}
	return content{kind, body, string(show)}, nil
}

// form writes a mapping as a form.
func form(real, shown any) (content, error) {
	r, _ := real.(map[string]any)
	sh, _ := shown.(map[string]any)
	body, err := formText(r)
	if err != nil {
		return content{}, err
	}
	show, err := formText(sh)
	return content{"application/x-www-form-urlencoded", []byte(body), strings.ReplaceAll(show, url.QueryEscape(masked), masked)}, err
}

func formText(m map[string]any) (string, error) {
	values := url.Values{}
	for name, v := range m {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, item := range list {
			if _, nested := item.(map[string]any); nested {
				return "", configError(codeBadValue, "a form is flat: %s is a mapping", name)
			}
			values.Add(name, stringOf(item))
		}
	}
	return values.Encode(), nil
}

// raw writes a text with its values escaped for what the content type says.
func (c *call) raw(s scope) (content, error) {
	if c.body == nil || c.body.text == nil {
		return content{}, nil
	}
	kind := c.spec.ContentType
	if kind == "" {
		kind = "text/plain; charset=utf-8"
	}
	escape := asIs
	switch media, _, _ := strings.Cut(kind, ";"); {
	case strings.HasSuffix(media, "json"):
		escape = escapeJSON
	case strings.HasSuffix(media, "xml"):
		escape = escapeXML
	case media == "application/x-www-form-urlencoded":
		escape = escapeQuery
	}
	t, _, err := c.body.text.render(s, escape)
	return content{kind, []byte(t.real), t.shown}, err
}

// escapeJSON escapes a value for its place between quotes.
func escapeJSON(s string) (string, error) {
	q, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return string(q[1 : len(q)-1]), nil
}

func escapeXML(s string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}
