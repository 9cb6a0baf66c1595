package sdk

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: P09
func TestHostsOfAManifest(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"slack.com", "*.slack.com", "files.slack.com:8443", "*.slack.com:80", "10.1.2.3", "10.1.2.3:80", "[fd00::1]:80", "fd00::1", "localhost", "a_b.example"} {
		require.True(t, ValidHost(good), good)
	}
	for _, bad := range []string{"", "*", "*.", "*.com", "*.1.2.3.4", "a.*.com", "Slack.com", "https://slack.com", "slack.com/x", "slack.com:0", "slack.com:x", "slack.com:99999", "slack.com.", ".slack.com", "slack..com", "127.1", "-a.example", "a b", "bücher.example", "a.example:"} {
		require.False(t, ValidHost(bad), bad)
	}
	m := Manifest{Name: "crm", Label: "CRM", Version: "1", Connectors: []Connector{{Name: "a"}}, Hosts: []string{"slack.com", "*.slack.com"}}
	require.NoError(t, m.Validate())
	m.Hosts = []string{"slack.com", "slack.com", "*"}
	err := m.Validate()
	require.ErrorContains(t, err, `hosts[1] "slack.com": named twice`)
	require.ErrorContains(t, err, `hosts[2] "*"`)
	m.Hosts = nil
	for n := range MaxHosts + 1 {
		m.Hosts = append(m.Hosts, fmt.Sprintf("h%d.example", n))
	}
	require.ErrorContains(t, m.Validate(), "257 are named, 256 are allowed")
}
