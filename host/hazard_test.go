//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K20
//
// What a plugin starts may not use the API, from the first moment of its process on,
// although it runs as the daemon's user, without the sandbox, and can read the daemon's
// token.
func TestAPluginIsNotTheAdministrator(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who is at the other end")
	}
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	genuine, tries, said := filepath.Join(s.dir, "load.real"), filepath.Join(s.dir, "tries"), filepath.Join(s.dir, "said")
	require.NoError(t, os.Rename(filepath.Join(s.dir, "plugins", "load"), genuine))
	s.place("load", fmt.Appendf(nil, `#!/bin/sh
while [ -e %[1]s ]; do
	JACKFIELD_TOKEN=$(cat %[5]s/data/admin.token) %[4]s/jackfield -c %[5]s/host.yaml integration disable acme/load >%[2]s.new 2>&1
	code=$?
	[ $code = 3 ] && sleep 0.05 && continue # the daemon does not answer yet
	echo "exit code $code" >>%[2]s.new
	mv %[2]s.new %[2]s
	break
done
exec %[3]s
`, tries, said, genuine, s.bin, s.dir), 0o755)
	s.trust("load")
	s.cli("plugin", "approve", "load")
	require.NoError(t, os.WriteFile(tries, nil, 0o600))
	d := s.start()
	s.await(store.RunProcessed)
	text, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Contains(t, string(text), "a plugin's process may not use the API")
	require.Contains(t, string(text), fmt.Sprintf("exit code %d", exitDenied))
	require.Equal(t, "active", s.shown("acme/load").State)
	d.stop(t)
	require.Contains(t, d.log.String(), "refused a plugin's process")
}

// rows: I09, O07
//
// Two tenants have integrations of the same names with the same ids at the remote
// system, in one process of one plugin. Each has its own records, runs, members and
// lines, and what becomes of one is nothing to the other.
func TestTenantsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	tenants := []string{"acme", "umbrella"}
	for _, tenant := range tenants {
		s.write("tenants/"+tenant+".yaml", fmt.Sprintf(`tenant: %[1]s
integrations:
  - {name: load, plugin: load, connectors: [things], every: -1, settings: {streams: 2, pages: 1, records: 5, people: 2, mark: of-%[1]s, rotate: true}}
`, tenant))
	}
	d := s.start()
	for _, tenant := range tenants {
		s.until("the run of "+tenant+" ends", func() bool { return s.runOf(tenant+"/load").State == string(store.RunProcessed) })
	}
	require.Len(t, s.processes(), 1, "one process of the plugin")
	ids := map[string][]string{}
	for n, tenant := range tenants {
		other := tenants[1-n]
		s.until("the members are known", func() bool { return len(s.sourcesOf(tenant)) == 2 })
		for _, args := range [][]string{
			{"record", "list", "-i", tenant + "/load", "--limit", "1000"},
			{"run", "list", "--tenant", tenant},
			{"event", "list", "-i", tenant + "/load"},
			{"member", "list", tenant},
			{"tenant", "show", tenant},
			{"integration", "show", tenant + "/load"},
			{"plugin", "logs", "load", "--tenant", tenant},
		} {
			out := s.cli(append(args, "-o", "json")...)
			require.Contains(t, out, tenant, args)
			require.NotContains(t, out, other, args)
		}
		require.Len(t, s.streams(s.runOf(tenant+"/load").ID), 2)
		var doc struct{ Records []recordDoc }
		s.read(&doc, "record", "list", "-i", tenant+"/load", "--limit", "1000")
		for _, r := range doc.Records {
			ids[tenant] = append(ids[tenant], r.ExternalID)
		}
		slices.Sort(ids[tenant])
	}
	require.NotEmpty(t, ids["acme"])
	require.Equal(t, ids["acme"], ids["umbrella"], "the same ids")

	// One goes away, and its token, cache and records with it.
	before := s.cli("record", "list", "-i", "umbrella/load", "--limit", "1000", "-o", "json")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "tenants", "acme.yaml")))
	s.until("it is seen", func() bool { return s.shown("acme/load").State == "disabled" })
	s.cli("tenant", "delete", "acme", "--yes")
	s.until("acme is gone", func() bool {
		_, err := s.try("tenant", "show", "acme")
		return err != nil
	})
	require.JSONEq(t, before, s.cli("record", "list", "-i", "umbrella/load", "--limit", "1000", "-o", "json"))
	s.cli("integration", "sync", "umbrella/load", "--wait", "-q")
	run := s.runOf("umbrella/load")
	require.Equal(t, string(store.RunProcessed), run.State)
	require.Zero(t, run.Stats.Added)
	require.Contains(t, s.cli("plugin", "logs", "load", "-n", "1000", "--tenant", "umbrella"), "token rotated")
	d.stop(t)
	s.verified()
}

// rows: F05, H29, P08
//
// A plugin that takes more memory than it may have dies alone: that is said, with what
// it was busy with, the other plugin does not notice, and all goes on.
func TestAPluginThatTakesTooMuchMemoryDiesAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux bounds the memory of a process")
	}
	s := newSite(t, nil)
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\ndata: ./data\nplugins: {dir: ./plugins, trust: lock, memory: 256MiB}\ntenants: ./tenants\n")
	s.place("other", append(s.program("load"), "\n--variant:"+`{"name": "other", "version": "1.0.0"}`...), 0o755)
	s.cli("plugin", "approve", "other")
	bad := s.path("bad", "")
	s.write("tenants/acme.yaml", fmt.Sprintf(`tenant: acme
integrations:
  - {name: load, plugin: load, connectors: [things], every: -1, settings: {streams: 2, pages: 1, records: 5, fault: {do: hog, stream: s0001, while: %s}}}
  - {name: other, plugin: other, connectors: [things], every: -1, settings: {streams: 4, pages: 5, records: 5, pause_ms: 50}}
`, bad))
	d := s.start()
	s.ready()
	var died []eventDoc
	s.until("its end is told", func() bool {
		died = s.events("plugin.process.exited")
		return len(died) > 0
	})
	require.NoError(t, os.Remove(bad))
	require.Equal(t, "load", died[0].Data.Plugin)
	require.Contains(t, died[0].Data.Detail, "it needed more than the 256 MiB of memory that it may use")
	require.Contains(t, died[0].Data.Detail, "busy with: acme/load")
	for _, name := range []string{"acme/load", "acme/other"} {
		s.within(2*patience, "the run of "+name+" ends", func() bool { return s.runOf(name).State == string(store.RunProcessed) })
	}
	for _, p := range s.plugins() {
		require.Equal(t, "serving", p.State, p.Name)
		require.Equal(t, p.Name == "load", p.Restarts > 0, p.Name)
	}
	d.stop(t)
}
