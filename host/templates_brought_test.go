package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
)

const plainTemplate = `name: crm
type: CRM
parameters: [{name: key, in: header}]
endpoints:
  - {name: find, type: GetData, url: "https://{{ host }}/contacts"}
`

// A template that a plugin brings along may call what the plugin may, and takes its
// fields from its settings. What is wrong is told with its place.
//
// rows: P09, G01
func TestATemplateOfAPluginCallsWhatThePluginMay(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","properties":{"host":{"type":"string","x-host":true},"key":{"type":"string","x-secret":true}}}`
	url := func(url string) string { return strings.Replace(plainTemplate, "https://{{ host }}/contacts", url, 1) }
	for name, c := range map[string]struct{ text, schema, says string }{
		"its host":                 {text: plainTemplate},
		"its host with a port":     {text: url("http://{{host}}:8080")},
		"a relative address":       {text: url("/contacts?next=%2F")},
		"a host of the manifest":   {text: url("https://api.acme.example/x")},
		"one below it":             {text: url("https://eu.acme.test/x")},
		"no host at all":           {text: strings.Split(plainTemplate, "endpoints:")[0] + "endpoints: []\n", schema: `{"properties":{"key":{}}}`},
		"another host":             {text: url("https://elsewhere.example/x"), says: "template.yaml:5:38: "},
		"another port":             {text: url("https://api.acme.example:8443/x"), says: "template.yaml:5:38: "},
		"a host that begins so":    {text: url("https://api.acme.example{{ fields.key }}/x"), says: "or those that the manifest names"},
		"a host behind its own":    {text: url("https://{{ host }}.elsewhere.example/x"), says: "or those that the manifest names"},
		"a user":                   {text: url("https://api.acme.example@elsewhere.example/x"), says: "or those that the manifest names"},
		"a host of a field":        {text: url("https://{{ fields.key }}/x"), says: "or those that the manifest names"},
		"another host's token":     {text: plainTemplate + "auth: {type: oauth2_client, token_url: \"https://elsewhere.example/t\", client_id: a, client_secret: \"{{ fields.key }}\"}\n", says: "auth.token_url: "},
		"a base elsewhere":         {text: plainTemplate + "request: {base_url: \"https://elsewhere.example\"}\n", says: "request.base_url: "},
		"a field that is none":     {text: plainTemplate, schema: `{"properties":{"host":{"x-host":true}}}`, says: `template.yaml:3:21: the plugin has no setting "key"`},
		"a host that may be moved": {text: plainTemplate, schema: `{"properties":{"host":{"type":"string"},"key":{}}}`, says: `no setting "host" of the plugin names one`},
		"another name":             {text: strings.Replace(plainTemplate, "name: crm", "name: other", 1), says: "template.yaml:1:7: "},
		"no YAML":                  {text: "name: [", says: "template.yaml:2:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sdk.Manifest{Name: "crm", TemplateText: []byte(c.text), SettingsSchema: []byte(schema), Hosts: []string{"api.acme.example", "*.acme.test"}}
			if c.schema != "" {
				m.SettingsSchema = []byte(c.schema)
			}
			spec, err := broughtSpec(endpoint.NewCompiler(), m)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "crm", spec.Plugin)
			if c.schema == "" {
				require.True(t, spec.Secrets()["key"], "its setting is a secret")
			}
		})
	}
}
