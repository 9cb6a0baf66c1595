//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// standing returns how the connectors of an integration stand.
func (s *site) standing(name string) map[string]string {
	s.t.Helper()
	var doc struct{ Connectors map[string]string }
	s.read(&doc, "integration", "show", name)
	return doc.Connectors
}

// parts returns how the connectors' parts of a run ended.
func (s *site) parts(run string) map[string][2]string {
	s.t.Helper()
	var doc struct {
		Connectors []struct{ Connector, Code, Message string }
	}
	s.read(&doc, "run", "show", run)
	out := map[string][2]string{}
	for _, c := range doc.Connectors {
		out[c.Connector] = [2]string{c.Code, c.Message}
	}
	return out
}

// rows: K17, F07
//
// A version that writes cursors in a new form fails in its probation when some of them
// are written already: the one before goes on from those that it wrote itself, with the
// run planned anew, and nothing fails.
func TestAVersionThatFailsGivesTheCursorsBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 9, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	old := s.serving()
	s.upgrade("2.0.0", "newer-fails")
	s.until("the new one serves", func() bool { return s.serving().Version == "2.0.0" })
	s.cli("integration", "sync", "acme/load")
	s.within(2*patience, "the old one serves again", func() bool { return s.serving().Digest == old.Digest })
	require.Equal(t, "withdrawn", s.file("load").State)
	s.within(2*patience, "the run goes on with the old one", func() bool { return s.run().State == string(store.RunProcessed) })
	var doc struct{ Runs []runDoc }
	s.read(&doc, "run", "list", "--limit", "10")
	require.Len(t, doc.Runs, 3)
	require.Equal(t, "cancelled", doc.Runs[1].State)
	require.Contains(t, doc.Runs[1].Failure.Message, "the version of the plugin failed in its probation: ")
	require.Equal(t, doc.Runs[1].Kind, doc.Runs[0].Kind)
	for _, st := range s.streams(doc.Runs[0].ID) {
		require.Zero(t, st.Attempts, "it reads what there is")
		require.Nil(t, st.Failure)
	}
	require.Equal(t, "processed", s.sync().State, "and what it writes itself")
	d.stop(t)
	require.Contains(t, d.log.String(), "integration goes on from its cursors of before the new version")
	require.Equal(t, expected(9, 5), s.contents())
	s.verified()
}

// rows: K17
//
// A version without a connector parks it: what it has stays, nothing fails, and it goes
// on when a version has it again. One that a version brings begins disabled, also where
// the file names none, until the file names it.
func TestConnectorsComeAndGo(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	bolt := func(connectors string) {
		s.write("tenants/bolt.yaml", "tenant: bolt\nintegrations:\n  - {name: load, plugin: load, every: -1, settings: {streams: 2, pages: 1, records: 5}"+connectors+"}\n")
	}
	bolt("")
	d := s.start()
	s.ready()
	s.until("both are declared", func() bool { return s.shown("acme/load").ID != "" && s.shown("bolt/load").ID != "" })
	s.until("all is imported", func() bool { return s.things("acme/load") == 10 && s.things("bolt/load") == 10 })
	require.Equal(t, map[string]string{"things": "enabled"}, s.standing("bolt/load"))

	s.upgrade("2.0.0", "elsewhere")
	s.until("the one without serves", func() bool { return s.serving().Version == "2.0.0" })
	s.cli("reload")
	for _, name := range []string{"acme/load", "bolt/load"} {
		require.Equal(t, map[string]string{"things": "parked", "persons": "new"}, s.standing(name))
		require.Contains(t, s.cli("integration", "show", name), "parked: the plugin has it no more")
	}
	problems := s.status().Config.Problems
	require.Len(t, problems, 1, "%v", problems)
	require.Equal(t, "connector-gone", problems[0].Code)
	require.Equal(t, "warning", problems[0].Severity)
	run := s.sync()
	require.Equal(t, "processed", run.State)
	part := s.parts(run.ID)["things"]
	require.Equal(t, "skipped", part[0])
	require.Equal(t, `version 2.0.0 of plugin load has no connector "things" any more; its cursors are kept until it is back`, part[1])
	require.Equal(t, 10, s.things("acme/load"), "nothing is deleted")

	s.upgrade("3.0.0", "wider")
	s.until("the one with both serves", func() bool { return s.serving().Version == "3.0.0" })
	s.cli("reload")
	require.Equal(t, map[string]string{"things": "enabled", "persons": "new"}, s.standing("acme/load"))
	require.Equal(t, map[string]string{"things": "enabled", "persons": "new"}, s.standing("bolt/load"))
	run = s.sync()
	require.Equal(t, map[string][2]string{"things": {"completed", ""}}, s.parts(run.ID))
	require.Equal(t, 10, run.Stats.Unchanged)
	bolt(", connectors: [things, persons]")
	s.cli("reload")
	require.Equal(t, map[string]string{"things": "enabled", "persons": "enabled"}, s.standing("bolt/load"))
	bolt("")
	s.cli("reload")
	require.Equal(t, map[string]string{"things": "enabled", "persons": "enabled"}, s.standing("bolt/load"), "it was offered by now")
	require.Empty(t, s.status().Config.Problems)
	d.stop(t)
	db := openRaw(t, filepath.Join(s.dir, "data"))
	defer func() { require.NoError(t, db.Close()) }()
	var cursors int
	require.NoError(t, db.QueryRowContext(context.Background(), "SELECT count(*) FROM cursors WHERE connector = 'things'").Scan(&cursors))
	require.Equal(t, 4, cursors)
}

