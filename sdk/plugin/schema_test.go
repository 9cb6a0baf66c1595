package plugin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

type schemaSettings struct {
	Token    sdk.Secret `json:"token" jsonschema:"title=Bot token,description=From the app's page,minLength=10"`
	Mode     string     `json:"mode,omitempty" jsonschema:"enum=fast,enum=full,default=fast"`
	Channels []string   `json:"channels,omitempty"`
	Proxy    *struct {
		URL      string     `json:"url" jsonschema:"format=uri"`
		Password sdk.Secret `json:"password,omitzero"`
	} `json:"proxy,omitempty"`
}

func TestSchema(t *testing.T) {
	t.Parallel()
	got, err := plugin.Schema(&schemaSettings{})
	require.NoError(t, err)
	require.JSONEq(t, `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"type": "object",
		"additionalProperties": false,
		"required": ["token"],
		"properties": {
			"token": {"type": "string", "title": "Bot token", "description": "From the app's page", "minLength": 10, "writeOnly": true, "x-secret": true},
			"mode": {"type": "string", "enum": ["fast", "full"], "default": "fast"},
			"channels": {"type": "array", "items": {"type": "string"}},
			"proxy": {
				"type": "object", "additionalProperties": false, "required": ["url"],
				"properties": {"url": {"type": "string", "format": "uri"}, "password": {"type": "string", "writeOnly": true, "x-secret": true}}
			}
		}
	}`, string(got))
}

type loop struct {
	Next []loop `json:"next"`
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for _, v := range []any{nil, "text", 1, []schemaSettings{}, map[string]string{}} {
		_, err := plugin.Schema(v)
		require.ErrorContains(t, err, "settings are a struct")
	}
	_, err := plugin.Schema(loop{})
	require.ErrorContains(t, err, "holds itself")
}
