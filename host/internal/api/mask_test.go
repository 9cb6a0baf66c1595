package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: O43, O47
func TestMaskSettings(t *testing.T) {
	t.Parallel()
	const schema = `{
		"type": "object",
		"properties": {
			"path": {"type": "string"},
			"depth": {"type": "integer"},
			"token": {"type": "string", "x-secret": true},
			"password": {"type": "string", "format": "password"},
			"pin": {"type": "integer", "writeOnly": true},
			"channels": {"type": "array", "items": {"type": "string"}},
			"keys": {"type": "array", "items": {"type": "string", "x-secret": true}},
			"proxy": {"$ref": "#/$defs/Proxy"},
			"labels": {"type": "object", "additionalProperties": {"type": "string"}},
			"free": {"type": "object", "additionalProperties": true},
			"lost": {"$ref": "#/$defs/Nobody"}
		},
		"$defs": {"Proxy": {"type": "object", "properties": {
			"url": {"type": "string"},
			"user": {"type": "object", "properties": {"name": {"type": "string"}, "secret": {"type": "string", "x-secret": true}}}
		}}}
	}`
	redact := func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
	for name, c := range map[string]struct{ settings, schema, want string }{
		"Plain":         {`{"path":"/src","depth":3,"channels":["a","b"]}`, schema, `{"path":"/src","depth":3,"channels":["a","b"]}`},
		"Secret":        {`{"token":"xoxb-1"}`, schema, `{"token":"***"}`},
		"Password":      {`{"password":"x"}`, schema, `{"password":"***"}`},
		"WriteOnly":     {`{"pin":1234}`, schema, `{"pin":"***"}`},
		"SecretItems":   {`{"keys":["x","y"]}`, schema, `{"keys":["***","***"]}`},
		"Nested":        {`{"proxy":{"url":"http://p","user":{"name":"n","secret":"s"}}}`, schema, `{"proxy":{"url":"http://p","user":{"name":"n","secret":"***"}}}`},
		"NestedUnknown": {`{"proxy":{"other":"x"}}`, schema, `{"proxy":{"other":"***"}}`},
		"Map":           {`{"labels":{"a":"b"}}`, schema, `{"labels":{"a":"b"}}`},
		"AnyMap":        {`{"free":{"a":"b"}}`, schema, `{"free":{"a":"***"}}`},
		"LostReference": {`{"lost":"x"}`, schema, `{"lost":"***"}`},
		"Unknown":       {`{"other":"x"}`, schema, `{"other":"***"}`},
		"KnownSecret":   {`{"path":"https://me:hunter2@host/"}`, schema, `{"path":"https://me:***@host/"}`},
		"NoSchema":      {`{"path":"/src","depth":3}`, ``, `{"path":"***","depth":"***"}`},
		"BadSchema":     {`{"path":"/src"}`, `{`, `{"path":"***"}`},
		"NullSchema":    {`{"path":"/src"}`, `null`, `{"path":"***"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := maskSettings([]byte(c.settings), []byte(c.schema), redact)
			require.JSONEq(t, c.want, string(got))
		})
	}
	require.Nil(t, maskSettings(nil, []byte(schema), redact))
	require.Nil(t, maskSettings([]byte("{"), []byte(schema), redact))
}

func FuzzMaskSettings(f *testing.F) {
	f.Add([]byte(`{"a":{"b":["x"]}}`), []byte(`{"properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"$ref":"#/$defs/A"}}}`))
	f.Add([]byte(`{"a":1}`), []byte(`{"properties":{"a":null},"$defs":{"x":null}}`))
	f.Add([]byte(`[1,"x",null]`), []byte(`{"items":{"x-secret":true}}`))
	f.Fuzz(func(t *testing.T, settings, schema []byte) {
		const secret = "canary-secret"
		out := maskSettings(settings, schema, func(s string) string { return strings.ReplaceAll(s, secret, masked) })
		require.NotContains(t, string(out), secret)
	})
}
