package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// settingFaults is what is wrong with manifest.settings of a folder: each setting is a
// JSON Schema with the words required and secret beside it.
func settingFaults(manifest map[string]any) (faults []fault) {
	settings, ok := manifest["settings"]
	if !ok {
		return nil
	}
	of, ok := settings.(map[string]any)
	if !ok {
		return []fault{{[]string{"manifest", "settings"}, "manifest.settings: a mapping of names to settings is needed"}}
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if err := checkSetting(of[name]); err != nil {
			faults = append(faults, fault{[]string{"manifest", "settings", name}, fmt.Sprintf("manifest.settings.%.64s: %s", name, err)})
		}
	}
	return faults
}

func checkSetting(said any) error {
	setting, ok := said.(map[string]any)
	if !ok {
		return errors.New("a mapping such as {type: string} is needed")
	}
	setting = maps.Clone(setting)
	for _, word := range []string{"required", "secret"} {
		if _, ok := setting[word].(bool); setting[word] != nil && !ok {
			return fmt.Errorf("%s is true or false", word)
		}
		delete(setting, word)
	}
	if _, ok := setting["type"].(string); !ok {
		return errors.New("it needs a type, such as string")
	}
	raw, err := json.Marshal(setting)
	if err != nil {
		return errors.New("it is no JSON Schema")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return errors.New("it is no JSON Schema")
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	const place = "setting.json"
	if err := c.AddResource(place, doc); err != nil {
		return fmt.Errorf("it is no JSON Schema: %w", err)
	}
	_, err = c.Compile(place)
	bad, ok := errors.AsType[*jsonschema.SchemaValidationError](err)
	if !ok {
		return err //nolint:wrapcheck // it says what and where in the setting
	}
	if e, ok := errors.AsType[*jsonschema.ValidationError](bad.Err); ok {
		return fmt.Errorf("it is no JSON Schema: %s", strings.Join(leaves(e), "; "))
	}
	return errors.New("it is no JSON Schema")
}

// leaves names what a schema's own schema refuses, each once.
func leaves(e *jsonschema.ValidationError) (out []string) {
	if len(e.Causes) == 0 {
		text := strings.TrimSpace(e.Error())
		return []string{strings.TrimPrefix(text[strings.LastIndex(text, "\n")+1:], "- ")}
	}
	for _, cause := range e.Causes {
		for _, leaf := range leaves(cause) {
			if !slices.Contains(out, leaf) {
				out = append(out, leaf)
			}
		}
	}
	return out
}

// nothing refuses every reference out of a schema.
type nothing struct{}

// Load returns an error.
func (nothing) Load(string) (any, error) {
	return nil, errors.New("a setting's schema refers to nothing outside itself")
}
