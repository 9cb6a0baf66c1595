package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
)

const (
	descriptionFile    = "plugin.yaml"
	templateFile       = "template.yaml"
	maxDescription     = 64 << 10
	defaultConcurrency = 16
)

// description is plugin.yaml of a folder.
type description struct {
	Schema   int    `yaml:"schema"`
	Name     string `yaml:"name"`
	Version  string `yaml:"version"`
	MinHost  string `yaml:"min_host"` // the host looks at it
	Runtime  string `yaml:"runtime"`
	Manifest about  `yaml:"manifest"`

	template []byte // of template.yaml beside it; nil if there is none
}

// about is what a folder says of itself beside its name.
type about struct {
	Label       string             `yaml:"label"`
	Description string             `yaml:"description"`
	Icon        string             `yaml:"icon"`
	Hosts       []string           `yaml:"hosts"`       // that fetch reaches beside those of the settings
	Template    string             `yaml:"template"`    // whose endpoints ctx.endpoint calls
	Dedupe      string             `yaml:"dedupe"`      // field of a contact's form: a number makes one contact
	Concurrency int                `yaml:"concurrency"` // calls at once
	Settings    map[string]setting `yaml:"settings"`
}

// setting is one field that an integration gives: a JSON Schema of it, and two words
// more.
type setting struct {
	Required bool           `yaml:"required"`
	Secret   bool           `yaml:"secret"`
	Schema   map[string]any `yaml:",inline"`
}

// readDescription reads plugin.yaml.
func readDescription(from fs.FS) (description, error) {
	var d description
	body, err := readFile(from, descriptionFile, maxDescription)
	if err != nil {
		return d, fmt.Errorf("read %s: %w", descriptionFile, err)
	}
	if err := yaml.Load(body, &d, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return d, fmt.Errorf("%s: %s", descriptionFile, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Manifest.Settings)) {
		if !sdk.ValidName(strings.ToLower(name)) {
			return d, fmt.Errorf("%s: manifest.settings: %.64q is no name of a setting", descriptionFile, name)
		}
		if _, ok := d.Manifest.Settings[name].Schema["type"].(string); !ok {
			return d, fmt.Errorf("%s: manifest.settings.%s needs a type, such as string", descriptionFile, name)
		}
	}
	d.template, err = readFile(from, templateFile, sdk.MaxTemplateText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("read %s: %w", templateFile, err)
	}
	return d, nil
}

// manifest is what the folder is for the host.
func (d description) manifest(hooks []string, checks bool) (sdk.Manifest, error) {
	m := sdk.Manifest{
		Name: d.Name, Label: d.Manifest.Label, Version: d.Version, Description: d.Manifest.Description, Icon: d.Manifest.Icon,
		Kind: sdk.KindOperation, Capabilities: []sdk.Capability{sdk.CanInvoke}, Hooks: hooks, Hosts: d.Manifest.Hosts,
		Template: d.Manifest.Template, TemplateText: d.template, DedupeContacts: d.Manifest.Dedupe,
		Limits: sdk.Limits{Concurrency: d.Manifest.Concurrency},
	}
	if m.Label == "" {
		m.Label = d.Name + " functions"
	}
	if m.Limits.Concurrency == 0 {
		m.Limits.Concurrency = defaultConcurrency
	}
	if checks {
		m.Capabilities = append(m.Capabilities, sdk.CanCheck)
	}
	var err error
	if m.SettingsSchema, err = d.Manifest.schema(); err != nil {
		return m, fmt.Errorf("%s: manifest.settings: %w", descriptionFile, err)
	}
	if err := m.Validate(); err != nil {
		return m, fmt.Errorf("%s: %w", descriptionFile, err)
	}
	return m, nil
}

// schema is the JSON Schema of the settings.
func (a about) schema() ([]byte, error) {
	properties, required := map[string]any{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(a.Settings)) {
		s := a.Settings[name]
		property := maps.Clone(s.Schema)
		if s.Secret {
			property["x-secret"] = true
		}
		if s.Required {
			required = append(required, name)
		}
		properties[name] = property
	}
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return nil, errors.New("they are no JSON Schema")
	}
	return raw, nil
}
