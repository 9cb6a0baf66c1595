package sdk

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxTemplateText is how large a template may be that a manifest brings along, in bytes.
const MaxTemplateText = 64 << 10

// Validate reports every rule that the manifest breaks.
func (m Manifest) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !ValidName(m.Name) {
		bad("name %q: %s", m.Name, nameRule)
	}
	if n := utf8.RuneCountInString(m.Label); n < 3 || n > 255 {
		bad("label %q: 3 to 255 characters are needed", m.Label)
	}
	if m.Version == "" || len(m.Version) > 64 || strings.ContainsFunc(m.Version, func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad("version %q: 1 to 64 visible ASCII characters are needed, such as 1.4.2", m.Version)
	}
	if len(m.DedupeContacts) > 64 || m.DedupeContacts != "" && !slices.Contains(m.Hooks, HookCreateContact) {
		bad("dedupe of contacts by %.64q: it is a field of the form of %s, which the hooks need", m.DedupeContacts, HookCreateContact)
	}
	if m.Template != "" && !ValidName(m.Template) {
		bad("template %q: %s", m.Template, nameRule)
	}
	if m.Template != "" && m.TemplateText != nil {
		bad("template %q: the plugin brings a template along, and names another one", m.Template)
	}
	if n := len(m.TemplateText); n > MaxTemplateText {
		bad("template text: %d bytes; %d are allowed", n, MaxTemplateText)
	}
	if m.Icon != "" && !strings.HasPrefix(m.Icon, "data:image/") {
		bad("icon: a data:image/ URI is needed")
	}
	switch m.Kind {
	case "", KindData, KindCombined:
		if len(m.Connectors) == 0 {
			bad("connectors: a plugin of kind %s needs at least one", cmp.Or(m.Kind, KindData))
		}
	case KindOperation:
	default:
		bad("kind %q: data, operation or combined is needed", m.Kind)
	}
	errs = append(errs, m.connectors()...)
	errs = append(errs, m.capabilities()...)
	errs = append(errs, m.hosts()...)
	if m.SettingsSchema != nil {
		var schema map[string]json.RawMessage
		if err := json.Unmarshal(m.SettingsSchema, &schema); err != nil {
			bad("settings schema: %w", err)
		}
	}
	if m.Limits.Concurrency < 0 || m.Limits.PerRun < 0 || m.Limits.PageSize < 0 {
		bad("limits: negative")
	}
	if m.State.Writes != 0 && !slices.Contains(m.State.Reads, m.State.Writes) {
		bad("state: version %d is written but not read", m.State.Writes)
	}
	for _, v := range m.State.MayWrite {
		if !slices.Contains(m.State.Reads, v) {
			bad("state: version %d may be written but is not read", v)
		}
	}
	return errors.Join(errs...)
}

func (m Manifest) connectors() []error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range m.Connectors {
		switch {
		case !ValidName(c.Name):
			errs = append(errs, fmt.Errorf("connectors[%d] %q: %s", i, c.Name, nameRule))
		case seen[c.Name]:
			errs = append(errs, fmt.Errorf("connectors[%d] %q: named twice", i, c.Name))
		}
		seen[c.Name] = true
		errs = append(errs, c.listing(i, m.Connectors[:i])...)
	}
	return errs
}

// listing reports what is wrong with a complete listing.
func (c Connector) listing(at int, before []Connector) []error {
	var errs []error
	if c.CompleteListing != (len(c.Kinds) > 0) {
		errs = append(errs, fmt.Errorf("connectors[%d] %q: complete_listing and kinds need each other", at, c.Name))
	}
	for i, kind := range c.Kinds {
		if kind == "" || len(kind) > 64 || slices.Contains(c.Kinds[:i], kind) {
			errs = append(errs, fmt.Errorf("connectors[%d] %q: kind %q: 1 to 64 bytes, named once, are needed", at, c.Name, kind))
		}
		for _, other := range before {
			if slices.Contains(other.Kinds, kind) {
				errs = append(errs, fmt.Errorf("connectors[%d] %q: kind %q is listed completely by %q already", at, c.Name, kind, other.Name))
			}
		}
	}
	return errs
}

func (m Manifest) capabilities() []error {
	var errs []error
	for i, c := range m.Capabilities {
		switch {
		case !c.Known():
			errs = append(errs, fmt.Errorf("capabilities[%d] %q: unknown", i, c))
		case slices.Contains(m.Capabilities[:i], c):
			errs = append(errs, fmt.Errorf("capabilities[%d] %q: named twice", i, c))
		}
	}
	for i, h := range m.Hooks {
		if h == "" || slices.Contains(m.Hooks[:i], h) {
			errs = append(errs, fmt.Errorf("hooks[%d] %q: empty or named twice", i, h))
		}
	}
	if needs := len(m.Hooks) > 0 || m.Kind == KindOperation || m.Kind == KindCombined; needs && !m.Has(CanInvoke) {
		errs = append(errs, errors.New("capabilities: hooks and the kinds operation and combined need invoke"))
	}
	return errs
}

// Implements reports the first capability of m whose interface i does not have.
func (m Manifest) Implements(i Instance) error {
	for _, c := range m.Capabilities {
		var ok bool
		switch c {
		case CanCheck:
			_, ok = i.(Checker)
		case CanPreprocess:
			_, ok = i.(Preprocessor)
		case CanCreateAttributes:
			_, ok = i.(Attributer)
		case CanAllow:
			_, ok = i.(Allower)
		case CanFinish:
			_, ok = i.(Finisher)
		case CanPostprocess:
			_, ok = i.(Postprocessor)
		case CanInvoke:
			_, ok = i.(Invoker)
		}
		if !ok {
			return &Error{Class: ClassSystem, Code: "capability_missing", Message: fmt.Sprintf("the manifest lists the capability %q, which %T does not implement", c, i)}
		}
	}
	return nil
}

const nameRule = "[a-z0-9][a-z0-9._-]{0,62} is needed"

// ValidName reports whether name can name a plugin or a connector:
// [a-z0-9][a-z0-9._-]{0,62}.
func ValidName(name string) bool {
	if name == "" || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-') {
			continue
		}
		return false
	}
	return true
}
