package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/jackfield/jackfield/sdk"
)

// settingsCheck holds settings against what plugin.yaml says of them.
type settingsCheck struct{ schema *jsonschema.Schema }

// newSettingsCheck compiles a schema, which refers to nothing but itself.
func newSettingsCheck(raw []byte) (settingsCheck, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return settingsCheck{}, fmt.Errorf("decode settings schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.AssertFormat()
	const name = "settings.json"
	if err := c.AddResource(name, doc); err != nil {
		return settingsCheck{}, fmt.Errorf("read settings schema: %w", err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		return settingsCheck{}, fmt.Errorf("compile settings schema: %w", err)
	}
	return settingsCheck{schema}, nil
}

// noLoader refuses every reference out of a schema.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a settings schema refers to nothing outside itself")
}

// check returns an *sdk.Error of sdk.ClassConfig that names the settings which are wrong,
// and none of their values.
func (c settingsCheck) check(settings []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(settings))
	if err != nil {
		return badSettings("the settings are no JSON")
	}
	e, ok := errors.AsType[*jsonschema.ValidationError](c.schema.Validate(value))
	if !ok {
		return nil
	}
	wrong := misfits(e)
	slices.Sort(wrong)
	return badSettings(strings.Join(slices.Compact(wrong), "; "))
}

func badSettings(message string) error {
	return &sdk.Error{Class: sdk.ClassConfig, Code: "bad_settings", Message: message}
}

// misfits names what a schema refuses.
func misfits(e *jsonschema.ValidationError) (out []string) {
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			out = append(out, fmt.Sprintf("setting %.64q is unknown", name))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			out = append(out, fmt.Sprintf("setting %.64q is missing", name))
		}
	default:
		for _, cause := range e.Causes {
			out = append(out, misfits(cause)...)
		}
		if len(e.Causes) == 0 {
			out = append(out, fmt.Sprintf("setting %.64q is not as plugin.yaml says", strings.Join(e.InstanceLocation, ".")))
		}
	}
	return out
}
