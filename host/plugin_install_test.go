//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// outside writes a version of the plugin load where an operator would have it.
func (s *site) outside(name, version string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	require.NoError(s.t, os.WriteFile(path, s.version(version, ""), 0o755))
	return path
}

// served waits until a version of the plugin load serves.
func (s *site) served(version string) {
	s.t.Helper()
	s.until(version+" serves", func() bool { return s.serving().Version == version })
}

// A plugin is installed, upgraded under another name, put back to an earlier version,
// rejected and removed, while a daemon runs and nothing else is done to it.
//
// rows: G30, O02, C60, H34
func TestPluginIsInstalledUsedRejectedAndRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	d := s.start()
	s.ready()
	s.await(store.RunProcessed)
	dir := filepath.Join(s.dir, "plugins")
	var done struct{ Approved []approved }
	require.NoError(t, json.Unmarshal([]byte(s.cli("plugin", "install", "-o", "json", s.outside("load_v1.1.0", "1.1.0"))), &done))
	require.Len(t, done.Approved, 1)
	require.Equal(t, "1.1.0", done.Approved[0].Version)
	require.True(t, done.Approved[0].Changed)
	require.NoFileExists(t, filepath.Join(dir, "load"), "the file that served it before is taken out")
	s.served("1.1.0")
	require.Equal(t, "active", s.shown("acme/load").State)

	s.cli("plugin", "install", s.outside("load_v1.1.0", "1.2.0")) // the same file
	s.served("1.2.0")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left lying about")

	for _, version := range []string{"1.1.0", "1.0.0", "1.2.0", "1.0.0"} {
		var doc struct{ Used []used }
		require.NoError(t, json.Unmarshal([]byte(s.cli("plugin", "use", "-o", "json", "load@"+version)), &doc))
		require.Equal(t, version, doc.Used[0].Version)
		require.True(t, doc.Used[0].Changed)
		s.served(version)
	}
	s.until("the file is pinned, and nothing troubles the status", func() bool {
		list := s.cli("plugin", "list")
		return strings.Contains(list, "pinned") && strings.Contains(list, "it was chosen to be used instead of the file") && s.status().State == "ok"
	})
	require.Contains(t, s.cli("plugin", "use", "load@1.0.0"), "before")
	out, err := s.try("plugin", "use", "load@9.9.9")
	require.Error(t, err)
	require.Contains(t, out, "there are: 1.0.0, 1.1.0, 1.2.0")
	_, err = s.try("plugin", "use", "load")
	require.Equal(t, exitUsage, exitCode(err))
	s.cli("plugin", "approve", "load_v1.1.0")
	s.served("1.2.0")

	// What is rejected stays out, and what serves in its place goes on.
	s.place("load_v1.1.0", s.version("6.6.6", ""), 0o755)
	s.until("the new one is found", func() bool { return strings.Contains(s.cli("plugin", "list"), "unapproved") })
	var gone struct{ Rejected []rejected }
	require.NoError(t, json.Unmarshal([]byte(s.cli("plugin", "reject", "-o", "json", "load_v1.1.0")), &gone))
	require.False(t, gone.Rejected[0].Approved)
	require.Contains(t, s.cli("plugin", "rescan"), "rejected")
	require.Equal(t, "1.2.0", s.serving().Version)
	require.Empty(t, s.cli("plugin", "approve", "--all", "-q"))
	require.Equal(t, "ok", s.status().State)

	s.cli("plugin", "reject", s.serving().Digest)
	s.until("what served ends", func() bool { return s.shown("acme/load").State == "parked" && len(s.processes()) == 0 })
	s.cli("plugin", "install", s.outside("load", "1.3.0"))
	s.served("1.3.0")

	var out2 struct{ Removed []removed }
	require.NoError(t, json.Unmarshal([]byte(s.cli("plugin", "remove", "-o", "json", "load")), &out2))
	require.True(t, out2.Removed[0].Approved)
	require.NoFileExists(t, filepath.Join(dir, "load"))
	s.until("its integration is parked", func() bool { return s.shown("acme/load").State == "parked" && len(s.processes()) == 0 })
	_, err = s.try("plugin", "remove", "nothing")
	require.Equal(t, exitFailed, exitCode(err))
	s.cli("plugin", "install", s.outside("load", "1.4.0"))
	s.served("1.4.0")
	s.until("it works again", func() bool { return s.shown("acme/load").State == "active" })
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
}

// What cannot be a plugin is not installed, and leaves nothing.
//
// rows: H16, O02
func TestInstallRefusesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{})
	lock, err := os.ReadFile(filepath.Join(s.dir, "plugins.lock"))
	require.NoError(t, err)
	whole := s.program("load")
	for name, body := range map[string][]byte{"cut": whole[:len(whole)/2], "text": []byte("hello"), "x.tar.gz": []byte("no archive")} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, body, 0o755))
		out, err := s.try("plugin", "install", path)
		require.Equal(t, exitFailed, exitCode(err), out)
	}
	folder := filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Mkdir(folder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "plugin.yaml"), []byte("schema: 1\nname: x\nversion: '1'\nruntime: absent\n"), 0o644))
	out, err := s.try("plugin", "install", folder)
	require.Error(t, err)
	require.Contains(t, out, "plugin absent, which runs it, is not approved")
	entries, err := os.ReadDir(filepath.Join(s.dir, "plugins"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	after, err := os.ReadFile(filepath.Join(s.dir, "plugins.lock"))
	require.NoError(t, err)
	require.Equal(t, string(lock), string(after))
}

// With trust: signed a daemon runs what is signed and nothing else; an approval is not
// needed and does not help.
//
// rows: S01, P01, C60
func TestSignedPluginServes(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 5})
	public, private, err := minisign.GenerateKey(strings.NewReader(strings.Repeat("a seed of a test key. ", 9)))
	require.NoError(t, err)
	s.write("host.yaml", fmt.Sprintf("version: 1\nlisten: 127.0.0.1:0\ndata: ./data\nplugins: {dir: ./plugins, trust: signed, keys: [%q]}\ntenants: ./tenants\n", public))
	d := s.start()
	s.ready()
	s.until("the approved one is unsigned", func() bool { return s.file("load").Verdict == "unsigned" })
	require.Empty(t, s.processes())
	path := s.outside("load", "1.1.0")
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	r := minisign.NewReader(bytes.NewReader(body))
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".minisig", r.Sign(private), 0o600))
	s.cli("plugin", "install", path)
	s.served("1.1.0")
	s.await(store.RunProcessed)

	body[len(body)-3] ^= 1 // one bit, in what is behind the program
	s.place("load", body, 0o755)
	s.until("the changed one is refused, and the signed one serves", func() bool {
		return strings.Contains(s.cli("plugin", "list"), "unsigned") && s.serving().Version == "1.1.0"
	})
	out, err := s.try("plugin", "use", "load@1.0.0")
	require.Error(t, err)
	require.Contains(t, out, "with trust signed the plugin directory says which version serves")
	d.stop(t)
}
