//go:build unix

package main

import (
	"encoding/json"
	"strings"
	"testing"

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

// upgrade puts a version in the place of the plugin load and approves it.
func (s *site) upgrade(version, bad string) {
	s.t.Helper()
	s.place("load", s.version(version, bad), 0o755)
	s.cli("plugin", "approve", "load")
}

// rows: C60, F07, H22, H33
//
// A new version that does not fit what there is does not take over: the old one goes
// on, the status and the list say why, and when the cause is gone it takes over.
func TestAVersionThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	for bad, c := range map[string]struct{ reason, says string }{
		"strict":      {"settings_refused", `settings do not fit the new version: acme/load: setting "region" is missing`},
		"picky":       {"settings_refused", "settings are refused by the new version: acme/load: "},
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
