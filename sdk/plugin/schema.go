package plugin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/jackfield/jackfield/sdk"
)

// Schema returns the JSON Schema of a settings struct. Its fields need tags:
// json for the name, with omitempty if it may be absent, and jsonschema for what
// people see and may write, such as
//
//	Token    sdk.Secret `json:"token" jsonschema:"title=Bot token,minLength=10"`
//	Channels []string   `json:"channels,omitempty" jsonschema:"description=all if empty"`
//	Mode     string     `json:"mode,omitempty" jsonschema:"enum=fast,enum=full,default=fast"`
//
// Properties that are not in the struct are refused. A type that holds itself
// has no schema.
func Schema(settings any) ([]byte, error) {
	t := reflect.TypeOf(settings)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("settings are a struct, not %T", settings)
	}
	if err := finite(t, nil); err != nil {
		return nil, err
	}
	secret := reflect.TypeFor[sdk.Secret]()
	r := jsonschema.Reflector{
		Anonymous:      true, // no $id made of the package's path
		DoNotReference: true,
		ExpandedStruct: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t != secret {
				return nil
			}
			return &jsonschema.Schema{Type: "string", WriteOnly: true, Extras: map[string]any{"x-secret": true}}
		},
	}
	raw, err := json.Marshal(r.ReflectFromType(t))
	if err != nil {
		return nil, err
	}
	return sdk.Canonical(raw)
}

// finite reports a type that holds itself, which the reflector would follow for ever.
func finite(t reflect.Type, within []reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return finite(t.Elem(), within)
	case reflect.Struct:
	default:
		return nil
	}
	if slices.Contains(within, t) {
		return fmt.Errorf("settings: %s holds itself", t)
	}
	within = append(within, t)
	for f := range t.Fields() {
		if f.IsExported() {
			if err := finite(f.Type, within); err != nil {
				return fmt.Errorf("%s.%w", f.Name, err)
			}
		}
	}
	return nil
}
