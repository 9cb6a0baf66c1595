package screen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/url"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

// part is one component as the template shows it.
type part struct {
	ID, Type, Label, Text string
	Href                  string       // http or https
	Address               template.URL // of a number or an e-mail address
	Dial                  string       // the number for a softphone
	Items                 []cell
	Columns               []string
	Rows                  [][]cell
	Submit                string
	Fields                []field
	Error                 bool
}

type cell struct {
	Label, Text, Href string
}

// field is one field of a form.
type field struct {
	ID, Name, Label, Kind, Input string
	Value, Help, Error           string
	Describe                     string // ids of what describes it
	Required, Checked            bool
	Options                      []option
}

type option struct {
	Value, Label string
	Selected     bool
}

// maxParts bounds what a page shows, whoever made the screen.
const maxParts = sdk.MaxComponents

// partID names a component on its page, and a form to whoever sends it: one that
// changed has another.
func partID(i int, c sdk.Component) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", c.Type, c.Label, c.Action)
	for _, f := range c.Fields {
		fmt.Fprintf(h, " %q", f.Name)
	}
	for _, name := range sortedKeys(c.Values) {
		fmt.Fprintf(h, " %q=%q", name, c.Values[name])
	}
	return fmt.Sprintf("part-%d-%s", i, hex.EncodeToString(h.Sum(nil))[:12])
}

// viewPart makes what is shown of a component. A type that is not known shows its text.
func viewPart(id string, c sdk.Component, a attempt) part {
	p := part{ID: id, Type: string(c.Type), Label: c.Label, Text: c.Text}
	switch c.Type {
	case sdk.ComponentLink:
		p.Href = webAddress(c.URL)
		p.Text = or(c.Text, or(p.Href, c.Label))
	case sdk.ComponentPhone:
		p.Address, p.Dial = phoneAddress(c.Text), dial(c.Text)
	case sdk.ComponentEmail:
		p.Address = mailAddress(c.Text)
	case sdk.ComponentList:
		p.Items = cells(c.Items, sdk.MaxScreenRows)
	case sdk.ComponentTable:
		p.Columns = c.Columns[:min(len(c.Columns), sdk.MaxColumns)]
		for _, row := range c.Rows[:min(len(c.Rows), sdk.MaxScreenRows)] {
			p.Rows = append(p.Rows, cells(row, len(p.Columns)))
		}
	case sdk.ComponentForm:
		p.Submit = or(c.Submit, or(c.Label, "Send"))
		p.Error = a.form == id
		p.Fields = fields(id, c, a)
	case sdk.ComponentButton:
		p.Submit = or(c.Label, string(c.Action))
	case sdk.ComponentText:
	default:
		p.Type = string(sdk.ComponentText)
	}
	return p
}

func cells(values []sdk.ScreenValue, most int) []cell {
	var out []cell
	for _, v := range values[:min(len(values), most)] {
		out = append(out, cell{Label: v.Label, Text: v.Text, Href: webAddress(v.URL)})
	}
	return out
}

// fields makes what is shown of a form's fields: what was typed, and what is wrong
// with it.
func fields(id string, c sdk.Component, a attempt) []field {
	var out []field
	for i, f := range c.Fields[:min(len(c.Fields), sdk.MaxFields)] {
		v := field{
			ID: fmt.Sprintf("%s-%d", id, i), Name: fieldPrefix + f.Name, Label: or(f.Label, f.Name), Kind: string(f.Kind),
			Input: inputType(f.Kind), Value: f.Value, Help: f.Help, Required: f.Required,
		}
		if a.form == id {
			v.Value, v.Error = a.typed[f.Name], a.wrong[f.Name]
		}
		v.Checked = v.Value == checked
		if v.Help != "" {
			v.Describe = v.ID + "-help"
		}
		if v.Error != "" {
			v.Describe = strings.TrimSpace(v.Describe + " " + v.ID + "-error")
		}
		for _, o := range f.Options[:min(len(f.Options), sdk.MaxOptions)] {
			v.Options = append(v.Options, option{o.Value, or(o.Label, o.Value), o.Value == v.Value})
		}
		out = append(out, v)
	}
	return out
}

// checked is the value of a checkbox that is.
const checked = "true"

func inputType(k sdk.FieldKind) string {
	switch k {
	case sdk.FieldEmail:
		return "email"
	case sdk.FieldPhone:
		return "tel"
	case sdk.FieldNumber, sdk.FieldText, sdk.FieldMultiline, sdk.FieldSelect, sdk.FieldCheckbox:
	case sdk.FieldDate:
		return "date"
	}
	return "text"
}

// webAddress returns an address that a link may lead to, or nothing.
func webAddress(address string) string {
	if !sdk.WebAddress(address) {
		return ""
	}
	return address
}

// dial returns what of a text is a number to call.
func dial(text string) string {
	if len(text) > 64 {
		return ""
	}
	var b strings.Builder
	digits := 0
	for i, r := range strings.TrimSpace(text) {
		switch {
		case r >= '0' && r <= '9':
			digits++
			b.WriteRune(r)
		case r == '+' && i == 0, r == '*', r == '#':
			b.WriteRune(r)
		case strings.ContainsRune(" -./()\u00a0", r):
		default:
			return ""
		}
	}
	if digits < 2 {
		return ""
	}
	return b.String()
}

// phoneAddress returns the address that calls a number.
func phoneAddress(text string) template.URL {
	number := dial(text)
	if number == "" {
		return ""
	}
	return template.URL("tel:" + strings.ReplaceAll(number, "#", "%23")) //nolint:gosec // made of digits, +, * and %23 alone
}

// mailAddress returns the address that writes to someone.
func mailAddress(text string) template.URL {
	name, host, ok := strings.Cut(text, "@")
	if !ok || name == "" || host == "" || len(text) > 254 || strings.ContainsAny(text, " \t\r\n?&,;:<>\"'`\\/") {
		return ""
	}
	return template.URL("mailto:" + url.PathEscape(name) + "@" + url.PathEscape(host)) //nolint:gosec // both sides are escaped
}
