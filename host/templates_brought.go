package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackfield/jackfield/host/internal/address"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// refusedTemplate is why a program is not taken whose manifest brings a template along
// that cannot be used.
const refusedTemplate = "template_refused"

// brought are the templates that manifests bring along, ready to be called. They are
// made of the manifest of whoever asks and kept nowhere else, so that what serves and
// its template are of one version: in a swap, on the way back, and when it is removed.
type brought struct {
	mu       sync.Mutex // guards byPlugin
	byPlugin map[string][]broughtTemplate
}

// broughtTemplate is one of them.
type broughtTemplate struct {
	text, schema []byte
	ready        *endpoint.Template
}

// versionsAtOnce is how many versions of a plugin work beside each other: one takes
// over while another one drains.
const versionsAtOnce = 2

// of returns the template that a manifest brings along.
func (b *brought) of(c *endpoint.Compiler, m sdk.Manifest) (*endpoint.Template, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.byPlugin[m.Name]
	for _, k := range known {
		if bytes.Equal(k.text, m.TemplateText) && bytes.Equal(k.schema, m.SettingsSchema) {
			return k.ready, nil
		}
	}
	spec, err := broughtSpec(c, m)
	if err != nil {
		return nil, err
	}
	ready, faults := c.Compile(spec)
	if len(faults) > 0 {
		return nil, errors.New(faults[0].Message) // it was checked
	}
	if b.byPlugin == nil {
		b.byPlugin = map[string][]broughtTemplate{}
	}
	known = append(known, broughtTemplate{m.TemplateText, m.SettingsSchema, ready})
	b.byPlugin[m.Name] = known[max(0, len(known)-versionsAtOnce):]
	return ready, nil
}

// broughtSpec reads the template of a manifest. What is wrong with it is told with line
// and column.
func broughtSpec(c *endpoint.Compiler, m sdk.Manifest) (store.Template, error) {
	settings := config.SettingsOf(m.SettingsSchema)
	opts := templateOptions(c, config.Options{})
	check := opts.CheckTemplate
	opts.CheckTemplate = func(t store.Template) []config.TemplateFault {
		return append(broughtFaults(t, m, settings), check(withSecrets(t, m, settings))...)
	}
	spec, problems := config.LoadTemplateText(m.Name, m.TemplateText, opts)
	if problems.Failed() {
		return spec, fmt.Errorf("the template of plugin %s cannot be used: %s", m.Name, inLine(problems))
	}
	return withSecrets(spec, m, settings), nil
}

// inLine tells the first few problems in one line.
func inLine(problems config.Problems) string {
	bad := problems.Only(config.SeverityError)
	var out []string
	for _, p := range bad[:min(len(bad), namedFaults)] {
		text := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Message)
		if p.Help != "" {
			text += " (hint: " + p.Help + ")"
		}
		out = append(out, text)
	}
	if more := len(bad) - namedFaults; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, "; ")
}

// withSecrets marks the parameters whose settings are secrets.
func withSecrets(t store.Template, m sdk.Manifest, settings map[string]bool) store.Template {
	t.Parameters = slices.Clone(t.Parameters)
	for i, p := range t.Parameters {
		t.Parameters[i].Secret = p.Secret || settings[p.Name]
	}
	sum := sha256.Sum256(slices.Concat(m.TemplateText, []byte{0}, m.SettingsSchema))
	t.Sum, t.Plugin = sum[:], m.Name
	return t
}

