package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// scopeDoc is what these tests read of integration show.
type scopeDoc struct {
	Integration struct {
		State       string `json:"state"`
		NextCheckAt string `json:"next_check_at"`
	} `json:"integration"`
	Records map[string]int `json:"records"`
	Runs    []struct {
		State string `json:"state"`
	} `json:"runs"`
}

func (s *site) scopeDoc(name string) (doc scopeDoc) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.cli("integration", "show", name, "-o", "json")), &doc))
	return doc
}

// rows: O07, O13
//
// Three integrations of one plugin have settings, records and runs of their own;
// one that enables no connector is never scheduled, and is refused by hand.
func TestIntegrationsOfOnePluginAreApart(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.write("tenants/acme.yaml", `tenant: acme
integrations:
  - {name: one, plugin: load, every: 0, settings: {streams: 1, pages: 1, records: 1}}
  - {name: two, plugin: load, every: 0, settings: {streams: 1, pages: 1, records: 2}}
  - {name: three, plugin: load, every: -1, settings: {streams: 1, pages: 1, records: 3}}
  - {name: none, plugin: load, every: 0, connectors: [], settings: {streams: 1, pages: 1, records: 4}}
`)
	d := s.start()
	for name, records := range map[string]int{"acme/one": 1, "acme/two": 2, "acme/three": 3} {
		require.Eventually(t, func() bool {
			out, err := s.try("integration", "show", name, "-o", "json")
			var doc scopeDoc
			return err == nil && json.Unmarshal([]byte(out), &doc) == nil &&
				len(doc.Runs) > 0 && doc.Runs[0].State == string(store.RunProcessed) && doc.Records["thing"] == records
		}, time.Minute, 50*time.Millisecond, name)
	}
	require.NotEmpty(t, s.scopeDoc("acme/one").Integration.NextCheckAt)
	require.Empty(t, s.scopeDoc("acme/three").Integration.NextCheckAt, "-1 is never")

	none := s.scopeDoc("acme/none")
	require.Empty(t, none.Runs, "no connector is enabled: nothing is scheduled")
	require.Empty(t, none.Integration.NextCheckAt)
	_, err := s.try("integration", "sync", "acme/none")
	require.Error(t, err)
	d.stop(t)
}
