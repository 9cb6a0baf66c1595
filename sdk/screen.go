package sdk

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Screen is what an agent sees of a call: typed components and never markup, so that
// nothing a remote system says becomes part of the page. A getDataIframe hook
// returns one, a template's iframe describes one. The components are shown in their
// order.
type Screen struct {
	Title      string      `json:"title,omitempty"`
	Components []Component `json:"components,omitempty"`
}

// ComponentType says which fields of a Component count.
type ComponentType string

// The component types.
const (
	ComponentText   ComponentType = "text"   // Label, Text
	ComponentLink   ComponentType = "link"   // Label, Text, URL: http or https
	ComponentPhone  ComponentType = "phone"  // Label, Text: a number to call
	ComponentEmail  ComponentType = "email"  // Label, Text: an address to write to
	ComponentList   ComponentType = "list"   // Label, Items
	ComponentTable  ComponentType = "table"  // Label, Columns, Rows
	ComponentForm   ComponentType = "form"   // Label, Action, Submit, Fields
	ComponentButton ComponentType = "button" // Label, Action, Values
)

// Component is one part of a screen.
type Component struct {
	Type    ComponentType `json:"type"`
	Label   string        `json:"label,omitempty"` // the heading, or what stands on a button
	Text    string        `json:"text,omitempty"`
	URL     string        `json:"url,omitempty"`
	Items   []ScreenValue `json:"items,omitempty"`
	Columns []string      `json:"columns,omitempty"`
	// Rows have at most as many cells as there are columns.
	Rows [][]ScreenValue `json:"rows,omitempty"`
	// Action is what a form or a button does.
	Action ScreenAction  `json:"action,omitempty"`
	Submit string        `json:"submit,omitempty"` // what stands on a form's button
	Fields []ScreenField `json:"fields,omitempty"`
	// Values go with a button's action, by name.
	Values map[string]string `json:"values,omitempty"`
}

// ScreenValue is an entry of a list, or a cell of a table.
type ScreenValue struct {
	Label string `json:"label,omitempty"`
	Text  string `json:"text,omitempty"`
	URL   string `json:"url,omitempty"` // http or https
}

// ScreenAction is what an agent can do from a screen.
type ScreenAction string

// The actions.
const (
	ActionTicket  ScreenAction = "ticket.create"
	ActionContact ScreenAction = "contact.create"
	ActionNote    ScreenAction = "note"
)

// FieldKind is how a form's field is filled in.
type FieldKind string

// The kinds of fields; empty is FieldText.
const (
	FieldText      FieldKind = "text"
	FieldMultiline FieldKind = "multiline"
	FieldEmail     FieldKind = "email"
	FieldPhone     FieldKind = "phone"
	FieldNumber    FieldKind = "number"
	FieldDate      FieldKind = "date"
	FieldSelect    FieldKind = "select"
	FieldCheckbox  FieldKind = "checkbox"
)

// ScreenField is one field of a form. What the agent gives goes to the hook under
// Name.
type ScreenField struct {
	Name     string         `json:"name"`
	Label    string         `json:"label,omitempty"` // Name if empty
	Kind     FieldKind      `json:"kind,omitempty"`
	Value    string         `json:"value,omitempty"` // before the agent gives another
	Help     string         `json:"help,omitempty"`
	Required bool           `json:"required,omitempty"`
	Options  []ScreenOption `json:"options,omitempty"` // of a select
}

// ScreenOption is a choice of a select.
type ScreenOption struct {
	Value string `json:"value"`
	Label string `json:"label,omitempty"` // Value if empty
}

// The bounds of a screen.
const (
	MaxComponents  = 64
	MaxScreenRows  = 200 // entries of a list, rows of a table
	MaxColumns     = 12
	MaxFields      = 40  // of a form
	MaxOptions     = 500 // of a select
	MaxScreenText  = 8 << 10
	MaxScreenBytes = 512 << 10 // all texts together
)

// Validate reports everything that is wrong with a screen, in one error.
func (s Screen) Validate() error {
	v := screenCheck{}
	v.text("title", s.Title)
	if len(s.Components) > MaxComponents {
		v.add("components", "%d are more than %d", len(s.Components), MaxComponents)
	}
	for i, c := range s.Components[:min(len(s.Components), MaxComponents)] {
		v.component(fmt.Sprintf("components[%d]", i), c)
	}
	if v.bytes > MaxScreenBytes {
		v.add("components", "all texts together are %d bytes, more than %d", v.bytes, MaxScreenBytes)
	}
	return errors.Join(v.errs...)
}

// WebAddress reports whether a link may lead to an address: it is absolute, http or
// https, and names nobody.
func WebAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
}