// broughtFaults are what is wrong with a template that would be good in a file: its
// fields have to be settings, and it may call what the plugin may.
func broughtFaults(t store.Template, m sdk.Manifest, settings map[string]bool) (faults []config.TemplateFault) {
	for i, p := range t.Parameters {
		if _, ok := settings[p.Name]; !ok {
			faults = append(faults, config.TemplateFault{
				Path: fmt.Sprintf("parameters[%d].name", i), Message: fmt.Sprintf("the plugin has no setting %q, which is where the value comes from", p.Name),
				Help: "settings: " + strings.Join(slices.Sorted(maps.Keys(settings)), ", "),
			})
		}
	}
	places := map[string]string{"request.base_url": t.Request.BaseURL}
	auth := func(at string, a *store.Auth) {
		if a != nil {
			places[at+".token_url"], places[at+".authorize_url"] = a.TokenURL, a.AuthorizeURL
		}
	}
	auth("auth", &t.Auth)
	for i, e := range t.Endpoints {
		at := fmt.Sprintf("endpoints[%d]", i)
		places[at+".url"] = e.URL
		auth(at+".auth", e.Auth)
	}
	anyHost := false
	for _, path := range slices.Sorted(maps.Keys(places)) {
		calls := callsOf(places[path], m.Hosts)
		anyHost = anyHost || calls == callsIts || calls == callsBase && t.Request.BaseURL == "" && places[path] != ""
		if calls == callsOther {
			faults = append(faults, config.TemplateFault{
				Path: path, Message: path + ": a template that a plugin brings along calls the host of the integration, or those that the manifest names",
				Help: "https://{{ host }}/..., or hosts: in the manifest",
			})
		}
	}
	if anyHost && !config.NamesHost(m.SettingsSchema, hostSetting, []byte(`"crm.example.com"`)) {
		faults = append(faults, config.TemplateFault{
			Path: "endpoints", Message: "it calls the host of the integration, and no setting \"host\" of the plugin names one", Help: `host: {type: string, x-host: true}`,
		})
	}
	return faults
}

// What an address of a template calls.
const (
	callsBase  = iota // what request.base_url says: it is relative
	callsIts          // the integration's own host
	callsNamed        // one that the manifest names
	callsOther
)

// callsOf tells what an address of a template that a plugin brings along calls.
func callsOf(text string, hosts []string) int {
	switch {
	case !strings.Contains(text, "://"):
		return callsBase
	case regexp.MustCompile(`^https?://\{\{\s*host\s*\}\}(:[0-9]+)?([/?]|$)`).MatchString(text):
		return callsIts
	}
	named := regexp.MustCompile(`^(https?)://([^/?{}]+)([/?]|$)`).FindStringSubmatch(text)
	if named == nil {
		return callsOther
	}
	to, err := address.OfSetting(named[1] + "://" + named[2])
	if err == nil && slices.ContainsFunc(hosts, func(host string) bool {
		p, err := address.ParsePattern(host)
		return err == nil && p.Port == to.Port && (!p.Below && p.Host == to.Host || p.Below && strings.HasSuffix(to.Host, "."+p.Host))
	}) {
		return callsNamed
	}
	return callsOther
}

// acceptManifest says why a program is not taken: its template cannot be used.
func acceptManifest(m sdk.Manifest) error {
	if m.TemplateText == nil {
		return nil
	}
	_, err := broughtSpec(endpoint.NewCompiler(), m)
	return supervisor.Because(refusedTemplate, err)
}

// acceptManifest implements supervisor.Options.Accept.
func (h *Host) acceptManifest(m sdk.Manifest) error { return h.templates.accept(m) }

// accept refuses the template of a manifest that cannot be used, or has the name of one
// that is there.
func (t *templates) accept(m sdk.Manifest) error {
	if m.TemplateText == nil {
		return nil
	}
	if other, ok := t.spec(m.Name); ok {
		return supervisor.Because(refusedTemplate, fmt.Errorf("it brings the template %q along, and %s declares one of this name (hint: rename one of both)", m.Name, relative(other.File)))
	}
	return acceptManifest(m)
}

// misfits says what an integration of a plugin says otherwise that a version's template
// does not take.
func (t *templates) misfits(m sdk.Manifest, in store.Integration) []string {
	ready, err := t.ofManifest(m)
	if err != nil || ready == nil {
		return nil
	}
	return config.OwnMisfits(ready.Spec(), in.IntegrationSpec, func(own store.Template) []config.TemplateFault {
		return templateFaults(t.compiler.CheckOverride(own))
	})
}

// ofManifest returns the template that a manifest brings along, or names; nil if it does
// neither, or the one that it names is not there.
func (t *templates) ofManifest(m sdk.Manifest) (*endpoint.Template, error) {
	switch {
	case m.TemplateText != nil:
		return t.brought.of(t.compiler, m)
	case m.Template != "":
		return t.get(m.Template), nil
	}
	return nil, nil //nolint:nilnil // it has none
}
