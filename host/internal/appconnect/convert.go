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
	c := &converter{fields: map[string]bool{}}
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
}

func (c *converter) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *converter) file(d description) (file, error) {
	f := file{Name: kebab(d.Meta.Name), Label: d.Meta.DisplayName, Type: string(store.TemplateCRM), Description: d.Meta.Description}
	if !sdk.ValidName(f.Name) {
		return f, fmt.Errorf("%w: meta.name %q is no name", ErrNotDescription, d.Meta.Name)
	}
	if d.Meta.LogFormat != "" {
		c.note("meta.logFormat %q has no counterpart: what is logged is the caller's", d.Meta.LogFormat)
	}
	f.Auth = c.auth("auth", d.Auth)
	f.Request = request{BaseURL: strings.TrimSuffix(c.text(d.RequestDefaults.BaseURL), "/"), Headers: c.texts(d.RequestDefaults.DefaultHeaders)}
	if s := d.RequestDefaults.TimeoutSeconds; s > 0 {
		f.Request.Timeout = strconv.FormatFloat(min(s, 120), 'f', -1, 64) + "s"
	}
	for _, name := range slices.Sorted(maps.Keys(d.Operations)) {
		f.Endpoints = append(f.Endpoints, c.endpoint(name, d.Operations[name]))
	}
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
		out.Value = c.text(a.CredentialTemplate)
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

// events are when operations are done by themselves.
func events() map[string]string {
	return map[string]string{
		"findContact": "call.started", "createCallLog": "call.ended", "createMessageLog": "sms.sent", "createContact": "contact.create",
	}
}

func (c *converter) endpoint(name string, op operation) endpoint {
	e := endpoint{Name: kebab(name), Method: strings.ToUpper(op.Method), URL: c.text(op.URL), Trigger: events()[name], Headers: c.texts(op.Headers)}
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
		e.Parameters = append(e.Parameters, placed{Name: q, In: string(store.InQuery), Value: c.text(scalar(op.Query[q]))})
	}
	if op.Body != nil {
		e.Body = c.tree(op.Body)
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

func (c *converter) texts(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for name, v := range m {
		out[name] = c.text(v)
	}
	return out
}

func (c *converter) tree(v any) any {
	switch v := v.(type) {
	case string:
		return c.text(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, sub := range v {
			out[name] = c.tree(sub)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = c.tree(sub)
		}
		return out
	default:
		return v
	}
}

// text converts the {{ }} of a text.
func (c *converter) text(s string) string {
	return regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`).ReplaceAllStringFunc(s, func(m string) string {
		return "{{ " + c.path(strings.TrimSpace(strings.Trim(m, "{}"))) + " }}"
	})
}

// path converts what a text refers to.
func (c *converter) path(p string) string {
	parts := strings.Split(p, ".")
	rest := strings.Join(parts[1:], ".")
	switch {
	case p == "apiKey" || p == "secretKey":
		return c.field(p, true)
	case p == "hostname" || p == "user.hostname":
		return "host"
	case p == "user.accessToken":
		return c.field("accessToken", true)
	case parts[0] == "additionalInfo" && rest != "":
		return c.field(rest, false)
	case strings.HasPrefix(p, "user.platformAdditionalInfo."):
		return c.field(strings.TrimPrefix(p, "user.platformAdditionalInfo."), false)
	case parts[0] == "user" && rest != "":
		return c.field("user_"+strings.ReplaceAll(rest, ".", "_"), false)
	case p == "phoneNumber":
		return "call.number"
	case strings.HasPrefix(p, "parsedPhoneNumber.number.e164"):
		return "e164(call.number)"
	case strings.HasPrefix(p, "parsedPhoneNumber.number.national"):
		return "national(call.number)"
	case strings.HasPrefix(p, "parsedPhoneNumber.number.significant"):
		return "digits(national(call.number))"
	default:
		return dotted("body", p)
	}
}

func (c *converter) field(name string, secret bool) string {
	name = strings.ReplaceAll(name, ".", "_")
	secret = secret || regexp.MustCompile(`(?i)password|secret|token|apikey`).MatchString(name)
	c.fields[name] = c.fields[name] || secret
	return dotted("fields", name)
}

// dotted writes a path below a name; what is no word is put in quotes.
func dotted(root, path string) string {
	word := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$|^[0-9]+$`)
	var out strings.Builder
	out.WriteString(root)
	for part := range strings.SplitSeq(path, ".") {
		if word.MatchString(part) {
			out.WriteString("." + part)
		} else {
			out.WriteString("[" + strconv.Quote(part) + "]")
		}
	}
	return out.String()
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
