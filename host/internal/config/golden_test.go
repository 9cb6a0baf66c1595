package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// canary is the secret of the golden cases: it stands in the environment, in files
// and in plain in YAML, and never in what is told.
const canary = "canary-f3b1c9"

func slackManifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "slack", Label: "Slack", Version: "1.0.0", Every: 20,
		Connectors: []sdk.Connector{{Name: "members"}, {Name: "channels"}},
		SettingsSchema: []byte(`{
			"$id": "https://example.invalid/slack", "$ref": "#/$defs/Settings",
			"$defs": {
				"Settings": {"type": "object", "additionalProperties": false, "required": ["token"], "properties": {
					"token": {"type": "string", "x-secret": true, "minLength": 8, "pattern": "^(xox|canary)"},
					"channels": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
					"thread_days": {"type": "integer", "minimum": 1, "maximum": 365},
					"mode": {"enum": ["fast", "full"]},
					"api_url": {"type": "string", "format": "uri"},
					"proxy": {"$ref": "#/$defs/Proxy"},
					"archive": {"type": "string", "x-path": true},
					"archives": {"type": "array", "x-path": true, "items": {"type": "string"}}
				}},
				"Proxy": {"type": "object", "additionalProperties": false, "properties": {
					"host": {"type": "string"}, "password": {"type": "string", "format": "password", "maxLength": 64}
				}}
			}
		}`),
	}
}

func pickyManifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "picky", Label: "Picky", Version: "1.0.0", Kind: sdk.KindOperation,
		SettingsSchema: []byte(`{"type": "object", "properties": {"path": {"type": "string"}, "paths": {"type": "array"}, "odd": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}},
			"anyOf": [{"required": ["path"]}, {"required": ["paths"]}]}`),
	}
}

func testOptions() Options {
	manifests := map[string]sdk.Manifest{
		"slack": slackManifest(), "picky": pickyManifest(),
		"both":   {Name: "both", Label: "Both", Version: "1.0.0", Kind: sdk.KindCombined, Every: 15, Connectors: []sdk.Connector{{Name: "calls"}}, SettingsSchema: []byte(`{"type": "object"}`)},
		"broken": {Name: "broken", SettingsSchema: []byte(`{"$ref": "file:///etc/passwd"}`)},
	}
	env := map[string]string{"SLACK_TOKEN": canary, "EMPTY": "", "CHANNEL": "general", "BAD_UTF8": "\xff"}
	return Options{
		Plugins:   func(name string) (sdk.Manifest, bool) { m, ok := manifests[name]; return m, ok },
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Redactor:  &secret.Redactor{},
		HostFault: endpoint.HostFault,
		CheckTemplate: func(t store.Template) []TemplateFault {
			var out []TemplateFault
			for _, f := range endpoint.NewCompiler().Check(t) {
				out = append(out, TemplateFault(f))
			}
			return out
		},
		CheckOverride: func(t store.Template) []TemplateFault {
			var out []TemplateFault
			for _, f := range endpoint.NewCompiler().CheckOverride(t) {
				out = append(out, TemplateFault(f))
			}
			return out
		},
		Template: func(name string) (store.Template, bool) {
			return store.Template{Name: name, Parameters: []store.TemplateParameter{{Name: "old"}}}, name == "was-good"
		},
	}
}

// rows: G01, G02, G09, G10, G18, G31, G32, G33, O44, O03, O07, O08, O09, O10, O13, O14, O23, O26, O34, O43, C01, C03, C59, F17, E04, E05, F20
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "tenants"), 0o700))
			golden := map[string]string{}
			for _, f := range archive.Files {
				if f.Name == "error" || f.Name == "result" {
					golden[f.Name] = string(f.Data)
					continue
				}
				path := filepath.Join(dir, f.Name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				require.NoError(t, os.WriteFile(path, f.Data, 0o600))
			}
			snap := Load(filepath.Join(dir, "host.yaml"), testOptions())
			got := map[string]string{
				"error":  strings.ReplaceAll(problemText(snap.Problems), dir+"/", ""),
				"result": strings.ReplaceAll(resultText(t, snap), dir+"/", ""),
			}
			require.NotContains(t, got["error"], canary)
			encoded, err := json.Marshal(snap)
			require.NoError(t, err)
			require.NotContains(t, string(encoded), canary)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", snap.Files, snap.Problems, snap.Integrations()), canary)
			if os.Getenv("JACKFIELD_UPDATE") != "" {
				files := slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "error" || f.Name == "result" })
				for _, name := range slices.Sorted(maps.Keys(got)) {
					if got[name] != "" {
						files = append(files, txtar.File{Name: name, Data: []byte(got[name])})
					}
				}
				archive.Files = files
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o600))
				return
			}
			require.Equal(t, golden["error"], got["error"])
			require.Equal(t, golden["result"], got["result"])
		})
	}
}

func problemText(p Problems) string {
	var b bytes.Buffer
	_ = p.Render(&b, false)
	return b.String()
}

// resultText tells what the good files declare.
func resultText(t *testing.T, snap Snapshot) string {
	t.Helper()
	var b strings.Builder
	templates, _ := snap.GoodTemplates()
	for _, tpl := range templates {
		text, err := json.MarshalIndent(tpl, "", " ")
		require.NoError(t, err)
		fmt.Fprintf(&b, "template %s\n", text)
	}
	for _, in := range snap.Integrations() {
		s := in.Spec
		fmt.Fprintf(&b, "%s plugin=%s label=%q connectors=%q every=%d concurrency=%d enabled=%v line=%d checked=%v", in.FullName(), s.Plugin, s.Label, s.Connectors, s.Every, s.Concurrency, s.Enabled, s.Line, in.Checked)
		if s.Template != "" {
			fmt.Fprintf(&b, " template=%s description=%q callcenter=%q host=%q info=%s iframe=%s", s.Template, s.Description, s.Callcenter, s.Host, s.Info, s.Iframe)
		}
		if s.Cron != "" {
			fmt.Fprintf(&b, " cron=%q timezone=%q", s.Cron, s.Timezone)
		}
		if s.FinishOnDisable {
			b.WriteString(" on_disable=finish")
		}
		if s.LogWarnings {
			b.WriteString(" log_warnings")
		}
		if s.PageSize != 0 {
			fmt.Fprintf(&b, " page_size=%d", s.PageSize)
		}
		if s.Lookup != 0 {
			fmt.Fprintf(&b, " lookup=%s", s.Lookup)
		}
		if s.OnTypeChange != store.TypesPass {
			fmt.Fprintf(&b, " on_type_change=%s", s.OnTypeChange)
		}
		if s.OnboardingMaxAge != 7*24*time.Hour { // the default
			fmt.Fprintf(&b, " onboarding_max_age=%s", s.OnboardingMaxAge)
		}
		for _, key := range slices.Sorted(maps.Keys(in.Origins)) {
			fmt.Fprintf(&b, " %s:%s", key, in.Origins[key])
		}
		if in.Limit != nil {
			fmt.Fprintf(&b, " limit=%d/%s*%g", in.Limit.Records, in.Limit.Per, in.Limit.OnboardingFactor)
		}
		settings := strings.ReplaceAll(in.Settings.Reveal("golden"), canary, "CANARY")
		fmt.Fprintf(&b, "\n  settings=%s\n", settings)
	}
	return b.String()
}
