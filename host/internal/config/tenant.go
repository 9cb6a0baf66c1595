package config

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/nearest"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Integration is what a file declares of one integration, with defaults filled
// in.
type Integration struct {
	// Spec has everything but Settings and SettingsSum, which Plan seals.
	Spec      store.IntegrationSpec
	Settings  secret.Value // a JSON object, references replaced
	MovedFrom string       // its name before
	Limit     *Limit       // nil: none
	// Origins tells for "every", "concurrency", "page_size" and "limit" which scope gave the
	// value.
	Origins map[string]Origin
	// Checked reports whether the plugin's manifest was known: the settings fit its
	// schema. Otherwise the integration will be parked, and Spec.Connectors is nil
	// if the file names none.
	Checked bool

	scheduled bool     // a file gives every
	named     bool     // a file gives connectors
	known     []string // connectors of the manifest
}

// FullName returns tenant/name.
func (i Integration) FullName() string { return i.Spec.Tenant + "/" + i.Spec.Name }

// TenantFile is one file of the tenants directory.
type TenantFile struct {
	Path         string        `json:"path"`
	Tenant       string        `json:"tenant"` // empty if the file does not tell
	Good         bool          `json:"good"`   // no error: what it declares counts
	Integrations []Integration `json:"-"`
	Screens      Screens       `json:"-"`

	src  *source    // nil if the file was not read
	name *yaml.Node // where it names the tenant
}

// LoadTenants reads the tenant files of a directory: *.yaml and *.yml, links
// followed as long as they stay inside it. Defaults are those of host.yaml.
func LoadTenants(dir string, defaults Defaults, opts Options) ([]TenantFile, Problems) {
	return newLoader(opts).tenants(dir, defaults)
}

// LoadTenantFile reads one tenant file, whose integrations may be of these
// templates.
func LoadTenantFile(path string, defaults Defaults, templates []TemplateFile, opts Options) (TenantFile, Problems) {
	l := newLoader(opts)
	l.keepTemplates(templates)
	file := l.tenant(path, nil, defaults)
	return file, file.src.done()
}

// tenants reads all files, and refuses a tenant that two of them declare.
func (l *loader) tenants(dir string, defaults Defaults) ([]TenantFile, Problems) {
	of, paths, files, problems := tenantPaths(dir)
	defer of.close()
	for _, path := range paths {
		files = append(files, l.tenant(path, of, defaults))
	}
	first := map[string]int{}
	for i := range files {
		if files[i].Tenant == "" {
			continue
		}
		j, twice := first[files[i].Tenant]
		if !twice {
			first[files[i].Tenant] = i
			continue
		}
		for _, pair := range [][2]int{{i, j}, {j, i}} {
			f, other := &files[pair[0]], files[pair[1]]
			f.src.failAt(CodeDuplicateName, f.name, "one file a tenant", "tenant %q is declared in %s too", f.Tenant, other.Path)
			f.Good = false
		}
	}
	callcenters(files)
	for _, f := range files {
		if f.src != nil {
			problems = append(problems, f.src.done()...)
		}
	}
	return files, problems.sorted()
}

func (l *loader) tenant(path string, of *folder, defaults Defaults) TenantFile {
	s := readSource(path, of)
	f := TenantFile{Path: path, src: s}
	if root := s.parse(); root != nil {
		l.tenantRoot(&f, root, defaults)
	}
	f.Good = !s.failed()
	l.keepSecrets(f)
	return f
}

func tenantKeys() []string { return []string{"tenant", "defaults", "screens", "integrations"} }

func (l *loader) tenantRoot(f *TenantFile, root *yaml.Node, defaults Defaults) {
	o, ok := f.src.object(root, "", tenantKeys()...)
	if !ok {
		return
	}
	o.need("tenant")
	if name, ok := o.name("tenant"); ok {
		f.Tenant, f.name = name, o.at("tenant")
	}
	var own Defaults
	if o.has("defaults") {
		own = l.defaults(o)
	}
	if o.has("screens") {
		f.Screens = l.screens(o)
	}
	if !o.has("integrations") || empty(o.at("integrations")) {
		return
	}
	list := deref(o.at("integrations"))
	if list.Kind != yaml.SequenceNode {
		f.src.hide(list)
		f.src.failAt(CodeBadType, o.at("integrations"), "", "integrations: a list is needed, this is %s", kindOf(list))
		return
	}
	lines := map[string]int{}
	for i, n := range list.Content {
		in := l.integration(f, deref(n), i, own, defaults)
		if name := in.Spec.Name; name != "" && lines[name] > 0 {
			f.src.failAt(CodeDuplicateName, n, "", "integrations[%d]: the name %q stands in line %d already", i, name, lines[name])
		} else if name != "" {
			lines[name] = n.Line
		}
		f.Integrations = append(f.Integrations, in)
	}
	f.checkMoves(list)
	f.checkLimits(list)
}

