//go:build unix

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rested returns the plugin load while it rests, or an empty one.
func (s *site) rested() pluginDoc {
	s.t.Helper()
	for _, p := range s.plugins() {
		if p.Name == "load" && p.State == "idle" {
			return p
		}
	}
	return pluginDoc{}
}

// A plugin that nothing calls costs no process. Nothing is wrong with that for who
// looks, work that comes wakes it, and it is replaced, approved and taken away as if it
// ran.
//
// rows: C60, H34
func TestIdlePluginCostsNoProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	s.idle("1s")
	d := s.start()
	address := s.httpAddress()
	s.await(store.RunProcessed)
	s.until("it rests", func() bool { return s.rested().Name == "load" && len(s.processes()) == 0 })
	p := s.rested()
	require.Zero(t, p.PID)
	require.Equal(t, "approved", p.Verdict)
	require.Empty(t, p.Reason)
	require.Zero(t, p.Restarts)
	require.Equal(t, "ok", s.status().State, "there is nothing to do")
	require.Equal(t, "active", s.shown("acme/load").State)
	code, text := s.get("http://"+address+"/readyz", "")
	require.Equal(t, http.StatusOK, code, text)
	token, err := os.ReadFile(filepath.Join(s.dir, "data", metricsTokenName))
	require.NoError(t, err)
	_, text = s.get("http://"+address+"/metrics", strings.TrimSpace(string(token)))
	for _, line := range []string{
		`jackfield_plugin_state{plugin="load",state="idle"} 1`, `jackfield_plugin_state{plugin="load",state="serving"} 0`,
		`jackfield_plugin_process_id{plugin="load"} 0`, `jackfield_plugin_moves_total{machine="process",to="idle"} 1`,
	} {
		require.Contains(t, text, "\n"+line+"\n")
	}
	s.until("it is told", func() bool { return len(s.events("plugin.process.idle")) == 1 })
	e := s.events("plugin.process.idle")[0]
	require.Equal(t, "serving", e.Data.From)
	require.Contains(t, s.cli("top"), "idle")

	run := s.sync("--force")
	require.Equal(t, "processed", run.State)
	require.Equal(t, 10, run.Stats.Read)
	require.Contains(t, s.cli("integration", "check", "acme/load"), "ok")

	s.until("it rests again", func() bool { return s.rested().Name == "load" })
	s.upgrade("2.0.0", "")
	s.until("the new version is there", func() bool {
		for _, p := range s.plugins() {
			if p.Version == "2.0.0" && (p.State == "serving" || p.State == "idle") {
				return true
			}
		}
		return false
	})
	require.Equal(t, "processed", s.sync("--force").State)

	s.idle("0")
	s.cli("reload")
	require.Equal(t, "processed", s.sync("--force").State)
	s.until("it runs on, as the file says now", func() bool {
		p := s.serving()
		return p.PID != 0 && time.Since(p.StartedAt) > 4*time.Second
	})
	require.Contains(t, s.cli("plugin", "show", "load"), "never: it runs on without a call")
	s.idle("1h, load: {idle: 1s}")
	s.cli("reload")
	require.Contains(t, s.cli("plugin", "show", "load"), "stopped after 1s without a call")
	s.until("it rests as the file says of it now", func() bool { return s.rested().Name == "load" })
	require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins", "load")))
	s.until("it is gone", func() bool { return s.shown("acme/load").State == "parked" })
	require.Empty(t, s.processes())
	d.stop(t)
	require.NotContains(t, d.log.String(), "[ERROR]")
}

// idle writes after how long plugins rest.
func (s *site) idle(after string) {
	s.t.Helper()
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\nplugins: {idle: "+after+"}\n")
}
