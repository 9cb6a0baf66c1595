package config

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/store"
)

// templated reads an integration of a template: its fields are its settings.
func (l *loader) templated(f *TenantFile, o object, n *yaml.Node) Integration {
	in := Integration{Origins: map[string]Origin{}, scheduled: true}
	o.misplaced("it belongs to integrations of a plugin", pluginKeys()...)
	in.Spec = store.IntegrationSpec{
		Tenant: f.Tenant, File: f.Path, Line: n.Line, Enabled: o.boolean("enabled", true), Every: -1, Connectors: []string{},
		OnTypeChange: store.TypesPass, OnboardingMaxAge: defaultOnboardingMaxAge,
	}
	in.Spec.Name, _ = o.name("name")
	in.Spec.Template, _ = o.name("template")
	in.MovedFrom, _ = o.name("moved_from")
	in.Spec.Label = l.label(o, in.Spec.Name)
	in.Spec.Description = o.description()
	in.Spec.Callcenter, _ = o.text("callcenter")
	in.Spec.Lookup = o.lookup("lookup", 0)
	in.Spec.Host = l.remoteHost(o)
	if o.has("info") {
		in.Spec.Info = o.ownInfo(l.templateInfo(o))
	}
	if o.has("iframe") {
		in.Spec.Iframe = o.mapping("iframe")
	}
	t, known := l.declared[in.Spec.Template]
	if !known {
		if o.has("fields") {
			o.src.hide(o.at("fields"))
		}
		if in.Spec.Template != "" {
			o.src.failAt(CodeUnknownTemplate, o.at("template"), nearest.Advice(in.Spec.Template, l.templateNames()), "%s: there is no template %q that can be used", join(o.path, "template"), in.Spec.Template)
		}
		return in
	}
	in.Checked = true
	l.overrides(o, t, in.Spec)
	if in.Spec.Host == "" && needsHost(t) {
		o.src.failAt(CodeMissingKey, o.node, "host: crm.example.com", "%s needs the key %q: the template %s calls it", o.path, "host", t.Name)
	}
	if body, ok := l.fields(o, t); ok {
		in.Settings = secret.New(string(body))
	}
	return in
}

// ownInfo returns the keys of an info that are given, as the template's are kept.
func (o object) ownInfo(info store.TemplateInfo) json.RawMessage {
	given := o.mapping("info")
	var own, read map[string]json.RawMessage
	raw, err := json.Marshal(info)
	if err != nil || json.Unmarshal(given, &own) != nil || json.Unmarshal(raw, &read) != nil {
		return nil // it is no mapping: that was said
	}
	for name := range own {
		if v, ok := read[name]; ok {
			own[name] = v
		}
	}
	if raw, err = json.Marshal(own); err != nil {
		return nil
	}
	return raw
}

// overrides checks what an integration says otherwise than its template: with it the
// template has to be as good as without.
func (l *loader) overrides(o object, t store.Template, spec store.IntegrationSpec) {
	if l.opts.CheckOverride == nil || len(spec.Info) == 0 && len(spec.Iframe) == 0 {
		return
	}
	own, err := t.With(spec.Info, spec.Iframe)
	if err != nil {
		return // it cannot be read: that was said
	}
	for _, name := range unknownOptions(own) {
		known := slices.Sorted(maps.Keys(own.Info.Chosen()))
		o.src.failAt(CodeBadValue, o.at("info"), nearest.Advice(name, known), "%s: the template has no option %q", join(o.path, "info.options"), name)
	}
	for _, fault := range l.opts.CheckOverride(own) {
		fault.Message = join(o.path, fault.Message)
		o.src.fault(o.node, fault)
	}
}