// misplaced reports keys that mean nothing here.
func (o object) misplaced(help string, keys ...string) {
	for _, key := range keys {
		if o.has(key) {
			o.src.hide(o.at(key))
			o.src.failAt(CodeUnknownKey, o.pair(key).key, help, "%s has no effect here", join(o.path, key))
		}
	}
}

// checkLimits refuses a limit that integrations share and do not agree on.
func (f *TenantFile) checkLimits(list *yaml.Node) {
	first := map[string]int{}
	for i, in := range f.Integrations {
		key := in.Spec.Limit.Key
		if key == "" {
			continue
		}
		j, seen := first[key]
		if !seen {
			first[key] = i
			continue
		}
		a, b := f.Integrations[j].Spec.Limit, in.Spec.Limit
		if a.Records != b.Records || a.Per != b.Per {
			f.src.failAt(CodeBadValue, list.Content[i], "the same records and per in both, or another key",
				"integrations[%d].limit: %s is not the limit of integrations[%d], which has the key %q too: %s", i, b, j, key, a)
		}
	}
}

// checkMoves refuses moved_from that names an integration which is declared, or
// the same one twice.
func (f *TenantFile) checkMoves(list *yaml.Node) {
	for i, in := range f.Integrations {
		if in.MovedFrom == "" {
			continue
		}
		n := list.Content[i]
		declared := func(other Integration) bool { return other.Spec.Name == in.MovedFrom }
		twice := func(other Integration) bool { return other.MovedFrom == in.MovedFrom }
		switch {
		case slices.ContainsFunc(f.Integrations, declared):
			f.src.failAt(CodeMovedFrom, n, "rename in two steps, or drop moved_from", "integrations[%d]: moved_from names %q, which is still declared", i, in.MovedFrom)
		case slices.ContainsFunc(f.Integrations[:i], twice):
			f.src.failAt(CodeMovedFrom, n, "", "integrations[%d]: moved_from names %q, as another integration does", i, in.MovedFrom)
		}
	}
}

func integrationKeys() []string {
	return append(append([]string{"name", "label", "description", "enabled", "moved_from", "lookup"}, pluginKeys()...), templatedKeys()...)
}

// pluginKeys belong to integrations of a plugin, templatedKeys to those of a
// template.
func pluginKeys() []string {
	return []string{"plugin", "connectors", "every", "cron", "timezone", "limit", "concurrency", "page_size", "on_disable", "on_type_change", "log_warnings", "onboarding_max_age", "settings"}
}

func templatedKeys() []string {
	return []string{"template", "callcenter", "host", "info", "iframe", "fields"}
}

func (l *loader) integration(f *TenantFile, n *yaml.Node, i int, tenant, host Defaults) Integration {
	in := Integration{Origins: map[string]Origin{}}
	path := "integrations[" + itoa(i) + "]"
	o, ok := f.src.object(n, path, integrationKeys()...)
	if !ok {
		return in
	}
	o.need("name")
	if o.has("template") {
		return l.templated(f, o, n)
	}
	o.need("plugin")
	o.misplaced("it belongs to integrations of a template", "callcenter", "host", "fields")
	in.Spec = store.IntegrationSpec{Tenant: f.Tenant, File: f.Path, Line: n.Line, Enabled: o.boolean("enabled", true)}
	in.Spec.FinishOnDisable = o.word("on_disable", "abort", "abort", "finish") == "finish"
	in.Spec.OnTypeChange = store.TypePolicy(o.word("on_type_change", string(store.TypesPass), string(store.TypesPass), string(store.TypesQuarantine), string(store.TypesHalt)))
	in.Spec.LogWarnings = o.boolean("log_warnings", false)
	in.Spec.Name, _ = o.name("name")
	in.Spec.Plugin, _ = o.name("plugin")
	in.MovedFrom, _ = o.name("moved_from")
	in.Spec.Label = l.label(o, in.Spec.Name)
	in.Spec.Description = o.description()
	in.Spec.Lookup = o.lookup("lookup", 0)
	given := l.schedule(o)
	for key, set := range map[string]bool{
		"every": given.Every != nil, "cron": given.Cron != "", "timezone": given.Timezone != "",
		"concurrency": given.Concurrency != nil, "limit": given.Limit != nil, "page_size": given.PageSize != nil,
		"onboarding_max_age": given.OnboardingMaxAge != nil,
	} {
		if set {
			in.Origins[key] = FromIntegration
		}
	}
	given = given.over(tenant.of(in.Spec.Plugin), FromTenant, in.Origins)
	given = given.over(host.of(in.Spec.Plugin), FromHost, in.Origins)
	in.Spec.OnboardingMaxAge = defaultOnboardingMaxAge
	if given.OnboardingMaxAge != nil {
		in.Spec.OnboardingMaxAge = *given.OnboardingMaxAge
	}
	in.Limit = given.Limit
	in.Spec.Limit = given.Limit.spec()
	connectors, named := o.names("connectors")
	in.named = named
	in.Spec.Connectors = connectors
	if in.Spec.Plugin == "" { // missing or bad: said already
		if o.has("settings") {
			o.src.hide(o.at("settings"))
		}
		return in
	}
	m, known := l.opts.Plugins(in.Spec.Plugin)
	l.ownWords(o, &in.Spec, m, known)
	if in.Checked = known; known {
		l.fit(o, &in, &given, m, named)
	} else {
		f.src.warnAt(CodeNoManifest, o.at("plugin"), "jackfield plugin approve "+in.Spec.Plugin,
			"%s: the settings are not checked: plugin %q is not approved", path, in.Spec.Plugin)
	}
	in.Spec.Cron, in.Spec.Timezone = given.Cron, given.Timezone
	if given.Cron == "" {
		in.Spec.Every = resolved(given.Every, defaultEvery, "every", FromDefault, in.Origins)
	}
	if o.has("timezone") && given.Cron == "" {
		o.src.warnAt(CodeNoEffect, o.pair("timezone").key, "", "%s: ticks know no time zone; it belongs to cron", join(path, "timezone"))
	}
	in.Spec.Concurrency = resolved(given.Concurrency, 0, "concurrency", FromPlugin, in.Origins)
	if given.PageSize != nil {
		in.Spec.PageSize = *given.PageSize
	}
	in.scheduled = in.Origins["every"] != FromDefault
	if body, ok := l.settings(o, in.Spec.Plugin, m, known); ok {
		in.Settings = secret.New(string(body))
	}
	return in
}

