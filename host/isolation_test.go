//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/sandbox"
)

// tenantProcess is the process that a plugin has for one tenant.
type tenantProcess struct {
	Tenant, Version, State string
	PID, Restarts          int
}

// isolatedPlugin is a plugin that has them.
type isolatedPlugin struct {
	State, Isolation string
	PID, Restarts    int
	Processes        []tenantProcess
}

// isolated returns the plugin, and its processes by tenant.
func (s *site) isolated(plugin string) (doc isolatedPlugin, by map[string]tenantProcess) {
	s.t.Helper()
	var all struct{ Plugin json.RawMessage }
	s.read(&all, "plugin", "show", plugin)
	require.NoError(s.t, json.Unmarshal(all.Plugin, &doc))
	by = map[string]tenantProcess{}
	for _, p := range doc.Processes {
		if p.State != "draining" {
			by[p.Tenant] = p
		}
	}
	return doc, by
}

// rows: H24, P09, P04, L02, I09, O22, C60
//
// With isolation: tenant each tenant has a process of the plugin. It reaches the hosts
// and reads the files that its own tenant's settings name, and not the other's; when
// one is killed the other goes on; a new version and a restart replace both.
func TestEachTenantHasAProcessOfThePlugin(t *testing.T) {
	t.Parallel()
	s := newReachSite(t, "egress: {allow: [127.0.0.1]}\nplugins: {reach: {isolation: tenant}, load: {isolation: tenant}, max_processes: 4}\n")
	tenants := []string{"acme", "globex"}
	own, other := map[string]string{}, map[string]string{"acme": "globex", "globex": "acme"}
	get, read := []string{}, []string{}
	for _, tenant := range tenants {
		own[tenant] = teapot(t)
		get, read = append(get, own[tenant]), append(read, filepath.Join(s.dir, "file-of-"+tenant))
		require.NoError(t, os.WriteFile(read[len(read)-1], []byte(tenant), 0o600))
	}
	declare := func(number int) {
		for _, tenant := range tenants {
			settings, err := json.Marshal(map[string]any{"url": own[tenant], "get": get, "path": filepath.Join(s.dir, "file-of-"+tenant), "read": read, "number": number})
			require.NoError(t, err)
			s.write("tenants/"+tenant+".yaml", fmt.Sprintf("tenant: %s\nintegrations:\n  - {name: a, plugin: reach, every: -1, settings: %s}\n"+
				"  - {name: load, plugin: load, connectors: [things], every: -1, settings: {streams: 1, pages: 1, records: 1}}\n", tenant, settings))
		}
	}
	declare(1)
	d := s.start()
	s.ready()
	s.until("the plugins take work", func() bool {
		_, err := s.try("integration", "show", "globex/a")
		takes := func(plugin string) bool { return slices.Contains([]string{"idle", "serving"}, s.file(plugin).State) }
		return err == nil && takes("reach") && takes("load")
	})

	full := sandbox.New(sandbox.Options{}).Verdict().Level == sandbox.Full
	for _, tenant := range tenants {
		got := s.triesOf(tenant + "/a")
		require.Equal(t, "reached", got["get "+own[tenant]].Code, got)
		denied := got["get "+own[other[tenant]]]
		require.Equal(t, "egress_host", denied.Code, "the host of the other tenant: %v", got)
		require.Contains(t, denied.Message, "plugin reach of tenant "+tenant+" may not connect")
		require.Equal(t, "reached", got["read file-of-"+tenant].Code, got)
		if full {
			require.Contains(t, got["read file-of-"+other[tenant]].Message, "permission denied", "the file of the other tenant: %v", got)
		}
		require.Contains(t, d.log.String(), "connection of a plugin refused: plugin=reach tenant="+tenant)
	}
	reach, before := s.isolated("reach")
	require.Equal(t, "tenant", reach.Isolation)
	require.Equal(t, "serving", reach.State)
	require.Zero(t, reach.PID)
	require.Len(t, before, 2)
	require.NotEqual(t, before["acme"].PID, before["globex"].PID)
	require.Contains(t, s.cli("plugin", "list"), "2 processes")
	show := s.cli("plugin", "show", "reach")
	for _, word := range []string{`isolation\s+tenant: each tenant has a process of its own`, `(?m)^acme\s+1\.0\.0\s+serving\s+` + fmt.Sprint(before["acme"].PID)} {
		require.Regexp(t, word, show)
	}
	require.Contains(t, s.cli("status"), "2 processes")
	doctor, _ := s.try("doctor") // whatever else it finds
	require.Contains(t, doctor, "reach: a process for each tenant, 4 at most")

	require.NoError(t, syscall.Kill(before["acme"].PID, syscall.SIGKILL))
	s.until("its end is seen", func() bool { all, _ := s.isolated("reach"); return all.Restarts == 1 })
	require.Equal(t, "reached", s.triesOf("acme/a")["get "+own["acme"]].Code, "the next call starts another")
	_, after := s.isolated("reach")
	require.Equal(t, before["globex"].PID, after["globex"].PID)
	require.NotEqual(t, before["acme"].PID, after["acme"].PID)

	s.cli("plugin", "restart", "reach")
	s.until("both are new", func() bool {
		_, now := s.isolated("reach")
		return len(now) == 2 && now["acme"].PID != after["acme"].PID && now["globex"].PID != after["globex"].PID
	})

	for _, tenant := range tenants {
		s.cli("integration", "sync", tenant+"/load", "--wait", "-q")
	}
	_, old := s.isolated("load")
	require.Len(t, old, 2)
	s.upgrade("2.0.0", "")
	s.until("the new version serves both", func() bool {
		_, now := s.isolated("load")
		return now["acme"].Version == "2.0.0" && now["globex"].Version == "2.0.0" && now["acme"].PID != old["acme"].PID && now["globex"].PID != old["globex"].PID
	})
	for _, tenant := range tenants {
		s.cli("integration", "sync", tenant+"/load", "--wait", "-q", "--force")
	}
	d.stop(t)
	require.Empty(t, s.processes())
	require.NotContains(t, strings.ReplaceAll(d.log.String(), "plugin is down", ""), "does not take over")
}
