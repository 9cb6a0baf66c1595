//go:build unix

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: O19, C55
//
// integration sync with a connector and parameters reads the part that they name, by
// a real plugin; a pair without a name is refused before anything is started.
func TestSyncOfAPart(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 3, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	first := s.run()
	for _, args := range [][]string{{"=s0001"}, {"--connector", "nothing", "only=s0001"}} {
		out, err := s.try(append([]string{"integration", "sync", "acme/load"}, args...)...)
		require.Equal(t, exitUsage, exitCode(err), out)
		require.Contains(t, out, "hint: ")
	}
	require.Equal(t, first.ID, s.run().ID, "nothing was started")
	s.integration(map[string]any{"streams": 3, "pages": 1, "records": 5, "mark": "new"})
	s.cli("reload")
	run := s.sync("--connector", "things", "only=s0001")
	require.Equal(t, "processed", run.State)
	require.Equal(t, "manual", run.Kind)
	streams := s.streams(run.ID)
	require.Len(t, streams, 1)
	require.Equal(t, "s0001", streams[0].Identifier)
	require.Equal(t, 5, run.Stats.Updated)
	require.Contains(t, s.cli("run", "show", run.ID), "parameter only")
	d.stop(t)
	news := map[string]bool{}
	for key, content := range s.contents() {
		news[key] = content[len(`false {"filler":"","mark":"`)] == 'n'
	}
	require.Len(t, news, 15)
	for key, isNew := range news {
		require.Equal(t, key[:len("thing s0001")] == "thing s0001", isNew, key)
	}
}
