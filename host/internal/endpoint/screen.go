package endpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/sdk"
)

// screen is a compiled iframe: what an agent sees of a call.
type screen struct {
	title text
	parts []component
}

// HasScreen reports whether the template says what the screen of a call shows.
func (t *Template) HasScreen() bool { return t.screen != nil }

// component is one part of a screen.
type component struct {
	kind             sdk.ComponentType
	when             *Expression
	label, text, url text
	action           sdk.ScreenAction
	submit           text
	each             *Expression // of which list a list or a table is made; nil: static
	static           []cell
	columns          []text
	cells            []cell // of one entry, or of one row
	fields           []field
	values           []named
}

// cell is an entry of a list, or a column of a row.
type cell struct{ label, text, url text }

// field is a field of a form.
type field struct {
	sdk.ScreenField
	label, value, help text
	each               *Expression // of which list the options are made; nil: static
	option             cell        // its text is the value
	options            []cell
}

// tree is a part of an iframe as it was read, at its place.
type tree struct {
	b    *builder
	path string
	m    map[string]any
	d    *dialect
}

// screen compiles the iframe of a template; nil if there is none.
func (b *builder) screen() *screen {
	if len(b.spec.Iframe) == 0 {
		return nil
	}
	var m map[string]any
	if err := json.Unmarshal(b.spec.Iframe, &m); err != nil {
		b.fault("iframe", "", "iframe: not a mapping")
		return nil
	}
	t := tree{b, "iframe", m, &b.request}
	t.known("title", "components")
	s := &screen{title: t.text("title")}
	list := t.list("components")
	if len(list) > sdk.MaxComponents {
		b.fault("iframe.components", "", "iframe.components: %d are more than %d", len(list), sdk.MaxComponents)
		return s
	}
	for _, sub := range list {
		s.parts = append(s.parts, sub.component())
	}
	return s
}

func componentKeys(kind sdk.ComponentType) []string {
	more := map[sdk.ComponentType][]string{
		sdk.ComponentText: {"text"}, sdk.ComponentLink: {"text", "url"}, sdk.ComponentPhone: {"text"}, sdk.ComponentEmail: {"text"},
		sdk.ComponentList: {"items", "item"}, sdk.ComponentTable: {"rows", "columns"},
		sdk.ComponentForm: {"action", "submit", "fields"}, sdk.ComponentButton: {"action", "values"},
	}
	return append([]string{"type", "label", "when"}, more[kind]...)
}

func (t tree) component() component {
	kind, _ := t.m["type"].(string)
	c := component{kind: sdk.ComponentType(kind)}
	if !slices.Contains(sdk.ComponentTypes(), kind) {
		t.b.fault(t.path+".type", nearest.Advice(kind, sdk.ComponentTypes()), "%s.type: %q is none of %s", t.path, kind, strings.Join(sdk.ComponentTypes(), ", "))
		return c
	}
	t.known(componentKeys(c.kind)...)
	c.label, c.text, c.url, c.submit = t.text("label"), t.text("text"), t.text("url"), t.text("submit")
	c.when = t.condition("when")
	switch c.kind {
	case sdk.ComponentText, sdk.ComponentPhone, sdk.ComponentEmail:
		t.need("text")
	case sdk.ComponentLink:
		t.need("url")
	case sdk.ComponentList:
		t.need("items")
		if c.static, c.each = t.cells("items"); c.each != nil {
			t.need("item")
			if one, ok := t.sub("item"); ok {
				c.cells = []cell{one.cell()}
			}
		}
	case sdk.ComponentTable:
		t.table(&c)
	case sdk.ComponentForm:
		c.action = t.action()
		t.form(&c)
	case sdk.ComponentButton:
		t.need("label")
		c.action = t.action()
		if sub, ok := t.sub("values"); ok {
			for _, name := range slices.Sorted(maps.Keys(sub.m)) {
				c.values = append(c.values, named{name, sub.text(name)})
			}
		}
	}
	return c
}

func (t tree) table(c *component) {
	t.need("rows", "columns")
	columns := t.list("columns")
	for _, sub := range columns {
		sub.need("text")
		one := sub.cell()
		c.columns, c.cells = append(c.columns, one.label), append(c.cells, cell{text: one.text, url: one.url})
	}
	if len(columns) == 0 || len(columns) > sdk.MaxColumns {
		t.b.fault(t.path+".columns", "", "%s.columns: a table has 1 to %d, this one has %d", t.path, sdk.MaxColumns, len(columns))
	}
	c.each = t.condition("rows")
}

func (t tree) form(c *component) {
	t.need("fields")
	fields := t.list("fields")
	if len(fields) > sdk.MaxFields {
		t.b.fault(t.path+".fields", "", "%s.fields: %d are more than %d", t.path, len(fields), sdk.MaxFields)
		return
	}
	seen := map[string]bool{}
	for _, sub := range fields {
		f := sub.field()
		if seen[f.Name] && f.Name != "" {
			t.b.fault(sub.path+".name", "", "%s.name: %q stands in the form already", sub.path, f.Name)
		}
		seen[f.Name] = true
		c.fields = append(c.fields, f)
	}
}

