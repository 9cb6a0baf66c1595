package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: P09, E01
func TestEgressIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "host.yaml")
	read := func(text string) (Host, Problems) {
		require.NoError(t, os.WriteFile(path, []byte("version: 1\n"+text), 0o600))
		return LoadHost(path, Options{})
	}
	host, problems := read("egress: {allow: [crm.internal:8443, 10.1.0.0/16, 127.0.0.1, \"[fd00::1]:443\"]}\nplugins: {network: {slack: direct, git: proxy}}\n")
	require.Empty(t, problems)
	require.Len(t, host.Egress.Grants(), 4)
	require.Equal(t, "crm.internal", host.Egress.Grants()[0].Name)
	require.Equal(t, NetworkDirect, host.Plugins.NetworkOf("slack"))
	require.Equal(t, NetworkProxy, host.Plugins.NetworkOf("git"))
	require.Equal(t, NetworkProxy, host.Plugins.NetworkOf("other"))

	for text, want := range map[string]struct {
		code, help string
		col        int
	}{
		"egress: {allow: [\"*.internal\"]}\n":      {CodeBadValue, "such as crm.internal:8443", 18},
		"egress: {allow: [10.0.0.1/8]}\n":          {CodeBadValue, "10.0.0.0/8", 18},
		"egress: {allow: [0.0.0.0/0]}\n":           {CodeBadValue, "name what is needed", 18},
		"egress: {allow: [0x7f.1]}\n":              {CodeBadValue, "four decimal numbers", 18},
		"egress: {allow: [a.lan, a.lan]}\n":        {CodeDuplicateName, "", 25},
		"egress: {allow: a.lan}\n":                 {CodeBadType, "allow: [", 17},
		"egress: {allow: [[a.lan]]}\n":             {CodeBadType, "", 18},
		"egress: {deny: [a.lan]}\n":                {CodeUnknownKey, "allow", 10},
		"egress: [a.lan]\n":                        {CodeBadType, "", 9},
		"plugins: {network: {slack: open}}\n":      {CodeBadValue, "one of proxy, direct", 28},
		"plugins: {network: {Slack: direct}}\n":    {CodeBadName, "", 21},
		"plugins: {network: direct}\n":             {CodeBadType, "network: {slack: direct}", 20},
		"plugins: {network: {slack: {a: direct}}}": {CodeBadType, "", 28},
	} {
		_, problems := read(text)
		require.Len(t, problems, 1, text)
		require.Equal(t, want.code, problems[0].Code, text)
		require.Equal(t, 2, problems[0].Line, text)
		require.Equal(t, want.col, problems[0].Col, text)
		require.Contains(t, problems[0].Help, want.help, text)
	}
}

// rows: P09
func TestNetworkNeedsARestartAndGrantsDoNot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "host.yaml")
	require.NoError(t, os.WriteFile(path, []byte("version: 1\nplugins: {network: {slack: direct}}\negress: {allow: [a.lan]}\n"), 0o600))
	running := Default(path)
	s := Load(path, Options{Running: &running})
	require.Equal(t, NetworkProxy, s.Host.Plugins.NetworkOf("slack"))
	require.Len(t, s.Host.Egress.Grants(), 1)
	found := false
	for _, p := range s.Problems {
		found = found || p.Code == CodeNeedsRestart && p.Message == "plugins.network is read at the start alone; the daemon goes on with what it had"
	}
	require.True(t, found, s.Problems)
}

// rows: P09
func TestSettingsNameHosts(t *testing.T) {
	t.Parallel()
	schema := []byte(`{"type": "object", "properties": {
		"api_url": {"type": "string", "format": "uri"},
		"server": {"type": "string", "format": "hostname"},
		"namespace": {"type": "string", "format": "uri", "x-host": false},
		"nodes": {"type": "array", "x-host": true, "items": {"type": "string"}},
		"mirrors": {"type": "array", "items": {"type": "string", "format": "uri"}},
		"db": {"$ref": "#/$defs/db"},
		"token": {"type": "string"}
	}, "$defs": {"db": {"properties": {"at": {"type": "string", "x-host": true}, "name": {"type": "string"}}}}}`)
	settings := []byte(`{"api_url": "https://crm.example/api", "server": "mail.example", "namespace": "https://ns.example/", "nodes": ["a:1", "b:2"],
		"mirrors": ["https://m.example"], "db": {"at": "db.lan:5432", "name": "https://no.example"}, "token": "https://t.example", "other": "https://o.example"}`)
	require.Equal(t, []string{"a:1", "b:2", "db.lan:5432", "https://crm.example/api", "https://m.example", "mail.example"}, Hosts(schema, settings))
	require.Empty(t, Hosts(nil, settings))
	require.Empty(t, Hosts(schema, []byte("no JSON")))
	require.True(t, NamesHost(schema, "api_url", []byte(`"https://x.example"`)))
	require.True(t, NamesHost(schema, "db", []byte(`{"at": "x"}`)))
	require.False(t, NamesHost(schema, "token", []byte(`"https://x.example"`)))
	require.False(t, NamesHost(schema, "namespace", []byte(`"https://x.example"`)))
}
