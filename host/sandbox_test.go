//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/sandbox"
	"github.com/jackfield/jackfield/host/internal/supervisor"
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

// shownPlugin is what a plugin is kept by.
type shownPlugin struct {
	PID           int
	User          string
	UserReason    string `json:"user_reason"`
	MemoryLimit   int64  `json:"memory_limit"`
	MemoryLimitBy string `json:"memory_limit_by"`
}

// UserID is the user; 0 is the daemon's.
func (p shownPlugin) UserID() int {
	id, _ := strconv.Atoi(strings.TrimPrefix(p.User, "uid ")) // daemon is none
	return id
}

func (s *site) keptBy(plugin string) shownPlugin {
	s.t.Helper()
	var doc struct{ Plugin shownPlugin }
	s.read(&doc, "plugin", "show", plugin)
	return doc.Plugin
}

// hasUserOfItsOwn checks that the kernel says of the plugin's process what plugin show
// does: it has a user of its own, where that can be, or why it has the daemon's.
func (s *site) hasUserOfItsOwn(plugin string, own bool, why string) {
	s.t.Helper()
	p := s.keptBy(plugin)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	require.NoError(s.t, err)
	id := p.UserID()
	require.Regexp(s.t, fmt.Sprintf(`(?m)^Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d$`, id), string(status))
	cfg := config.Default(filepath.Join(s.dir, "host.yaml"))
	cfg.Data = filepath.Join(s.dir, "data")
	weak := newCage(cfg, false).box.Separate()
	if own && weak == "" {
		require.GreaterOrEqual(s.t, id, cfg.Plugins.Users.First)
		require.LessOrEqual(s.t, id, cfg.Plugins.Users.Last)
		require.Empty(s.t, p.UserReason)
		require.Regexp(s.t, fmt.Sprintf(`user\s+uid %d`, id), s.cli("plugin", "show", plugin))
		return
	}
	if own {
		why = weak
	}
	require.Equal(s.t, "daemon", p.User)
	require.Contains(s.t, p.UserReason, why)
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
			own, err := filepath.Glob(filepath.Join(s.runDir(), "*/*"))
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
			s.hasUserOfItsOwn("escape", !c.trusted, "host.yaml trusts it")
			s.hasUserOfItsOwn("load", true, "")
			require.True(t, s.keptBy("load").UserID() == 0 || s.keptBy("load").UserID() != s.keptBy("escape").UserID())
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
// gets a new process, and no attempt fails for it. It has a user of its own if that one
// can read the file, and otherwise says why not.
func TestAPathInSettingsMayBeRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 1})
	s.withEscape("")
	d := s.start()
	s.ready()
	for i, name := range []string{"first", "second"} {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.WriteFile(path, []byte(name), 0o600))
		if i > 0 {
			require.NoError(t, os.Chmod(path, 0o644))
			require.NoError(t, os.Chmod(s.dir, 0o711))
			require.NoError(t, os.Chmod(filepath.Dir(s.dir), 0o711))
		}
		before := s.file("escape")
		got := s.attempts(map[string]any{"path": path}, escape{name, "read", path}, escape{"other", "read", filepath.Join(s.dir, "host.yaml")})
		require.Empty(t, got[name])
		require.Contains(t, got["other"], "permission denied")
		after := s.file("escape")
		require.Zero(t, after.Restarts)
		s.hasUserOfItsOwn("escape", i > 0 && sandbox.Passable(path), "cannot read "+path+", which it is to (hint: let others read that, or all it stands in)")
		if i > 0 {
			require.NotEqual(t, before.PID, after.PID, "a process cannot be granted more than it was started with")
		}
		for _, st := range s.streams(s.runOf("evil/out").ID) {
			require.Zero(t, st.Attempts)
		}
	}
	d.stop(t)
}

