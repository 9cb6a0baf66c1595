//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: O43, O47, L02, L03, I10
//
// A secret of the settings stands nowhere but where it came from, although its
// plugin gives it away wherever it can: in logs, on its outputs, in warnings and
// in errors. Nor does the value that a reload replaces it by.
func TestSecretStaysSecret(t *testing.T) {
	t.Parallel()
	const first, second = "xoxb-CANARY-1234567890", "xoxb-PARROT-0987654321"
	s := newSite(t, nil)
	s.args = []string{"--log-level", "trace"}
	s.write("token", first+"\n")
	s.write("tenants/acme.yaml", declared("load",
		"    settings: {streams: 3, pages: 1, records: 5, secret: '${file:../token}', tell: true, fault: {do: config, stream: s0001}}"))
	d := s.start()
	s.await(store.RunPartial)
	var said []string
	collect := func() {
		id := s.run().ID
		for _, args := range [][]string{
			{"status"},
			{"status", "-o", "json"},
			{"diff"},
			{"plugin", "show", "load"},
			{"plugin", "logs", "load"},
			{"plugin", "logs", "load", "-o", "jsonl"},
			{"integration", "show", "acme/load"},
			{"integration", "show", "acme/load", "-o", "json"},
			{"integration", "show", "acme/load", "-o", "yaml"},
			{"run", "show", id},
			{"run", "show", id, "-o", "json"},
			{"stream", "list", "--run", id, "-o", "json"},
			{"record", "list", "-o", "json"},
			{"tenant", "show", "acme", "-o", "json"},
			{"plugin", "logs", "load", "--tenant", "acme", "-o", "jsonl"},
			{"top"},
			{"event", "list", "-o", "jsonl", "--limit", "1000"},
			{"run", "list", "-o", "json"},
			{"doctor"},
		} {
			said = append(said, s.cli(args...))
		}
		token, err := os.ReadFile(filepath.Join(s.dir, "data", metricsTokenName))
		require.NoError(t, err)
		code, metrics := s.get("http://"+s.httpAddress()+"/metrics", strings.TrimSpace(string(token)))
		require.Equal(t, http.StatusOK, code)
		said = append(said, metrics)
	}
	collect()
	// The plugin did speak, and what it said is there but for the secret.
	logs := s.cli("plugin", "logs", "load")
	for _, line := range []string{"on stderr: ***", "on stdout: ***"} {
		require.Contains(t, logs, line)
	}
	require.Contains(t, s.cli("run", "show", s.run().ID), "the remote system is down, says ***")
	require.Contains(t, s.cli("run", "show", s.run().ID), "warned: ***")
	require.Contains(t, s.cli("integration", "show", "acme/load", "-o", "json"), `"secret": "***"`)

	revision := s.shown("acme/load").Revision
	s.write("token", second+"\n")
	s.cli("reload")
	require.Greater(t, s.shown("acme/load").Revision, revision, "the new secret is in force")
	require.Equal(t, "partial", s.sync().State)
	collect()
	out, err := s.try("integration", "check", "acme/load", "--settings", s.path("broken.json", `{"streams": "`+second+`"}`))
	require.Error(t, err)
	said = append(said, out)
	held := s.files("data")
	for what, pid := range map[string]int{"the daemon": d.cmd.Process.Pid, "the plugin": s.serving().PID} {
		for _, name := range []string{"environ", "cmdline"} {
			if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name)); err == nil { // where the system shows them
				held[name+" of "+what] = raw
			}
		}
	}
	d.stop(t)
	for name, raw := range s.files("data") {
		held[name+" after the end"] = raw
	}
	held["the daemon's log"] = []byte(d.log.String())
	held["what commands printed"] = []byte(joined(said))
	require.Contains(t, d.log.String(), "logged: ***")
	require.Greater(t, len(held), 5)
	for name, raw := range held {
		for _, secret := range []string{first, second} {
			require.False(t, bytes.Contains(raw, []byte(secret)), "%s holds the secret", name)
			require.False(t, bytes.Contains(raw, []byte(secret[5:])), "%s holds a part of the secret", name)
		}
	}
}

// path writes a file and returns where.
func (s *site) path(name, text string) string {
	s.t.Helper()
	s.write(name, text)
	return filepath.Join(s.dir, name)
}

// files returns the content of every file below a directory of the site.
func (s *site) files(dir string) map[string][]byte {
	s.t.Helper()
	out := map[string][]byte{}
	require.NoError(s.t, filepath.WalkDir(filepath.Join(s.dir, dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		out[path], err = os.ReadFile(path)
		return err
	}))
	return out
}

func joined(texts []string) string {
	var b bytes.Buffer
	for _, text := range texts {
		b.WriteString(text + "\n")
	}
	return b.String()
}
