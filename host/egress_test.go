//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/egress"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/host/internal/telemetry"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// reachSite is a site with the plugin reach, which connects to where it is told.
type reachSite struct{ *site }

func newReachSite(t *testing.T, hostYAML string) reachSite {
	t.Helper()
	s := newSite(t, nil)
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\ndata: ./data\ntenants: ./tenants\n"+hostYAML)
	s.install("reach")
	s.cli("plugin", "approve", "reach")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "tenants", "acme.yaml")))
	return reachSite{s}
}

// declare writes the tenant's file: each integration with its settings.
func (s reachSite) declare(settings map[string]map[string]any) {
	s.t.Helper()
	text := "tenant: acme\nintegrations:\n"
	for name, set := range settings {
		raw, err := json.Marshal(set)
		require.NoError(s.t, err)
		text += fmt.Sprintf("  - {name: %s, plugin: reach, every: -1, settings: %s}\n", name, raw)
	}
	s.write("tenants/acme.yaml", text)
}

// serves waits until the plugin takes work of integrations.
func (s reachSite) serves() {
	s.t.Helper()
	s.until("the plugin serves", func() bool {
		return strings.Contains(s.cli("plugin", "list"), "serving") && s.shown("acme/a").ID != ""
	})
}

// outcome is what came of an attempt to connect.
type outcome struct {
	Code, Class, Message string
	PID                  int
}

// tries runs an integration and returns what came of its attempts.
func (s reachSite) tries(name string) map[string]outcome {
	s.t.Helper()
	return s.triesOf("acme/" + name)
}

func (s reachSite) triesOf(name string) map[string]outcome {
	s.t.Helper()
	s.cli("integration", "sync", name, "--wait", "-q")
	var doc struct {
		Records []struct {
			ExternalID string `json:"external_id"`
			Data       outcome
		}
	}
	s.read(&doc, "record", "list", "--integration", name, "--limit", "1000")
	out := map[string]outcome{}
	for _, r := range doc.Records {
		out[r.ExternalID] = r.Data
	}
	return out
}

func teapot(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return server.URL
}

// rows: P09, E01
//
// A plugin reaches what its manifest and the settings of its integrations name, as
// long as they do, and as far as the operator lets it; everything else is an error
// that says how to cure it.
func TestP09APluginReachesWhatIsNamed(t *testing.T) {
	t.Parallel()
	first, second := teapot(t), teapot(t)
	s := newReachSite(t, "egress: {allow: [127.0.0.1]}\n")
	get := []string{first + "/a", second + "/b", "http://169.254.169.254/latest", "https://x.reach.example/", "https://evil.example/"}
	s.declare(map[string]map[string]any{"a": {"url": first, "get": get}})
	s.start()
	s.ready()
	s.serves()

	got := s.tries("a")
	require.Equal(t, "reached", got["get "+get[0]].Code, got)
	require.Equal(t, "egress_host", got["get "+get[1]].Code, got)
	for _, word := range []string{"plugin reach", strings.TrimPrefix(second, "http://"), "(hint: ", "plugins: {network: {reach: direct}}"} {
		require.Contains(t, got["get "+get[1]].Message, word)
	}
	require.Equal(t, "config", got["get "+get[1]].Class)
	require.Equal(t, "egress_address", got["get "+get[2]].Code, "its manifest names the address of the metadata, which opens nothing")
	require.Equal(t, "egress_unreachable", got["get "+get[3]].Code, got)
	require.Equal(t, "transient", got["get "+get[3]].Class)
	require.Equal(t, "egress_host", got["get "+get[4]].Code)
	pid := got["get "+get[0]].PID

	// Of two integrations in one process each may reach what the other names.
	s.declare(map[string]map[string]any{"a": {"url": first, "get": get, "number": 2}, "b": {"more": []string{strings.TrimPrefix(second, "http://")}, "get": get}})
	s.cli("reload")
	require.Equal(t, "reached", s.tries("b")["get "+get[1]].Code)
	got = s.tries("a")
	require.Equal(t, "reached", got["get "+get[0]].Code)
	require.Equal(t, "reached", got["get "+get[1]].Code)

	// One that is stopped names nothing any more, and no process was started anew.
	s.cli("integration", "disable", "acme/b")
	s.until("the host of b is closed", func() bool { return s.tries("a")["get "+get[1]].Code == "egress_host" })
	s.declare(map[string]map[string]any{"a": {"url": second, "get": get, "number": 3}})
	s.cli("reload")
	s.until("the host before is closed", func() bool {
		got = s.tries("a")
		return got["get "+get[0]].Code == "egress_host" && got["get "+get[1]].Code == "reached"
	})
	require.Equal(t, pid, got["get "+get[1]].PID)

	// What is tried without being kept is reached for as long as it is tried.
	out, err := s.try("integration", "check", "acme/a", "--settings", s.path("first.json", `{"url": "`+first+`"}`))
	require.NoError(t, err, out)
	require.Equal(t, "egress_host", s.tries("a")["get "+get[0]].Code)

	// The operator's grant follows host.yaml.
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\ndata: ./data\ntenants: ./tenants\n")
	s.cli("reload")
	got = s.tries("a")
	require.Equal(t, "egress_address", got["get "+get[1]].Code)
	require.Contains(t, got["get "+get[1]].Message, `egress: {allow: [`)

	token, err := os.ReadFile(filepath.Join(s.dir, "data", metricsTokenName))
	require.NoError(t, err)
	_, metrics := s.get("http://"+s.httpAddress()+"/metrics", strings.TrimSpace(string(token)))
	require.Regexp(t, `jackfield_plugin_egress_total\{plugin="reach",result="connected"\} [1-9]`, metrics)
	require.Regexp(t, `jackfield_plugin_egress_total\{plugin="reach",result="refused"\} [1-9]`, metrics)
	require.Regexp(t, `jackfield_plugin_egress_bytes_total\{direction="received",plugin="reach"\} [1-9]`, metrics)
	lock, err := os.ReadFile(filepath.Join(s.dir, "plugins.lock"))
	require.NoError(t, err)
	require.Contains(t, string(lock), "*.reach.example", "what it may reach is reviewed with its digest")
	require.Contains(t, s.cli("plugin", "show", "reach"), "*.reach.example")
	require.Contains(t, s.cli("plugin", "show", "reach", "-o", "json"), `"network": "proxy"`)
}