// fit checks an integration against its plugin's manifest, and takes from it what
// no file gives.
func (l *loader) fit(o object, in *Integration, given *Schedule, m sdk.Manifest, named bool) {
	known := make([]string, 0, len(m.Connectors))
	for _, c := range m.Connectors {
		known = append(known, c.Name)
	}
	in.known = known
	if !named {
		in.Spec.Connectors = known
	}
	if named {
		for _, n := range deref(o.at("connectors")).Content {
			c := deref(n).Value
			switch {
			case !slices.Contains(in.Spec.Connectors, c) || slices.Contains(known, c):
			case slices.Contains(l.opts.Had(in.FullName()), c):
				o.src.warnAt(CodeConnectorGone, n, "take it out of the list if it is not to come back",
					"plugin %q has no connector %q any more: it is parked, and its cursors are kept", m.Name, c)
			default:
				o.src.failAt(CodeUnknownConnector, n, nearest.Advice(c, known), "plugin %q has no connector %q", m.Name, c)
			}
		}
	}
	if m.Kind == sdk.KindOperation {
		for _, key := range []string{"every", "cron"} {
			if o.has(key) {
				o.src.failAt(CodeBadValue, o.pair(key).key, "", "%s: plugin %q answers operations and has no schedule", join(o.path, key), m.Name)
			}
		}
		never := -1
		given.Every, given.Cron, given.Timezone = &never, "", ""
		delete(in.Origins, "cron")
		delete(in.Origins, "timezone")
		in.Origins["every"] = FromPlugin
		return
	}
	if given.Every == nil && given.Cron == "" && m.Every != 0 {
		given.Every = &m.Every
		in.Origins["every"] = FromPlugin
	}
}

func (l *loader) label(o object, otherwise string) string {
	n, ok := o.scalar("label", "a string", "!!str", "!!int", "!!float", "!!bool", "!!timestamp")
	if !ok {
		return otherwise
	}
	if length := utf8.RuneCountInString(n.Value); length < 3 || length > 255 {
		o.src.failAt(CodeBadValue, n, "", "%s: %d characters; 3 to 255 are needed", join(o.path, "label"), length)
	}
	return n.Value
}

// description reads what people are told of an integration.
func (o object) description() string {
	text, _ := o.text("description")
	if length := utf8.RuneCountInString(text); length > store.MaxDescription {
		o.src.failAt(CodeBadValue, o.at("description"), "", "%s: %d characters, %d are allowed", join(o.path, "description"), length, store.MaxDescription)
	}
	return text
}

func resolved(given *int, otherwise int, key string, from Origin, origins map[string]Origin) int {
	if given == nil {
		origins[key] = from
		return otherwise
	}
	return *given
}

// tenantFile reports whether a name in the tenants directory is that of a tenant
// file: not hidden, and not the draft of an editor.
func tenantFile(name string) bool {
	ext := filepath.Ext(name)
	return !strings.HasPrefix(name, ".") && (ext == ".yaml" || ext == ".yml")
}

// DeclaresTenant reports whether the file at path is a tenant's, not a host.yaml.
func DeclaresTenant(path string) bool {
	root := readSource(path, nil).parse()
	if root == nil || root.Kind != yaml.MappingNode {
		return filepath.Base(path) != "host.yaml"
	}
	for i := 0; i < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "tenant", "integrations":
			return true
		case "version", "tenants":
			return false
		}
	}
	return filepath.Base(path) != "host.yaml"
}
