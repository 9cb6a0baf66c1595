//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
	"github.com/jackfield/jackfield/store"
)

// moody puts a program in the place of the plugin load that is the plugin, unless
// the file that is returned tells it to do something else instead. It is approved
// in its good mood, and trusted, since it runs another program.
func (s *site) moody() (mood string) {
	s.t.Helper()
	mood = filepath.Join(s.dir, "mood")
	s.trust("load")
	require.NoError(s.t, os.Rename(filepath.Join(s.dir, "plugins", "load"), filepath.Join(s.dir, "load.real")))
	s.place("load", fmt.Appendf(nil, `#!/bin/sh
case "$(cat %[1]s 2>/dev/null)" in
exits) echo "no libremote on this machine" >&2; exit 3 ;;
prints) echo "hello, operator"; exit 0 ;;
hangs) exec sleep 300 ;;
esac
exec %[2]s
`, mood, filepath.Join(s.dir, "load.real")), 0o755)
	s.cli("plugin", "approve", "load")
	return mood
}

// rows: F04, F06, H01, C01, H14
//
// A plugin that does not start is told of with what it did last, its
// integrations wait, and all goes on once it starts.
func TestPluginThatDoesNotStartIsExplained(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ mood, says, stderr string }{
		"Exits":  {"exits", "exited with code 3 before the handshake", "no libremote on this machine"},
		"Prints": {"prints", `it printed "hello, operator"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
			mood := s.moody()
			require.NoError(t, os.WriteFile(mood, []byte(c.mood), 0o600))
			d := s.start()
			s.ready()
			var p pluginDoc
			s.until("the plugin is tried again", func() bool {
				p = s.file("load")
				return p.State == "backoff" || p.State == "quarantined"
			})
			require.Contains(t, p.Reason, c.says)
			var status statusDoc
			s.until("the status tells of it", func() bool {
				status = s.status()
				return strings.Contains(strings.Join(status.Reasons, "\n"), "plugin load does not serve")
			})
			require.Equal(t, "degraded", status.State)
			s.until("plugin show has its last words", func() bool { return strings.Contains(s.cli("plugin", "show", "load"), c.stderr) })
			require.NotEqual(t, "processed", s.run().State)

			require.NoError(t, os.Remove(mood))
			s.until("it serves", func() bool { // as soon as somebody says so, if it failed too often meanwhile
				if s.file("load").State == "quarantined" {
					s.cli("plugin", "restart", "load")
				}
				return s.serving().PID != 0
			})
			s.await(store.RunProcessed)
			s.until("all is well", func() bool { return s.status().State == "ok" })
			d.stop(t)
			require.Equal(t, expected(2, 5), s.contents())
		})
	}
}

// rows: F29, F03, H23
//
// A plugin that hangs while it starts holds up neither the other commands nor
// the end of the daemon.
func TestPluginThatHangsAtItsStartHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	mood := s.moody()
	require.NoError(t, os.WriteFile(mood, []byte("hangs"), 0o600))
	d := s.start()
	s.ready()
	s.until("the plugin starts", func() bool { return s.file("load").State == "starting" })
	s.until("the integration is declared", func() bool {
		out, err := s.try("integration", "show", "acme/load", "-o", "json")
		return err == nil && strings.Contains(out, `"state": "active"`)
	})
	began := time.Now()
	d.stop(t)
	require.Less(t, time.Since(began), 8*time.Second)

	require.NoError(t, os.Remove(mood))
	d = s.start()
	s.await(store.RunProcessed)
	d.stop(t)
	require.Equal(t, expected(2, 5), s.contents())
}

// rows: F06, F25, K24, I11, C34
//
// A call that answers with far too much, or floods the log, fails alone or not
// at all: its siblings and the daemon go on.
func TestTooMuchHurtsItsStreamAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ do, code string }{
		"Record":  {"huge", ""}, // left out, with a warning
		"Segment": {"endless", "checkpoint_required"},
		"Log":     {"flood", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]any{
				"streams": 3, "pages": 2, "records": 10, "fault": map[string]any{"do": c.do, "stream": "s0001"},
			})
			stop := s.open(runner.Options{Retries: 1, RetryBase: 10 * time.Millisecond})
			want := "processed"
			if c.code != "" {
				want = "partial"
			}
			s.until("the run ends", func() bool { return s.run().State == want })
			for _, st := range s.troubled(s.run().ID) {
				require.Equal(t, "s0001", st.Identifier)
				require.Equal(t, c.code, st.Failure.Code)
			}
			require.Zero(t, s.serving().Restarts)
			require.GreaterOrEqual(t, s.run().Streams.Processed, 2)
			if c.do == "huge" {
				require.Equal(t, 2, s.run().Stats.Warnings, "one a page")
			}
			if c.do == "flood" {
				require.Contains(t, s.cli("plugin", "logs", "load", "-n", "1000"), "dropped")
			}
			stop()
		})
	}
}