// rows: P09
//
// A host that policy refuses is wrong in the settings: it is not tried again and
// again. What a plugin keeps of its own does not widen what it may reach.
func TestP09WhatIsRefusedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	first := teapot(t)
	s := newReachSite(t, "egress: {allow: [127.0.0.1]}\n")
	s.declare(map[string]map[string]any{"a": {"must": "https://evil.example/"}, "b": {"widen": first}})
	s.start()
	s.ready()
	s.serves()
	for name, want := range map[string]failureDoc{
		"a": {Code: "egress_host", Class: "config"}, "b": {Code: "apply_rejected", Class: "system"},
	} {
		_, _ = s.try("integration", "sync", "acme/"+name, "--wait", "-q")
		var doc struct{ Runs []runDoc }
		s.read(&doc, "run", "list", "--integration", "acme/"+name, "--limit", "1")
		run := doc.Runs[0]
		require.Equal(t, string(store.RunError), run.State)
		require.NotNil(t, run.Failure)
		require.Equal(t, want.Code, run.Failure.Code)
		require.Equal(t, want.Class, run.Failure.Class)
		require.Equal(t, 1, s.streams(run.ID)[0].Attempts)
	}
}

// rows: P09
func TestP09AnOperatorLetsAPluginConnectByItself(t *testing.T) {
	t.Parallel()
	first := teapot(t)
	s := newReachSite(t, "plugins: {network: {reach: direct}}\n")
	s.declare(map[string]map[string]any{"a": {"get": []string{first}, "dial": []string{strings.TrimPrefix(first, "http://")}}})
	s.start()
	s.ready()
	s.serves()
	got := s.tries("a")
	require.Equal(t, "reached", got["get "+first].Code, got)
	require.Equal(t, "reached", got["dial "+strings.TrimPrefix(first, "http://")].Code, got)
	require.Contains(t, s.cli("plugin", "show", "reach", "-o", "json"), `"network": "direct"`)
}

// rows: P09
//
// What a program says of itself when it runs does not widen what was approved.
func TestP09TheApprovedManifestCounts(t *testing.T) {
	t.Parallel()
	approved := sdk.Manifest{Name: "crm", Hosts: []string{"api.crm.example"}, SettingsSchema: []byte(`{"properties": {"url": {"format": "uri"}}}`)}
	said := sdk.Manifest{Name: "crm", Hosts: []string{"evil.example"}, SettingsSchema: []byte(`{"properties": {"url": {"format": "uri"}, "note": {"format": "uri"}}}`)}
	metrics := telemetry.New(telemetry.Options{
		Plugins: func() []telemetry.Plugin { return nil },
		Store:   func(context.Context) (store.Gauges, error) { return store.Gauges{}, nil },
	})
	for _, known := range []bool{true, false} {
		ways := &ways{
			guard: egress.New(egress.Options{}), metrics: metrics, log: hclog.NewNullLogger(),
			network: func(string) config.Network { return config.NetworkProxy },
			room:    func() error { return nil },
			kept: func(string) (sdk.Manifest, error) {
				if known {
					return approved, nil
				}
				return sdk.Manifest{}, fs.ErrNotExist
			},
		}
		out, err := ways.open(t.Context(), supervisor.Binary{Name: "crm", Digest: "d"}, t.TempDir())
		require.NoError(t, err)
		out.Describe(said)
		left := out.Open(sdk.Integration{Settings: sdk.NewSettings([]byte(`{"url": "https://own.example:8443/", "note": "https://note.example/"}`))})
		list := out.(*way).list
		require.Equal(t, known, list.Allows("api.crm.example", 443))
		require.Equal(t, !known, list.Allows("evil.example", 443))
		require.Equal(t, !known, list.Allows("note.example", 443))
		require.True(t, list.Allows("own.example", 8443))
		left()
		require.False(t, list.Allows("own.example", 8443))
		out.Close()
	}
}
