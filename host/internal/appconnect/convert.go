package appconnect

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Template is what was made of a description.
type Template struct {
	Name  string
	YAML  []byte
	Notes []string // what could not be taken over, for a person
}

// ErrNotDescription says that a file describes no proxy connector.
var ErrNotDescription = errors.New("it is no description of a proxy connector")

// Convert makes a template of a description in JSON.
func Convert(raw []byte) (Template, error) {
	var d description
	if err := json.Unmarshal(raw, &d); err != nil {
		return Template{}, fmt.Errorf("%w: %w", ErrNotDescription, err)
	}
	if len(d.Operations) == 0 {
		return Template{}, fmt.Errorf("%w: it has no operations", ErrNotDescription)
	}
	c := &converter{fields: map[string]bool{}, told: map[string]bool{}, facts: map[string]map[string]bool{}, format: d.Meta.LogFormat}
	f, err := c.file(d)
	if err != nil {
		return Template{}, err
	}
	text, err := yaml.Marshal(f)
	if err != nil {
		return Template{}, fmt.Errorf("write template: %w", err)
	}
	return Template{Name: f.Name, YAML: text, Notes: c.notes}, nil
}

// converter collects what the texts of a description refer to.
type converter struct {
	fields map[string]bool // parameters; true: a secret
	notes  []string
	told   map[string]bool            // what a note says, by operation and placeholder
	facts  map[string]map[string]bool // that are known at the end of a call alone, by operation
	format string                     // of the text of a log
}

func (c *converter) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *converter) file(d description) (file, error) {
	f := file{Name: kebab(d.Meta.Name), Label: d.Meta.DisplayName, Type: string(store.TemplateCRM), Description: d.Meta.Description}
	if !sdk.ValidName(f.Name) {
		return f, fmt.Errorf("%w: meta.name %q is no name", ErrNotDescription, d.Meta.Name)
	}
	f.Auth = c.auth("auth", d.Auth)
	f.Request = request{BaseURL: strings.TrimSuffix(c.text("", d.RequestDefaults.BaseURL), "/"), Headers: c.texts("", d.RequestDefaults.DefaultHeaders)}
	if s := d.RequestDefaults.TimeoutSeconds; s > 0 {
		f.Request.Timeout = strconv.FormatFloat(min(s, 120), 'f', -1, 64) + "s"
	}
	for _, name := range slices.Sorted(maps.Keys(d.Operations)) {
		f.Endpoints = append(f.Endpoints, c.endpoint(name, d.Operations[name]))
	}
	c.events(&f, d.Operations)
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		f.Parameters = append(f.Parameters, parameter{Name: name, Required: c.fields[name], Secret: c.fields[name]})
	}
	return f, nil
}

// auth converts how requests are authorized.
func (c *converter) auth(where string, a *auth) *authorized {
	if a == nil {
		a = &auth{}
	}
	out := &authorized{Type: string(store.AuthCredential), Name: a.HeaderName, Scheme: a.Scheme, Encode: a.Encode}
	if out.Encode == "" {
		out.Encode = "base64"
	}
	switch {
	case a.CredentialTemplate != "":
		out.Value = c.text("", a.CredentialTemplate)
		if out.Scheme == nil {
			none := ""
			out.Scheme = &none
		}
	case strings.EqualFold(a.Type, "oauth"):
		c.fields["accessToken"] = true
		c.note("%s: OAuth is kept elsewhere in the description; the field accessToken stands for the token, or write auth: {type: oauth2_code, ...}", where)
		return &authorized{Type: string(store.AuthBearer), Name: a.HeaderName, Value: "{{ fields.accessToken }}"}
	default: // as it prepares a key by itself
		c.fields["apiKey"] = true
		out.Value = "{{ fields.apiKey }}:"
	}
	return out
}

func (c *converter) endpoint(name string, op operation) endpoint {
	e := endpoint{Name: kebab(name), Method: strings.ToUpper(op.Method), URL: c.text(name, op.URL), Headers: c.texts(name, op.Headers)}
	if e.Method == "" {
		e.Method = http.MethodGet
	}
	e.Type = string(store.EndpointPostData)
	if e.Method == http.MethodGet {
		e.Type = string(store.EndpointGetData)
	} else if op.Body == nil {
		no := false
		e.Forward = &no
	}
	for _, q := range slices.Sorted(maps.Keys(op.Query)) {
		e.Parameters = append(e.Parameters, placed{Name: q, In: string(store.InQuery), Value: c.text(name, scalar(op.Query[q]))})
	}
	if op.Body != nil {
		e.Body = c.tree(name, op.Body)
	}
	if op.Auth != nil {
		e.Auth = c.auth("operations."+name+".auth", op.Auth)
	}
	e.Response = c.response(name, op.ResponseMapping)
	return e
}

func scalar(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

func (c *converter) texts(op string, m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for name, v := range m {
		out[name] = c.text(op, v)
	}
	return out
}

func (c *converter) tree(op string, v any) any {
	switch v := v.(type) {
	case string:
		return c.text(op, v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, sub := range v {
			out[name] = c.tree(op, sub)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = c.tree(op, sub)
		}
		return out
	default:
		return v
	}
}

// text converts the {{ }} of a text.
func (c *converter) text(op, s string) string {
	return regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`).ReplaceAllStringFunc(s, func(m string) string {
		return "{{ " + c.path(op, strings.TrimSpace(strings.Trim(m, "{}"))) + " }}"
	})
}

// kebab writes a name in camel case with dashes.
func kebab(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case unicode.IsUpper(r):
			if i > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(unicode.ToLower(r))
		case r == ' ' || r == '/':
			b.WriteByte('-')
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(strings.Trim(b.String(), "-"), "--", "-")
}
