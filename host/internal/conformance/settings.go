package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk/sdktest"
)

// property is what the suite reads of a setting's schema.
type property struct {
	Type   any  `json:"type"`
	Secret bool `json:"x-secret"`
}

func properties(schema []byte) map[string]property {
	var root struct {
		Properties map[string]property `json:"properties"`
	}
	if json.Unmarshal(schema, &root) != nil {
		return nil // Validate says what is wrong with it
	}
	return root.Properties
}

// unmarked names the settings that are secrets by their name, and are not marked.
func unmarked(schema []byte) []string {
	var found []string
	all := properties(schema)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name].Type == "string" && !all[name].Secret && secretName(name) {
			found = append(found, fmt.Sprintf("setting %q looks like a secret and is not marked as one", name))
		}
	}
	return found
}

// secretName reports a name whose last word is that of a secret.
func secretName(name string) bool {
	name = strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
	return slices.ContainsFunc([]string{"token", "password", "passphrase", "secret", "apikey", "privatekey", "accesskey"}, func(word string) bool {
		return strings.HasSuffix(name, word)
	})
}

// worse returns settings that are wrong in one way each: a key that there is not, and
// a value of the wrong type for every key that there is.
func worse(schema, settings []byte) []sdktest.Bad {
	good := map[string]any{}
	if len(settings) > 0 && json.Unmarshal(settings, &good) != nil {
		return nil
	}
	with := func(name string, value any) []byte {
		bad := maps.Clone(good)
		bad[name] = value
		raw, err := json.Marshal(bad)
		if err != nil {
			return nil
		}
		return raw
	}
	bad := []sdktest.Bad{{What: "settings with an unknown key", Settings: with("no_such_setting", "x")}}
	all := properties(schema)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var wrong any
		switch all[name].Type {
		case "string", "integer", "number", "boolean":
			wrong = map[string]any{"of": "the wrong type"}
		case "object", "array":
			wrong = "of the wrong type"
		default:
			continue
		}
		bad = append(bad, sdktest.Bad{What: fmt.Sprintf("settings with a wrong type of %q", name), Settings: with(name, wrong)})
	}
	return bad
}
