//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// attempts writes the tenant whose plugin makes them, beside what there is, and has
// them made. It returns why each failed.
func (s *site) attempts(more map[string]any, attempts ...escape) map[string]string {
	s.t.Helper()
	settings := map[string]any{"attempts": attempts}
	maps.Copy(settings, more)
	raw, err := json.Marshal(settings)
	require.NoError(s.t, err)
	s.write("tenants/evil.yaml", fmt.Sprintf("tenant: evil\nintegrations:\n  - name: out\n    plugin: escape\n    every: -1\n    settings: %s\n", raw))
	s.cli("reload")
	_, _ = s.try("integration", "sync", "evil/out", "--wait", "-q") // the run tells more than the error
	run := s.runOf("evil/out")
	require.Equal(s.t, string(store.RunProcessed), run.State, "%+v", run.Failure)
	var doc struct {
		Records []struct {
			ExternalID string `json:"external_id"`
			Data       struct{ Failed string }
		}
	}
	s.read(&doc, "record", "list", "--integration", "evil/out")
	got := map[string]string{}
	for _, r := range doc.Records {
		got[r.ExternalID] = r.Data.Failed
	}
	for _, a := range attempts {
		require.Contains(s.t, got, a.Name)
	}
	return got
}

// rows: P03, P04, P09, K20, L02, I09
//
// A plugin of a daemon as it is installed gets at nothing that is not its own. The same
// plugin, trusted by host.yaml, does.
func TestAPluginDoesNotGetOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more    string
		trusted bool
	}{"Sandboxed": {", sandbox: {require: full}", false}, "Trusted": {", sandbox: {trusted: [escape]}", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 1})
			s.withEscape(c.more)
			d := s.start()
			s.ready()
			s.until("the other plugin serves", func() bool { return s.file("load").PID != 0 })
			pid := strconv.Itoa(d.cmd.Process.Pid)
			own, err := filepath.Glob(filepath.Join(s.dir, "data/run/*/*"))
			require.NoError(t, err)
			require.NotEmpty(t, own)
			escapes := []escape{
				{"host.yaml", "read", filepath.Join(s.dir, "host.yaml")},
				{"tenant's file", "read", filepath.Join(s.dir, "tenants/acme.yaml")},
				{"database", "read", filepath.Join(s.dir, "data/jackfield.db")},
				{"key", "read", filepath.Join(s.dir, "jackfield.key")},
				{"lock", "empty", filepath.Join(s.dir, "plugins.lock")},
				{"store of programs", "plant", filepath.Join(s.dir, "data/cas")},
				{"plugin directory", "plant", filepath.Join(s.dir, "plugins")},
				{"run directory", "list", filepath.Dir(own[0])},
				{"environment", "environ", pid},
				{"signal", "signal", pid},
				{"trace", "trace", pid},
				{"shell", "execute", "/bin/sh"},
				{"process", "fork", ""},
				{"connection", "dial", "tcp " + s.httpAddress()},
				{"packet", "dial", "udp " + s.httpAddress()},
				{"token", "read", filepath.Join(s.dir, "data/admin.token")},
			}
			if c.trusted && os.Geteuid() != 0 {
				escapes = escapes[:8] // the host keeps its own user out too
			}
			for i, e := range escapes {
				if c.trusted && e.Do == "empty" { // it would do it
					escapes[i].Do = "read"
				}
			}
			got := s.attempts(nil, escapes...)
			require.Len(t, got, len(escapes))
			for _, e := range escapes {
				if c.trusted {
					require.Empty(t, got[e.Name], e.Name)
				} else {
					require.Regexp(t, "permission denied|not permitted", got[e.Name], e.Name)
				}
			}
			show, status := s.cli("plugin", "show", "escape"), s.cli("status")
			if c.trusted {
				require.Regexp(t, `sandbox\s+none`, show)
				require.Contains(t, status, "plugin escape runs without the sandbox")
			} else {
				require.Regexp(t, `sandbox\s+full`, show)
				require.Regexp(t, `isolation\s+full`, status)
			}
			d.stop(t)
		})
	}
}

// rows: P04
//
// A setting that is a path is read, also one that a file names later: then the plugin
// gets a new process, and no attempt fails for it.
func TestAPathInSettingsMayBeRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 1})
	s.withEscape("")
	d := s.start()
	s.ready()
	for i, name := range []string{"first", "second"} {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.WriteFile(path, []byte(name), 0o600))
		before := s.file("escape")
		got := s.attempts(map[string]any{"path": path}, escape{name, "read", path}, escape{"other", "read", filepath.Join(s.dir, "host.yaml")})
		require.Empty(t, got[name])
		require.Contains(t, got["other"], "permission denied")
		after := s.file("escape")
		require.Zero(t, after.Restarts)
		if i > 0 {
			require.NotEqual(t, before.PID, after.PID, "a process cannot be granted more than it was started with")
		}
		for _, st := range s.streams(s.runOf("evil/out").ID) {
			require.Zero(t, st.Attempts)
		}
	}
	d.stop(t)
}

// rows: P08, F04
//
// A plugin that takes more memory than it may ends alone, and says why.
func TestAMemoryHogEndsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 20, "records": 10, "pause_ms": 50})
	s.withEscape(", memory: 256MiB")
	d := s.start()
	s.ready()
	s.until("both serve", func() bool { return s.file("load").PID != 0 && s.file("escape").PID != 0 })
	s.cli("integration", "sync", "acme/load")
	load := s.file("load")
	raw, err := json.Marshal(map[string]any{"attempts": []escape{{"hog", "hog", "1024"}}})
	require.NoError(t, err)
	s.write("tenants/evil.yaml", fmt.Sprintf("tenant: evil\nintegrations:\n  - name: out\n    plugin: escape\n    every: -1\n    settings: %s\n", raw))
	s.cli("reload")
	s.cli("integration", "sync", "evil/out")
	const why = "it needed more than the 256 MiB of memory that it may use (hint: plugins: {memory: ...} in host.yaml)"
	s.until("the reason is told", func() bool {
		log := d.log.String()
		return strings.Contains(log, why)
	})
	s.cli("integration", "disable", "evil/out")
	s.until("the other run has ended", func() bool { return store.RunState(s.runOf("acme/load").State) == store.RunProcessed })
	after := s.file("load")
	require.Equal(t, load.PID, after.PID, "another plugin's process ended with it")
	require.Zero(t, after.Restarts)
	for _, st := range s.streams(s.runOf("acme/load").ID) {
		require.Zero(t, st.Attempts)
	}
	d.stop(t)
}
