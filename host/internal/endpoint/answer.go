package endpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/store"
)

// answer is how the answer of an endpoint is read.
type answer struct {
	kind                          string
	token, expiresIn, expiresAt   *reader
	list, reason, fields, verdict *reader
	shape                         store.ItemShape
	item, extra                   []reading
	tokenPath                     string
}

// reading is a value of an item, by name.
type reading struct {
	name string
	*reader
	words *words
}

// reader takes a value out of an answer: by path, or by an expression.
type reader struct {
	path []string
	expr *expression
}

// response compiles how an answer is read.
func (b *builder) response(path string, e *store.Endpoint) answer {
	r := e.Response
	a := answer{
		kind: r.Type, shape: r.Shape, tokenPath: r.Token,
		token: b.reader(path+".token", r.Token), expiresIn: b.reader(path+".expires_in", r.ExpiresIn), expiresAt: b.reader(path+".expires_at", r.ExpiresAt),
		list: b.reader(path+".list", r.List), reason: b.reader(path+".error", r.Error), fields: b.reader(path+".fields", r.Fields),
	}
	if r.OK != "" {
		d := b.answer
		if x := b.text(path+".ok", r.OK, &d); x.only() != nil {
			a.verdict = &reader{expr: x.only()}
		} else {
			b.fault(path+".ok", `such as "{{ response.ok == true }}"`, "%s.ok: one expression in {{ }} is needed", path)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Item)) {
		if !slices.Contains(r.Shape.Keys(), name) {
			b.fault(path+".item."+name, nearest.Advice(name, r.Shape.Keys()), "%s.item: a %s has no %q; it may stand in extra", path, r.Shape, name)
			continue
		}
		a.item = append(a.item, reading{name, b.reader(path+".item."+name, r.Item[name]), b.words(path+".maps."+name, r.Maps[name])})
	}
	a.item = slices.Clip(a.item)
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		a.extra = append(a.extra, reading{name, b.reader(path+".extra."+name, r.Extra[name]), b.words(path+".maps."+name, r.Maps[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Maps)) {
		if r.Item[name] == "" && r.Extra[name] == "" {
			b.fault(path+".maps."+name, "a key of item or extra", "%s.maps: the answer has no %q", path, name)
		}
	}
	switch {
	case r.Shape != "" && r.Item["id"] == "":
		b.fault(path, "item: {id: id}", "%s: a %s needs item.id: where its id is", path, r.Shape)
	case r.Shape == "" && len(r.Item)+len(r.Extra) > 0:
		b.fault(path, "one of "+strings.Join(store.ItemShapes(), ", "), "%s needs the key \"shape\"", path)
	case r.Shape != "" && (r.Type == "text" || r.Type == "none"):
		b.fault(path+".type", "", "%s.type: only JSON is made into a %s", path, r.Shape)
	}
	return a
}

// reader compiles a path or an expression; nil if there is none.
func (b *builder) reader(path, source string) *reader {
	if source == "" {
		return nil
	}
	if !strings.Contains(source, "{{") {
		if strings.ContainsAny(source, " {}()\"'") {
			b.fault(path, "a.b[0].c, or an expression in {{ }}", "%s: %q is no path", path, source)
			return nil
		}
		return b.answer.cache.reader(strings.TrimPrefix(source, "$."))
	}
	d := b.answer
	x := b.text(path, source, &d)
	if x.only() == nil {
		b.fault(path, "", "%s: a path or one expression in {{ }} is needed", path)
		return nil
	}
	return &reader{expr: x.only()}
}

// read returns the value, nil if there is none.
func (r *reader) read(from any, s scope) (any, error) {
	switch {
	case r == nil:
		return nil, nil
	case r.expr != nil:
		return r.expr.eval(s)
	default:
		return lookup(from, r.path), nil
	}
}

// Item is one thing that the remote system has, in the words of its shape.
type Item struct {
	Shape  store.ItemShape   `json:"shape"`
	Values map[string]string `json:"values"`          // by the shape's keys; what the answer does not have is left out
	Extra  map[string]any    `json:"extra,omitempty"` // what the template adds
}

// ID returns the remote system's name for it.
func (i Item) ID() string { return i.Values["id"] }

// maxItems bounds the items of an answer.
const maxItems = 1_000

// items makes an answer into items.
func (a answer) items(body any, s scope) ([]Item, error) {
	if a.shape == "" {
		return nil, nil
	}
	list := []any{body}
	if a.list != nil {
		v, err := a.list.read(body, s)
		if err != nil {
			return nil, err
		}
		many, ok := v.([]any)
		if !ok && v != nil {
			return nil, &Error{Class: classRemote, Code: codeBadAnswer, Message: fmt.Sprintf("the answer has no list at %s", a.list)}
		}
		list = many
	}
	if len(list) > maxItems {
		list = list[:maxItems]
	}
	out := make([]Item, 0, len(list))
	for _, from := range list {
		item, err := a.oneItem(from, s)
		if err != nil {
			return nil, err
		}
		if item.ID() == "" {
			if a.list == nil && a.shape == store.ShapeContact {
				continue // nobody was found
			}
			return nil, &Error{Class: classRemote, Code: codeBadAnswer, Message: fmt.Sprintf("a %s in the answer has no id at %s", a.shape, a.idAt())}
		}
		out = append(out, item)
	}
	return out, nil
}

// bare reports whether an answer without items lacks the list, or is something that is
// no item: it does not say that there is none.
func (a answer) bare(body any, s scope) bool {
	if a.shape == "" {
		return false
	}
	if a.list == nil {
		m, ok := body.(map[string]any)
		return body != nil && (!ok || len(m) > 0)
	}
	v, err := a.list.read(body, s)
	return err != nil || v == nil
}

// idAt is where the id of an item is, for messages.
func (a answer) idAt() *reader {
	i := slices.IndexFunc(a.item, func(r reading) bool { return r.name == "id" })
	if i < 0 {
		return nil
	}
	return a.item[i].reader
}

func (a answer) oneItem(from any, s scope) (Item, error) {
	item := Item{Shape: a.shape, Values: make(map[string]string, len(a.item))}
	s = maps.Clone(s)
	s["item"] = from
	for _, r := range a.item {
		v, err := r.read(from, s)
		if err != nil {
			return Item{}, err
		}
		if v != nil {
			item.Values[r.name] = stringOf(r.words.translate(s, v))
		}
	}
	for _, r := range a.extra {
		v, err := r.read(from, s)
		if err != nil {
			return Item{}, err
		}
		if v == nil {
			continue
		}
		if item.Extra == nil {
			item.Extra = map[string]any{}
		}
		item.Extra[r.name] = r.words.translate(s, v)
	}
	return item, nil
}

// String returns the path or expression.
func (r *reader) String() string {
	if r == nil {
		return ""
	}
	if r.expr != nil {
		return "{{ " + r.expr.source + " }}"
	}
	return strings.Join(r.path, ".")
}

// expiry returns when a token ends; the zero time if the answer does not say.
func (a answer) expiry(body any, s scope, now time.Time) (time.Time, error) {
	v, err := a.expiresIn.read(body, s)
	if err != nil {
		return time.Time{}, err
	}
	if seconds, ok := numberOf(v); ok && seconds > 0 {
		return now.Add(time.Duration(min(seconds, int64(maxLife/time.Second))) * time.Second), nil
	}
	v, err = a.expiresAt.read(body, s)
	if err != nil || v == nil {
		return time.Time{}, err
	}
	if epoch, ok := numberOf(v); ok {
		if epoch > 1e11 { // milliseconds
			epoch /= 1000
		}
		return time.Unix(epoch, 0), nil
	}
	at, err := time.Parse(time.RFC3339, stringOf(v))
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // a time in no form that is known is as good as none
	}
	return at, nil
}

// maxLife is the longest that a token is believed to live.
const maxLife = 10 * 365 * 24 * time.Hour

// numberOf returns a whole number, also from a text.
func numberOf(v any) (int64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return int64(f), err == nil
	case float64:
		return int64(v), true
	case int:
		return int64(v), true
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// fieldErrors returns what is wrong with single fields: a mapping of texts or lists
// of texts, or a list of {field, message}.
func (a answer) fieldErrors(body any, s scope) map[string]string {
	v, err := a.fields.read(body, s)
	if err != nil || v == nil {
		return nil
	}
	out := map[string]string{}
	add := func(name string, v any) {
		if name != "" && len(out) < 64 {
			out[short(name, 64)] = short(sayAll(v), 512)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			add(name, v[name])
		}
	case []any:
		for _, item := range v {
			m, _ := item.(map[string]any)
			name := stringOf(firstOf(m, "field", "name", "path", "param", "property"))
			add(name, firstOf(m, "message", "error", "detail", "reason", "code"))
		}
	}
	return out
}

// clientFields names the fields as who filled them in knows them: by the keys of the
// request that the values came from.
func (c *call) clientFields(errs map[string]string) map[string]string {
	for _, g := range c.groups {
		i := slices.IndexFunc(g.sources, func(s source) bool { return s.from == store.FromBody })
		if g.in != store.InBody || i < 0 {
			continue
		}
		key := g.sources[i].key
		for _, name := range []string{g.name, g.name[strings.LastIndexByte(g.name, '.')+1:]} {
			if text, ok := errs[name]; ok && errs[key] == "" {
				delete(errs, name)
				errs[key] = text
			}
		}
	}
	return errs
}

func firstOf(m map[string]any, names ...string) any {
	for _, name := range names {
		if v := m[name]; v != nil {
			return v
		}
	}
	return nil
}

// sayAll returns a text, or all texts of a list.
func sayAll(v any) string {
	list, ok := v.([]any)
	if !ok {
		return stringOf(v)
	}
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = stringOf(w)
	}
	return strings.Join(words, "; ")
}

// short cuts a text.
func short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
