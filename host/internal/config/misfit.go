package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Misfits says what a plugin's settings schema refuses of settings, in clear: by
// their places, never their values. An error says that the schema cannot be used.
func Misfits(schema, settings []byte) ([]string, error) {
	c, err := newChecker(schema)
	if err != nil {
		return nil, err
	}
	if len(settings) == 0 {
		settings = []byte("{}")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(settings))
	if err != nil {
		return nil, errors.New("the settings are no JSON") // the text of err may show them
	}
	e, ok := errors.AsType[*jsonschema.ValidationError](c.schema.Validate(value))
	if !ok {
		return nil, nil
	}
	if out := misfits(e); len(out) > 0 {
		return out, nil
	}
	return []string{"the schema refuses the settings"}, nil
}

func misfits(e *jsonschema.ValidationError) (out []string) {
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			out = append(out, fmt.Sprintf("setting %q is unknown", setting(at, name)))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			out = append(out, fmt.Sprintf("setting %q is missing", setting(at, name)))
		}
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, sub := range e.Causes {
			out = append(out, misfits(sub)...)
		}
	case *kind.AnyOf, *kind.OneOf:
		out = append(out, fmt.Sprintf("setting %q fits none, or more than one, of the forms that there are", setting(at)))
	case *kind.FalseSchema:
		out = append(out, fmt.Sprintf("setting %q is unknown", setting(at)))
	case *kind.Type:
		out = append(out, fmt.Sprintf("setting %q: %s is needed, this is %s", setting(at), types(k.Want), types([]string{k.Got})))
	default:
		text, help := complaint(k)
		out = append(out, strings.TrimSpace(fmt.Sprintf("setting %q: %s %s", setting(at), text, help)))
	}
	return out
}