// rows: P04
//
// Where a user of its own is demanded no process is started that would have the daemon's:
// a folder's as root, each one's else. One that is trusted was named by the operator.
func TestAUserOfItsOwnCanBeDemanded(t *testing.T) {
	t.Parallel()
	cfg := config.Default(filepath.Join(t.TempDir(), "host.yaml"))
	cfg.Data = t.TempDir()
	cfg.Plugins.Sandbox = config.Sandbox{Require: "none", RequireUser: true, Trusted: []string{"trusted"}}
	launch := func(name string) supervisor.Launch {
		return supervisor.Launch{Binary: supervisor.Binary{Name: name, Folder: cfg.Data}, Dir: t.TempDir()}
	}
	for off, why := range map[bool]string{true: "plugins: {users: off} in host.yaml", false: "it is a folder"} {
		if off {
			cfg.Plugins.Users = config.Users{}
		} else {
			cfg.Plugins.Users = config.Default("").Plugins.Users
		}
		c := newCage(cfg, false)
		if weak := c.box.Separate(); weak != "" {
			why = weak
		}
		_, err := c.confine(exec.CommandContext(t.Context(), "plugin"), launch("folder"))
		require.ErrorIs(t, err, errNoUser)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, "(hint: ")
		_, err = c.confine(exec.CommandContext(t.Context(), "plugin"), launch("trusted"))
		require.NoError(t, err)
		require.NoError(t, c.demand(person{id: 60706}))
	}
	cfg.Plugins.Sandbox.RequireUser = false
	require.NoError(t, newCage(cfg, false).demand(person{why: "it is a folder"}))
}

// rows: P08, F04, H24
//
// A process that takes more memory than it may ends alone, and says why: another plugin's
// goes on, and that of the same plugin which another tenant has.
func TestAMemoryHogEndsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 20, "records": 10, "pause_ms": 50})
	s.withEscape(", memory: 256MiB, escape: {isolation: tenant}")
	declare := func(tenant string, attempts ...escape) {
		raw, err := json.Marshal(map[string]any{"attempts": attempts})
		require.NoError(t, err)
		s.write("tenants/"+tenant+".yaml", fmt.Sprintf("tenant: %s\nintegrations:\n  - name: out\n    plugin: escape\n    every: -1\n    settings: %s\n", tenant, raw))
	}
	declare("good", escape{"write", "plant", "/nowhere"})
	declare("evil", escape{"hog", "hog", "1024"})
	d := s.start()
	s.ready()
	s.cli("integration", "sync", "good/out", "--wait", "-q")
	s.until("the other plugin serves", func() bool { return s.file("load").PID != 0 })
	s.cli("integration", "sync", "acme/load")
	load := s.file("load")
	_, before := s.isolated("escape")
	require.NotZero(t, before["good"].PID)
	s.cli("integration", "sync", "evil/out")
	const why = "it needed more than the 256 MiB of memory that it may use (hint: plugins: {memory: ...} in host.yaml)"
	s.until("the reason is told", func() bool { return strings.Contains(d.log.String(), why) })
	s.cli("integration", "disable", "evil/out")
	s.until("the other run has ended", func() bool { return store.RunState(s.runOf("acme/load").State) == store.RunProcessed })
	after := s.file("load")
	require.Equal(t, load.PID, after.PID, "another plugin's process ended with it")
	require.Zero(t, after.Restarts)
	for _, st := range s.streams(s.runOf("acme/load").ID) {
		require.Zero(t, st.Attempts)
	}
	s.cli("integration", "sync", "good/out", "--wait", "-q")
	_, now := s.isolated("escape")
	require.Equal(t, before["good"].PID, now["good"].PID, "another tenant's process ended with it")
	require.Zero(t, now["good"].Restarts)
	require.NotContains(t, s.cli("plugin", "logs", "escape", "--tenant", "good"), "needed more")

	// What holds the limit is shown, and is what the kernel holds.
	shown := s.keptBy("load")
	require.EqualValues(t, 256<<20, shown.MemoryLimit)
	require.Equal(t, "rlimit-data", shown.MemoryLimitBy, "no control group is delegated to a test")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", shown.PID))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^Max data size +268435456 +268435456 `, string(limits))
	require.Regexp(t, `memory limit\s+256\.0 MiB of its own data \(RLIMIT_DATA\)`, s.cli("plugin", "show", "load"))
	d.stop(t)
}
