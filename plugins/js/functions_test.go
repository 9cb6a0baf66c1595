package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// rows: G30
func TestAFolderThatCannotBeRunSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plugin.yaml"), []byte(describes), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "function.ts"), []byte("export function getDataIframe() {\n  let 1;\n}"), 0o600))
	_, err := loadDir(dir)
	require.Error(t, err)
	_, err = plugin.Describe(faulty{err})
	require.Equal(t, "plugin_faulty", sdk.AsError(err).Code)
	require.ErrorContains(t, err, "function.ts:2:")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "function.ts"), []byte("export function getDataIframe() {}"), 0o600))
	f, err := loadDir(dir)
	require.NoError(t, err)
	m, err := plugin.Describe(f)
	require.NoError(t, err)
	require.Equal(t, []string{"getDataIframe"}, m.Hooks)
	m, err = plugin.Describe(runtimeItself{})
	require.NoError(t, err)
	require.Empty(t, m.Hooks)
}

// rows: G30
func TestSettingsOfAFolderAreASchema(t *testing.T) {
	t.Parallel()
	f, err := made(map[string]string{
		"function.ts": "export function getDataIframe() {}\nexport async function check() {}",
		"plugin.yaml": describes + "manifest:\n  label: Acme CRM\n  hosts: [api.acme.example]\n  template: acme\n  concurrency: 4\n  settings:\n" +
			"    key: {type: string, secret: true, required: true}\n    pages: {type: integer, default: 3}\n",
	})
	require.NoError(t, err)
	m := f.Manifest()
	require.Equal(t, "Acme CRM", m.Label)
	require.Equal(t, "acme", m.Template)
	require.Equal(t, 4, m.Limits.Concurrency)
	require.Equal(t, []string{"api.acme.example"}, m.Hosts)
	require.True(t, m.Has(sdk.CanCheck))
	require.JSONEq(t, `{"type":"object","additionalProperties":false,"required":["key"],"properties":{
		"key":{"type":"string","x-secret":true},"pages":{"type":"integer","default":3}}}`, string(m.SettingsSchema))
}

// rows: C01
func TestSettingsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	f, err := made(map[string]string{
		"function.ts": "export function getDataIframe() {}",
		"plugin.yaml": describes + "manifest:\n  settings:\n    key: {type: string, secret: true, required: true}\n    pages: {type: integer}\n",
	})
	require.NoError(t, err)
	for settings, says := range map[string]string{
		`{"key":"k","pages":2}`:          "",
		`{"key":"k","no_such":"canary"}`: `setting "no_such" is unknown`,
		`{"pages":2}`:                    `setting "key" is missing`,
		`{"key":{"of":"canary"}}`:        `setting "key" is not as plugin.yaml says`,
		`{"key":"k","pages":"canary"}`:   `setting "pages" is not as plugin.yaml says`,
		`["canary"]`:                     "is not as plugin.yaml says",
		`canary`:                         "no JSON",
	} {
		_, err := f.Open(t.Context(), sdk.Integration{Settings: sdk.NewSettings([]byte(settings))})
		if says == "" {
			require.NoError(t, err)
			continue
		}
		e := sdk.AsError(err)
		require.Equal(t, sdk.ClassConfig, e.Class, settings)
		require.Contains(t, e.Message, says)
		require.NotContains(t, e.Message, "canary")
	}
	_, err = made(map[string]string{
		"function.ts": "export function getDataIframe() {}",
		"plugin.yaml": describes + "manifest:\n  settings:\n    key: {type: string, pattern: '('}\n",
	})
	require.ErrorContains(t, err, "manifest.settings")
}
