package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// broughtFile is what problems of a template call it that a manifest brings along.
const broughtFile = "template.yaml"

// LoadTemplateText reads the template that the manifest of a plugin brings along. Its
// name is the plugin's.
func LoadTemplateText(plugin string, text []byte, opts Options) (store.Template, Problems) {
	opts.Read = nil
	s := textSource(broughtFile, text)
	f := newLoader(opts).templateSource(s)
	if f.Name != "" && f.Name != plugin {
		s.failAt(CodeBadValue, f.name, "name: "+plugin, "name: the template that a plugin brings along has the plugin's name, and this is %q", f.Name)
	}
	f.Template.File = ""
	return f.Template, s.done()
}

// templateOf returns the template that a manifest brings along, or names.
func (l *loader) templateOf(m sdk.Manifest) (store.Template, bool) {
	if m.TemplateText == nil {
		t, ok := l.declared[m.Template]
		return t, ok && m.Template != ""
	}
	t, known := l.brought[m.Name]
	if !known {
		opts := l.opts
		opts.CheckTemplate = nil // that was done before the plugin was taken
		t, _ = LoadTemplateText(m.Name, m.TemplateText, opts)
		l.brought[m.Name] = t
	}
	return t, true
}

// ownWords reads what an integration of a plugin says otherwise than the template that
// its plugin has. Of a plugin that is not known yet nobody can tell whether it has one.
func (l *loader) ownWords(o object, spec *store.IntegrationSpec, m sdk.Manifest, known bool) {
	t, has := l.templateOf(m)
	if known && !has {
		o.misplaced("it belongs to integrations of a template, or of a plugin that has one", "info", "iframe")
		return
	}
	if o.has("info") {
		spec.Info = o.ownInfo(l.templateInfo(o))
	}
	if o.has("iframe") {
		spec.Iframe = o.mapping("iframe")
	}
	if known {
		l.overrides(o, t, *spec)
	}
}

// OwnMisfits says what an integration says otherwise that does not fit a template.
func OwnMisfits(t store.Template, in store.IntegrationSpec, check func(store.Template) []TemplateFault) []string {
	if len(in.Info) == 0 && len(in.Iframe) == 0 {
		return nil
	}
	own, err := t.With(in.Info, in.Iframe)
	if err != nil {
		return []string{"info: " + err.Error()}
	}
	var out []string
	for _, name := range unknownOptions(own) {
		out = append(out, fmt.Sprintf("info.options: there is no option %q", name))
	}
	for _, f := range check(own) {
		out = append(out, f.Message)
	}
	return out
}

// unknownOptions returns what is chosen and is no option.
func unknownOptions(t store.Template) []string {
	known := t.Info.Chosen()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.Info.Options)), func(name string) bool {
		_, ok := known[name]
		return ok
	})
}

// SettingsOf returns the settings that a schema describes, each with whether it is a
// secret.
func SettingsOf(schema []byte) map[string]bool {
	out, sh := map[string]bool{}, shapeOf(schema)
	for _, n := range sh.nodes {
		properties, _ := n["properties"].(map[string]any)
		for name := range properties {
			out[name] = sh.child(name).hidden
		}
	}
	return out
}
