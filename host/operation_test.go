//go:build unix

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// A plugin that imports nothing is listed as that: it serves its hooks, its
// integration is active and can be checked, and it has no schedule and no sync.
//
// rows: O06, O10
func TestPluginThatImportsNothingCannotBeSynced(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	s.place("bell", s.named("bell", "operates"), 0o755)
	s.cli("plugin", "approve", "bell")
	s.write("tenants/ring.yaml", "tenant: ring\nintegrations:\n  - {name: bell, plugin: bell, settings: {}}\n")
	d := s.start()
	s.await(store.RunProcessed)
	kinds := func() map[string]string {
		var doc struct{ Plugins []struct{ Name, Kind string } }
		s.read(&doc, "plugin", "list")
		out := map[string]string{}
		for _, p := range doc.Plugins {
			out[p.Name] = p.Kind
		}
		return out
	}
	s.until("both are known", func() bool { return kinds()["bell"] != "" && kinds()["load"] != "" })
	require.Equal(t, map[string]string{"bell": "operation", "load": "data"}, kinds())
	require.Regexp(t, `(?m)^bell +operation +1\.0\.0 +approved +serving`, s.cli("plugin", "list"))
	require.Contains(t, s.cli("plugin", "show", "bell"), "operation")
	require.Equal(t, "active", s.shown("ring/bell").State)
	require.Equal(t, -1, s.shown("ring/bell").Every)
	for _, args := range [][]string{nil, {"--onboarding"}, {"--force"}, {"--connector", "things"}} {
		out, err := s.try(append([]string{"integration", "sync", "ring/bell"}, args...)...)
		require.Equal(t, exitFailed, exitCode(err), out)
		require.Contains(t, out, "integration ring/bell cannot be synced: plugin bell answers operations alone")
	}
	var runs struct{ Runs []runDoc }
	s.read(&runs, "run", "list", "-i", "ring/bell")
	require.Empty(t, runs.Runs)
	require.Contains(t, s.cli("integration", "check", "ring/bell"), "ok")
	d.stop(t)
}
