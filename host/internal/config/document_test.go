package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/sdk"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := Schema([]sdk.Manifest{slackManifest(), pickyManifest()})
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	require.NoError(t, c.AddResource("c.json", doc))
	s, err := c.Compile("c.json")
	require.NoError(t, err)
	return s
}

// rows: O03
func TestSchemaAgreesWithTheReader(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for name, fits := range map[string]bool{"good": true, "anchors": true, "unknown_keys": false, "settings": false, "integration_types": false, "types": false} {
		archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
		require.NoError(t, err)
		all := true
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".yaml") || strings.Contains(f.Name, "draft") {
				continue
			}
			var value any
			err := yaml.Unmarshal(f.Data, &value)
			if err == nil {
				raw, err := json.Marshal(value)
				require.NoError(t, err)
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
				require.NoError(t, err)
				err = s.Validate(doc)
				all = all && err == nil
				if fits {
					require.NoError(t, err, f.Name)
				}
			}
		}
		require.Equal(t, fits, all, name)
	}
}

// TestSchemaHasTheKeysOfTheReader keeps the two lists of keys the same.
func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	t.Parallel()
	keys := func(n schemaNode) []string {
		properties, ok := n["properties"].(schemaNode)
		require.True(t, ok)
		return slices.Sorted(maps.Keys(properties))
	}
	sorted := func(in []string, without ...string) []string {
		return slices.Sorted(slices.Values(slices.DeleteFunc(in, func(k string) bool { return slices.Contains(without, k) })))
	}
	require.Equal(t, sorted(hostKeys()), keys(hostSchema()))
	require.Equal(t, sorted(tenantKeys()), keys(tenantSchema()))
	require.Equal(t, sorted(integrationKeys()), keys(integrationSchema(nil)))
	require.Equal(t, sorted(scheduleKeys()), keys(scheduleSchema()))
	require.Equal(t, sorted(limitKeys()), keys(limitSchema()))
}
