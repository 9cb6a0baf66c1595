package endpoint

import (
	"fmt"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

// Screen makes the screen of a call from what there is, and says what it could not
// show. It is nil if the template has none. What is nothing is left out; a text is
// never markup.
func (t *Template) Screen(in Integration, g Given) (*sdk.Screen, []string) {
	if t.screen == nil {
		return nil, nil
	}
	s := &shown{scope: t.scope(in.input(g), "")}
	out := &sdk.Screen{Title: s.text(t.screen.title)}
	if out.Title == "" {
		out.Title = t.spec.Label
	}
	for i, c := range t.screen.parts {
		s.at = fmt.Sprintf("iframe.components[%d]", i)
		if part, ok := s.component(c); ok {
			out.Components = append(out.Components, part)
		}
	}
	return out, s.notes
}

// shown is a screen while it is made.
type shown struct {
	scope scope
	at    string
	notes []string
	bytes int
}

func (s *shown) warn(format string, args ...any) {
	if len(s.notes) < maxWarnings {
		s.notes = append(s.notes, s.at+": "+fmt.Sprintf(format, args...))
	}
}

// text returns a text with its values; empty if one of its expressions fails. What is
// longer than a screen may be is cut.
func (s *shown) text(x text) string {
	v, _, err := x.render(s.scope, asIs)
	if err != nil {
		s.warn("%v", err)
		return ""
	}
	out := strings.ToValidUTF8(v.real, "\uFFFD")
	if len(out) > sdk.MaxScreenText {
		s.warn("a text is cut at %d bytes", sdk.MaxScreenText)
		out = short(out, sdk.MaxScreenText)
	}
	if s.bytes += len(out); s.bytes > sdk.MaxScreenBytes {
		s.warn("there is more text than a screen can have")
		return ""
	}
	return out
}

// address returns a link, or nothing if it is none that may be followed.
func (s *shown) address(x text) string {
	v, missing, err := x.render(s.scope, asIs)
	if err != nil || missing != "" || v.real == "" {
		return ""
	}
	if !sdk.WebAddress(v.real) || len(v.real) > sdk.MaxScreenText {
		s.warn("a link is left out: it is no address of http or https")
		return ""
	}
	s.bytes += len(v.real)
	return v.real
}

func (s *shown) holds(x *Expression) bool {
	if x == nil {
		return true
	}
	v, err := x.text.value(s.scope)
	if err != nil {
		s.warn("when: %v", err)
		return false
	}
	switch v := v.(type) {
	case bool:
		return v
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return present(v) && v != 0
}

// list returns what an expression gives a list of.
func (s *shown) list(x *Expression, most int) []any {
	v, err := x.text.value(s.scope)
	if err != nil {
		s.warn("%v", err)
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		if v != nil {
			s.warn("a list is needed, this is a %T", v)
		}
		return nil
	}
	if len(list) > most {
		s.warn("the first %d of %d are shown", most, len(list))
		list = list[:most]
	}
	return list
}

// of does something with each of a list as item.
func (s *shown) of(list []any, do func()) {
	had := s.scope["item"]
	for _, item := range list {
		s.scope["item"] = item
		do()
	}
	s.scope["item"] = had
}

// component makes one part; false if there is nothing to show.
func (s *shown) component(c component) (sdk.Component, bool) {
	out := sdk.Component{Type: c.kind, Action: c.action}
	if !s.holds(c.when) {
		return out, false
	}
	out.Label, out.Text = s.text(c.label), s.text(c.text)
	switch c.kind {
	case sdk.ComponentText, sdk.ComponentPhone, sdk.ComponentEmail:
		return out, out.Text != ""
	case sdk.ComponentLink:
		out.URL = s.address(c.url)
		return out, out.URL != ""
	case sdk.ComponentList:
		out.Items = s.entries(c)
	case sdk.ComponentTable:
		for _, name := range c.columns {
			out.Columns = append(out.Columns, s.text(name))
		}
		s.of(s.list(c.each, sdk.MaxScreenRows), func() {
			row := make([]sdk.ScreenValue, len(c.cells))
			for i, x := range c.cells {
				row[i] = s.cell(x)
			}
			out.Rows = append(out.Rows, row)
		})
	case sdk.ComponentForm:
		out.Submit = s.text(c.submit)
		for _, f := range c.fields {
			if one, ok := s.field(f); ok {
				out.Fields = append(out.Fields, one)
			}
		}
		return out, len(out.Fields) > 0
	case sdk.ComponentButton:
		for _, v := range c.values {
			if out.Values == nil {
				out.Values = map[string]string{}
			}
			out.Values[v.name] = s.text(v.text)
		}
	}
	return out, true
}

func (s *shown) cell(c cell) sdk.ScreenValue {
	return sdk.ScreenValue{Label: s.text(c.label), Text: s.text(c.text), URL: s.address(c.url)}
}

// entries makes the items of a list.
func (s *shown) entries(c component) (out []sdk.ScreenValue) {
	if c.each == nil {
		for _, x := range c.static[:min(len(c.static), sdk.MaxScreenRows)] {
			out = append(out, s.cell(x))
		}
		return out
	}
	s.of(s.list(c.each, sdk.MaxScreenRows), func() { out = append(out, s.cell(c.cells[0])) })
	return out
}

// field makes a field of a form; false for a select without a choice.
func (s *shown) field(f field) (sdk.ScreenField, bool) {
	out := f.ScreenField
	out.Label, out.Value, out.Help = s.text(f.label), s.text(f.value), s.text(f.help)
	choice := func(c cell) {
		if v := s.text(c.text); v != "" {
			out.Options = append(out.Options, sdk.ScreenOption{Value: v, Label: s.text(c.label)})
		}
	}
	for _, c := range f.options[:min(len(f.options), sdk.MaxOptions)] {
		choice(c)
	}
	if f.each != nil {
		s.of(s.list(f.each, sdk.MaxOptions), func() { choice(f.option) })
	}
	if out.Kind == sdk.FieldSelect && len(out.Options) == 0 {
		s.warn("the field %s has nothing to choose from", out.Name)
		return out, false
	}
	return out, true
}
