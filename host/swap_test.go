//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// version returns the plugin load as another version of it, with what is bad in it.
func (s *site) version(version, bad string) []byte {
	s.t.Helper()
	raw, err := json.Marshal(map[string]string{"version": version, "bad": bad})
	require.NoError(s.t, err)
	return append(s.program("load"), "\n--variant:"+string(raw)...)
}

// named returns the plugin load as another plugin, with what is bad in it.
func (s *site) named(name, bad string) []byte {
	s.t.Helper()
	raw, err := json.Marshal(map[string]string{"name": name, "version": "1.0.0", "bad": bad})
	require.NoError(s.t, err)
	return append(s.program("load"), "\n--variant:"+string(raw)...)
}

// upgrade puts a version in the place of the plugin load and approves it.
func (s *site) upgrade(version, bad string) {
	s.t.Helper()
	s.place("load", s.version(version, bad), 0o755)
	s.cli("plugin", "approve", "load")
}

// rows: C60, F07, H22, H33, K17
//
// A new version that does not fit what there is does not take over: the old one goes
// on, the status and the list say why, and when the cause is gone it takes over.
func TestAVersionThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	for bad, c := range map[string]struct{ reason, says string }{
		"strict":      {"settings_refused", `settings do not fit the new version: acme/load: setting "region" is missing`},
		"picky":       {"settings_refused", "settings are refused by the new version: acme/load: "},
		"forgets":     {"state_unreadable", `acme/load: a cursor of connector "things" is of version 1`},
		"unreachable": {"check_failed", "the new version does not reach what the old one does: acme/load: "},
	} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]any{"streams": 2, "pages": 2, "records": 5})
			d := s.start()
			s.await(store.RunProcessed)
			old := s.serving()
			s.upgrade("2.0.0", bad)
			s.until("the new one is refused", func() bool { return s.file("load").State == "refused" })
			p := s.file("load")
			require.Equal(t, "approved", p.Verdict)
			require.Contains(t, p.Reason, c.says)
			kept := s.serving()
			require.Equal(t, old.PID, kept.PID)
			require.Equal(t, "kept", kept.Verdict)
			require.Contains(t, s.cli("plugin", "show", "load"), "serving")
			require.Contains(t, strings.Join(s.status().Reasons, "\n"), "version 2.0.0 of plugin load does not take over: ")
			s.until("it is told", func() bool {
				events := s.events("plugin.active")
				return len(events) > 1 && events[0].Data.Reason == c.reason && events[0].Data.Version == "1.0.0"
			})
			require.Equal(t, "processed", s.sync().State, "the old one goes on")

			s.upgrade("2.0.1", "")
			s.until("the mended one serves", func() bool { return s.serving().Version == "2.0.1" })
			require.Equal(t, "ok", s.status().State)
			d.stop(t)
		})
	}
}

// rows: F04, F07, H14
//
// A new version that took over and then fails gives way to the old one by itself: no
// run fails for it, and it stays away over a restart until a person wants it.
func TestAVersionThatFailsGivesWay(t *testing.T) {
	t.Parallel()
	for bad, reason := range map[string]string{"fails": "error_rate", "dies": "crash_loop"} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]any{"streams": 8, "pages": 1, "records": 5})
			d := s.start()
			s.await(store.RunProcessed)
			old := s.serving()
			s.upgrade("2.0.0", bad)
			s.until("the new one serves", func() bool { return s.serving().Version == "2.0.0" })
			s.cli("integration", "sync", "acme/load")
			s.until("the old one serves again", func() bool { return s.serving().Digest == old.Digest })
			p := s.file("load")
			require.Equal(t, "withdrawn", p.State)
			require.Contains(t, p.Reason, "jackfield plugin restart load tries it again")
			require.Contains(t, strings.Join(s.status().Reasons, "\n"), "version 2.0.0 of plugin load does not take over: it is withdrawn: ")
			s.within(time.Minute, "the run goes on with the old one", func() bool { return s.run().State == string(store.RunProcessed) })
			require.Zero(t, s.run().Streams.Error)
			rolled := s.events("plugin.rolled_back")
			require.Len(t, rolled, 1)
			require.Equal(t, reason, rolled[0].Data.Reason)
			require.Equal(t, "1.0.0", rolled[0].Data.Version)
			require.Len(t, s.events("plugin.artifact.withdrawn"), 1)
			d.stop(t)

			d = s.start()
			s.ready()
			s.until("the old one serves after a restart", func() bool { return s.serving().Digest == old.Digest })
			require.Equal(t, "withdrawn", s.file("load").State)
			s.cli("plugin", "restart", "load")
			s.until("a person wants it", func() bool { return s.serving().Version == "2.0.0" })
			d.stop(t)
			require.Equal(t, expected(8, 5), s.contents())
		})
	}
}