func (t tree) field() field {
	t.known("name", "label", "kind", "value", "help", "required", "options", "option")
	t.need("name")
	var f field
	f.Name, _ = t.m["name"].(string)
	f.Required, _ = t.m["required"].(bool)
	kind, _ := t.m["kind"].(string)
	if f.Kind = sdk.FieldKind(kind); kind != "" && !slices.Contains(sdk.FieldKinds(), kind) {
		t.b.fault(t.path+".kind", nearest.Advice(kind, sdk.FieldKinds()), "%s.kind: %q is none of %s", t.path, kind, strings.Join(sdk.FieldKinds(), ", "))
	}
	f.label, f.value, f.help = t.text("label"), t.text("value"), t.text("help")
	if f.Kind == sdk.FieldSelect {
		t.need("options")
	}
	if t.m["options"] == nil {
		return f
	}
	if source, ok := t.m["options"].(string); ok && source != "" {
		f.each = t.condition("options")
		if one, ok := t.sub("option"); ok {
			f.option = one.option()
		} else {
			t.need("option")
		}
		return f
	}
	list := t.list("options")
	for _, sub := range list {
		f.options = append(f.options, sub.option())
	}
	return f
}

// option reads a choice: its value is the text of the cell.
func (t tree) option() cell {
	t.known("value", "label")
	t.need("value")
	return cell{text: t.text("value"), label: t.text("label")}
}

func (t tree) cell() cell {
	t.known("label", "text", "url")
	return cell{t.text("label"), t.text("text"), t.text("url")}
}

// cells reads entries, or the expression that gives what they are made of.
func (t tree) cells(key string) ([]cell, *Expression) {
	if _, ok := t.m[key].(string); ok {
		return nil, t.condition(key)
	}
	list := t.list(key)
	var out []cell
	for _, sub := range list {
		out = append(out, sub.cell())
	}
	return out, nil
}

func (t tree) action() sdk.ScreenAction {
	t.need("action")
	actions := []string{string(sdk.ActionTicket), string(sdk.ActionContact), string(sdk.ActionNote)}
	a, _ := t.m["action"].(string)
	if a != "" && !slices.Contains(actions, a) {
		t.b.fault(t.path+".action", nearest.Advice(a, actions), "%s.action: %q is none of %s", t.path, a, strings.Join(actions, ", "))
	}
	return sdk.ScreenAction(a)
}

// known refuses keys that say nothing.
func (t tree) known(keys ...string) {
	for _, key := range slices.Sorted(maps.Keys(t.m)) {
		if !slices.Contains(keys, key) {
			t.b.fault(t.path+"."+key, nearest.Advice(key, keys), "%s has no key %q", t.path, key)
		}
	}
}

func (t tree) need(keys ...string) {
	for _, key := range keys {
		if v, ok := t.m[key]; !ok || v == nil || v == "" {
			t.b.fault(t.path, "", "%s needs the key %q", t.path, key)
		}
	}
}

// text compiles the text of a key. No secret may be shown.
func (t tree) text(key string) text {
	path := t.path + "." + key
	switch v := t.m[key].(type) {
	case nil:
		return text{}
	case string:
		x := t.b.text(path, v, t.d)
		t.b.open(path, x)
		return x
	case map[string]any, []any:
		t.b.fault(path, "", "%s: a text is needed", path)
		return text{}
	default:
		return text{parts: []part{{literal: stringOf(v)}}}
	}
}

func (t tree) condition(key string) *Expression {
	source, _ := t.m[key].(string)
	if source == "" && t.m[key] != nil {
		t.b.fault(t.path+"."+key, "", "%s.%s: one expression in {{ }} is needed", t.path, key)
	}
	x := t.b.condition(t.path+"."+key, source)
	if x != nil {
		t.b.open(t.path+"."+key, x.text)
	}
	return x
}

func (t tree) sub(key string) (tree, bool) {
	m, ok := t.m[key].(map[string]any)
	if !ok && t.m[key] != nil {
		t.b.fault(t.path+"."+key, "", "%s.%s: a mapping is needed", t.path, key)
	}
	return tree{t.b, t.path + "." + key, m, t.d}, ok
}

// list returns the mappings of a list.
func (t tree) list(key string) []tree {
	list, ok := t.m[key].([]any)
	if !ok && t.m[key] != nil {
		t.b.fault(t.path+"."+key, "", "%s.%s: a list is needed", t.path, key)
		return nil
	}
	out := make([]tree, 0, len(list))
	for i, v := range list {
		at := fmt.Sprintf("%s.%s[%d]", t.path, key, i)
		m, isMap := v.(map[string]any)
		if !isMap {
			t.b.fault(at, "", "%s: a mapping is needed", at)
			continue
		}
		out = append(out, tree{t.b, at, m, t.d})
	}
	return out
}