// screenCheck collects what is wrong.
type screenCheck struct {
	errs  []error
	bytes int
}

func (v *screenCheck) add(path, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
}

func (v *screenCheck) text(path, s string) {
	v.bytes += len(s)
	if len(s) > MaxScreenText {
		v.add(path, "%d bytes are more than %d", len(s), MaxScreenText)
	}
	if !utf8.ValidString(s) {
		v.add(path, "it is not UTF-8")
	}
}

func (v *screenCheck) component(path string, c Component) {
	v.text(path+".label", c.Label)
	v.text(path+".text", c.Text)
	switch c.Type {
	case ComponentText, ComponentPhone, ComponentEmail:
	case ComponentLink:
		v.address(path+".url", c.URL)
	case ComponentList:
		v.values(path+".items", c.Items, MaxScreenRows)
	case ComponentTable:
		v.table(path, c)
	case ComponentForm:
		v.form(path, c)
	case ComponentButton:
		v.action(path+".action", c.Action)
		for name, value := range c.Values {
			v.text(path+".values", name+value)
		}
	default:
		v.add(path+".type", "%q is none of %s", c.Type, strings.Join(ComponentTypes(), ", "))
	}
}

// ComponentTypes returns all component types.
func ComponentTypes() []string {
	return []string{
		string(ComponentText), string(ComponentLink), string(ComponentPhone), string(ComponentEmail),
		string(ComponentList), string(ComponentTable), string(ComponentForm), string(ComponentButton),
	}
}

// FieldKinds returns all kinds of fields.
func FieldKinds() []string {
	return []string{
		string(FieldText), string(FieldMultiline), string(FieldEmail), string(FieldPhone),
		string(FieldNumber), string(FieldDate), string(FieldSelect), string(FieldCheckbox),
	}
}

func (v *screenCheck) address(path, address string) {
	v.text(path, address)
	if !WebAddress(address) {
		v.add(path, "an absolute http or https address is needed")
	}
}

func (v *screenCheck) values(path string, values []ScreenValue, most int) {
	if len(values) > most {
		v.add(path, "%d are more than %d", len(values), most)
		return
	}
	for i, value := range values {
		at := fmt.Sprintf("%s[%d]", path, i)
		v.text(at+".label", value.Label)
		v.text(at+".text", value.Text)
		if value.URL != "" {
			v.address(at+".url", value.URL)
		}
	}
}

func (v *screenCheck) table(path string, c Component) {
	if len(c.Columns) == 0 || len(c.Columns) > MaxColumns {
		v.add(path+".columns", "a table has 1 to %d, this one has %d", MaxColumns, len(c.Columns))
	}
	for _, name := range c.Columns {
		v.text(path+".columns", name)
	}
	if len(c.Rows) > MaxScreenRows {
		v.add(path+".rows", "%d are more than %d", len(c.Rows), MaxScreenRows)
		return
	}
	for i, row := range c.Rows {
		v.values(fmt.Sprintf("%s.rows[%d]", path, i), row, len(c.Columns))
	}
}

func (v *screenCheck) action(path string, a ScreenAction) {
	switch a {
	case ActionTicket, ActionContact, ActionNote:
	default:
		v.add(path, "%q is none of %s, %s, %s", a, ActionTicket, ActionContact, ActionNote)
	}
}

func (v *screenCheck) form(path string, c Component) {
	v.action(path+".action", c.Action)
	v.text(path+".submit", c.Submit)
	if len(c.Fields) == 0 || len(c.Fields) > MaxFields {
		v.add(path+".fields", "a form has 1 to %d, this one has %d", MaxFields, len(c.Fields))
		return
	}
	seen := map[string]bool{}
	for i, f := range c.Fields {
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		if f.Name == "" || seen[f.Name] {
			v.add(at+".name", "%q: empty or named twice", f.Name)
		}
		seen[f.Name] = true
		v.field(at, f)
	}
}

func (v *screenCheck) field(path string, f ScreenField) {
	for _, s := range []string{f.Name, f.Label, f.Value, f.Help} {
		v.text(path, s)
	}
	switch f.Kind {
	case "", FieldText, FieldMultiline, FieldEmail, FieldPhone, FieldNumber, FieldDate, FieldCheckbox:
	case FieldSelect:
		if len(f.Options) == 0 || len(f.Options) > MaxOptions {
			v.add(path+".options", "a select has 1 to %d, this one has %d", MaxOptions, len(f.Options))
			return
		}
	default:
		v.add(path+".kind", "%q is none of %s", f.Kind, strings.Join(FieldKinds(), ", "))
	}
	for _, o := range f.Options {
		v.text(path+".options", o.Value)
		v.text(path+".options", o.Label)
	}
}