// rows: C60, F07, H22, K17
//
// Versions change again and again while runs are under way, and nobody notices: no
// run and no stream fails, and the store is what it would be without.
func TestSwapsUnderLoad(t *testing.T) {
	t.Parallel()
	swaps := 10
	if soaking() {
		swaps = 100
	}
	s := newSite(t, map[string]any{"streams": 12, "pages": 6, "records": 20, "segment": 10, "pause_ms": 20})
	d := s.start()
	s.await(store.RunProcessed)
	var over atomic.Bool
	synced := make(chan []string, 1)
	go func() { // runs without end
		var wrong []string
		for !over.Load() {
			if out, err := s.try("integration", "sync", "acme/load", "--wait", "-q", "-o", "json"); err != nil {
				wrong = append(wrong, out)
			}
		}
		synced <- wrong
	}()
	busy := 0
	for n := range swaps {
		version := fmt.Sprintf("1.0.%d", n+1)
		s.upgrade(version, "")
		s.until("version "+version+" serves", func() bool { return s.serving().Version == version })
		if len(s.processes()) > 1 {
			busy++
		}
	}
	over.Store(true)
	require.Empty(t, <-synced)
	if soaking() { // of a few swaps none need to meet a call
		require.Positive(t, busy, "no call was in flight at any swap")
	}
	var doc struct{ Runs []runDoc }
	s.read(&doc, "run", "list", "--limit", "1000")
	for _, run := range doc.Runs {
		require.Equal(t, "processed", run.State)
		for _, st := range s.streams(run.ID) {
			require.Zero(t, st.Attempts)
			require.Zero(t, st.Interrupts)
			require.Nil(t, st.Failure)
		}
	}
	require.Len(t, s.events("plugin.draining"), swaps)
	require.Empty(t, s.events("plugin.rolled_back"))
	s.until("only the newest is left", func() bool { return len(s.processes()) == 1 })
	d.stop(t)
	require.Equal(t, expected(12, 6*20), s.contents())
	s.verified()
	proved(t, "%d swaps under %d runs, %d of them with calls in flight: 0 failed runs, store equal to that without", swaps, len(doc.Runs), busy)
}

// rows: K18, C60
//
// The new version goes on with the token that the old one rotated last, and with what
// it cached.
func TestTheNewVersionHasTheTokenOfTheOld(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 2, "records": 5, "rotate": true})
	d := s.start()
	s.await(store.RunProcessed)
	s.upgrade("2.0.0", "")
	s.until("the new one serves", func() bool { return s.serving().Version == "2.0.0" })
	require.Equal(t, "processed", s.sync().State)
	var told [][3]string
	for line := range strings.Lines(s.cli("plugin", "logs", "load", "-n", "1000", "-o", "jsonl")) {
		var l struct {
			Message string
			Fields  map[string]string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		if l.Message == "token rotated" {
			told = append(told, [3]string{l.Fields["by"], l.Fields["found"], l.Fields["cached"]})
		}
	}
	require.Equal(t, [][3]string{
		{"1.0.0", "", ""}, {"1.0.0", "1.0.0", "1.0.0"}, // a page each
		{"2.0.0", "1.0.0", "1.0.0"}, {"2.0.0", "2.0.0", "2.0.0"},
	}, told)
	d.stop(t)
}