// rows: K17
//
// A run that is open when a version without its connector takes over ends, with the
// connector left out.
func TestAConnectorGoesInTheMiddleOfItsRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 8, "pages": 200, "records": 20, "segment": 10, "pause_ms": 20})
	d := s.start()
	s.ready()
	run := s.started()
	s.upgrade("2.0.0", "elsewhere")
	s.within(2*patience, "the run ends", func() bool { return s.run().State != "processing" })
	require.Equal(t, run.ID, s.run().ID)
	require.Equal(t, "processed", s.run().State)
	require.Equal(t, "skipped", s.parts(run.ID)["things"][0])
	for _, st := range s.streams(run.ID) {
		require.Equal(t, "cancelled", st.State)
		require.Equal(t, "connector_gone", st.Failure.Code)
		require.Zero(t, st.Attempts)
	}
	d.stop(t)
	s.verified()
}

// rows: K18, H33
//
// With on_incompatible: park a version takes over although settings do not fit it: whose
// do not is parked with what does not fit, and goes on when they do or another version
// serves.
func TestIntegrationsThatAVersionDoesNotTakeAreParked(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	host, err := os.ReadFile(filepath.Join(s.dir, "host.yaml"))
	require.NoError(t, err)
	s.write("host.yaml", strings.Replace(string(host), "trust: lock", "trust: lock, on_incompatible: park", 1))
	s.write("tenants/acme.yaml", declared("load", small))
	s.write("tenants/bolt.yaml", strings.Replace(declared("load", small), "tenant: acme", "tenant: bolt", 1))
	d := s.start()
	s.ready()
	s.until("they are declared", func() bool { return s.shown("acme/load").ID != "" && s.shown("bolt/load").ID != "" })
	s.until("all is imported", func() bool { return s.things("acme/load") == 10 && s.things("bolt/load") == 10 })
	state := func(name string) string { return s.shown(name).State }

	s.upgrade("2.0.0", "strict")
	s.until("the new one serves", func() bool { return s.serving().Version == "2.0.0" })
	for _, name := range []string{"acme/load", "bolt/load"} {
		require.Equal(t, "parked", state(name))
		require.Equal(t, `version 2.0.0 of plugin "load" does not take its settings: setting "region" is missing`, s.shown(name).Reason)
	}
	_, err = s.try("integration", "sync", "acme/load")
	require.Equal(t, exitFailed, exitCode(err))

	s.write("tenants/acme.yaml", declared("load", "    settings: {streams: 2, pages: 1, records: 5, region: eu}"))
	s.until("the one whose settings fit now goes on", func() bool { return state("acme/load") == "active" })
	require.Equal(t, "processed", s.sync().State)
	require.Equal(t, "parked", state("bolt/load"))

	s.upgrade("3.0.0", "")
	s.until("another one serves", func() bool { return s.serving().Version == "3.0.0" })
	s.until("it takes what the one before did not", func() bool { return state("bolt/load") == "active" })
	require.Equal(t, `version 3.0.0 of plugin "load" does not take its settings: setting "region" is unknown`, s.shown("acme/load").Reason)

	s.upgrade("4.0.0", "picky") // by its own word, not by its schema
	s.until("the one that takes nothing serves", func() bool { return s.serving().Version == "4.0.0" })
	require.Contains(t, s.shown("bolt/load").Reason, "no settings are good enough")
	s.upgrade("5.0.0", "")
	s.until("the next one serves", func() bool { return s.serving().Version == "5.0.0" })
	s.until("it takes them", func() bool { return state("bolt/load") == "active" })
	require.Empty(t, s.events("plugin.rolled_back"), "what it does not take is no failure of a version")
	d.stop(t)
}

// rows: K18, C60
//
// A token that the old process rotates while it drains, when the new one serves
// already, is the one that the new process finds.
func TestATokenRotatedDuringTheDrainReachesTheNewVersion(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	gate := filepath.Join(s.dir, "gate")
	s.integration(map[string]any{"streams": 1, "pages": 2, "records": 5, "rotate": true, "gate": gate})
	d := s.start()
	s.ready()
	s.until("a call waits in the old one", func() bool { return s.run().State == "processing" && s.serving().Calls == 1 })
	s.upgrade("2.0.0", "")
	s.until("the new one serves beside it", func() bool {
		draining := false
		for _, p := range s.plugins() {
			draining = draining || p.State == "draining" && p.Calls == 1
		}
		return draining && s.serving().Version == "2.0.0"
	})
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	s.await(store.RunProcessed)
	var told [][3]string
	for line := range strings.Lines(s.cli("plugin", "logs", "load", "-n", "1000", "-o", "jsonl")) {
		var l struct {
			Message string
			Fields  map[string]string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		if l.Message == "token rotated" {
			told = append(told, [3]string{l.Fields["by"], l.Fields["found"], l.Fields["after"]})
		}
	}
	require.Equal(t, [][3]string{{"1.0.0", "", "0"}, {"2.0.0", "1.0.0", "1"}}, told, "a page each")
	for _, st := range s.streams(s.run().ID) {
		require.Zero(t, st.Attempts, fmt.Sprint(st))
	}
	d.stop(t)
	require.Equal(t, expected(1, 10), s.contents())
}