func (l *loader) templateNames() []string {
	out := make([]string, 0, len(l.declared))
	for name := range l.declared {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// remoteHost reads the host of the remote system.
func (l *loader) remoteHost(o object) string {
	n, ok := o.scalar("host", "a host", "!!str")
	if !ok {
		return ""
	}
	host, _, ok := l.expand(o.src, n, join(o.path, "host"))
	if !ok || l.opts.HostFault == nil {
		return host
	}
	if fault := l.opts.HostFault(host); fault != "" {
		o.src.failAt(CodeBadValue, n, "such as crm.example.com; it is called with https", "%s: %s", join(o.path, "host"), fault)
	}
	return host
}

// needsHost reports whether requests of a template go to the host of its
// integration.
func needsHost(t store.Template) bool {
	named := regexp.MustCompile(`\{\{[^}]*\bhost\b`)
	addresses := []string{t.Request.BaseURL, t.Auth.TokenURL, t.Auth.AuthorizeURL}
	for _, e := range t.Endpoints {
		if t.Request.BaseURL == "" && !strings.Contains(e.URL, "://") {
			return true
		}
		addresses = append(addresses, e.URL)
	}
	return slices.ContainsFunc(addresses, named.MatchString)
}

// fields reads what an integration gives to its template, as JSON.
func (l *loader) fields(o object, t store.Template) (body []byte, ok bool) {
	before := len(o.src.problems)
	path, given := join(o.path, "fields"), map[string]string{}
	if o.has("fields") && !empty(o.at("fields")) {
		n := deref(o.at("fields"))
		if n.Kind != yaml.MappingNode {
			o.src.hide(n)
			o.src.failAt(CodeBadType, o.at("fields"), "", "%s: a mapping is needed, this is %s", path, kindOf(n))
			return nil, false
		}
		for _, p := range o.src.pairsOf(n, path) {
			l.field(o.src, p, join(path, p.key.Value), t, given)
		}
	}
	for _, p := range t.Parameters {
		if p.Required && p.Default == "" && given[p.Name] == "" && !refusedField(o, p.Name) {
			o.src.failAt(CodeMissingSetting, o.at("fields"), "", "template %q needs the field %q", t.Name, p.Name)
		}
	}
	if o.src.problems[before:].Failed() {
		return nil, false
	}
	body, err := json.Marshal(given)
	if err != nil || len(body) > maxSettings {
		o.src.failAt(CodeTooLarge, o.at("fields"), "", "%s: the fields are larger than 1 MiB", path)
		return nil, false
	}
	return body, true
}

// refusedField reports whether a field is given, although nothing came of it: that
// was said.
func refusedField(o object, name string) bool {
	if !o.has("fields") || deref(o.at("fields")).Kind != yaml.MappingNode {
		return false
	}
	n := deref(o.at("fields"))
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := deref(n.Content[i+1]); n.Content[i].Value == name && (v.Kind != yaml.ScalarNode || v.Value != "") {
			return true
		}
	}
	return false
}

// field reads one field.
func (l *loader) field(s *source, p pair, path string, t store.Template, given map[string]string) {
	param, known := t.Parameter(p.key.Value)
	v := deref(p.value)
	if !known {
		s.hide(p.value)
		names := make([]string, len(t.Parameters))
		for i, q := range t.Parameters {
			names[i] = q.Name
		}
		s.failAt(CodeUnknownSetting, p.key, nearest.Advice(p.key.Value, names), "template %q has no parameter %q", t.Name, short(p.key.Value))
		return
	}
	if param.Secret && !onlyReference().MatchString(v.Value) {
		s.hide(p.value)
	}
	if v.Kind != yaml.ScalarNode || v.ShortTag() == "!!null" {
		s.hide(p.value)
		s.failAt(CodeBadType, p.value, "", "%s: a string is needed, this is %s", path, kindOf(v))
		return
	}
	text, referred, ok := l.expand(s, v, path)
	if !ok {
		return
	}
	l.secrets = append(l.secrets, referred...)
	if param.Secret {
		l.secrets = append(l.secrets, text)
	}
	if param.In == store.InHeader && strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0 {
		s.failAt(CodeBadValue, p.value, "", "%s: it goes into a header, which cannot have a line break or a control character", path)
		return
	}
	given[p.key.Value] = text
}

// callcenters refuses a call center that has the same remote system of one template
// twice: the one that comes later.
func callcenters(files []TenantFile) {
	type place struct{ template, callcenter, host string }
	first := map[place]string{}
	for i := range files {
		f := &files[i]
		for _, in := range f.Integrations {
			at := place{in.Spec.Template, in.Spec.Callcenter, in.Spec.Host}
			if at.template == "" || at.callcenter == "" {
				continue
			}
			if other, twice := first[at]; twice {
				f.src.fail(CodeDuplicateName, in.Spec.Line, 0, "another callcenter or host", "integration %s has the template, callcenter and host of %s", in.FullName(), other)
				f.Good = false
				continue
			}
			first[at] = in.FullName()
		}
	}
}

// FieldsSchema returns the JSON Schema that tells which fields of a template are
// secrets.
func FieldsSchema(t store.Template) []byte {
	properties := schemaNode{}
	for _, p := range t.Parameters {
		node := schemaNode{"type": "string"}
		if p.Secret {
			node["x-secret"] = true
		}
		properties[p.Name] = node
	}
	raw, err := json.Marshal(closed(properties))
	if err != nil {
		return nil // of texts: it can always be written
	}
	return raw
}
