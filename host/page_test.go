//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: O23, F25
//
// A real plugin is told the page size of the files. Where a page has more than a
// segment may hold, it is asked for smaller ones; the one record that is too large is
// left out with its digest, and every other is there once.
func TestAPluginIsAskedForSmallerPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 2, "records": 40, "size": 200 << 10, "wanted": true, "huge": 7})
	d := s.start()
	s.await(store.RunProcessed)
	var shown struct {
		Run      runDoc
		Warnings []struct {
			RecordID string `json:"record_id"`
			Message  string
		}
	}
	s.read(&shown, "run", "show", s.run().ID)
	require.Equal(t, 2*2*40-2, shown.Run.Stats.Added)
	require.Equal(t, shown.Run.Stats.Added, shown.Run.Stats.Read)
	said := map[string]int{}
	for _, w := range shown.Warnings {
		said[w.RecordID]++
		if w.RecordID == "thing/s0000-7" {
			require.Regexp(t, `^record_too_large: thing s0000-7 has \d+ bytes, 1048576 are allowed \(sha256 [0-9a-f]{64}\)$`, w.Message)
		}
	}
	require.Equal(t, 1, said["thing/s0000-7"], "told of once")
	require.Equal(t, 1, said["thing/s0001-7"])
	require.GreaterOrEqual(t, said["s0000"], 2, "each page was read in smaller ones")
	for _, st := range s.streams(shown.Run.ID) {
		require.Zero(t, st.Attempts)
		require.Nil(t, st.Failure)
	}
	require.Zero(t, s.serving().Restarts)

	settings, err := json.Marshal(map[string]any{"streams": 1, "pages": 1, "records": 40, "wanted": true, "mark": "new"})
	require.NoError(t, err)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\ndefaults: {plugins: {load: {page_size: 15}}}\nintegrations:\n  - name: load\n    plugin: load\n    every: -1\n    settings: %s\n", settings))
	s.cli("reload")
	require.Contains(t, s.cli("integration", "show", "acme/load", "--origin"), "15 (from tenant)")
	run := s.sync()
	require.Equal(t, "processed", run.State)
	s.read(&shown, "run", "show", run.ID)
	require.Len(t, shown.Warnings, 1)
	require.Equal(t, "wanted 15 at 0", shown.Warnings[0].Message)
	d.stop(t)
	s.verified()
}
