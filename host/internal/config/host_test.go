package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func codes(p Problems) []string {
	out := []string{}
	for _, q := range p {
		out = append(out, q.Code)
	}
	return out
}

func TestHostPathsAreRelativeToTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := testOptions()
	opts.LookupEnv = func(string) (string, bool) { return "/srv/state", true }
	h, problems := LoadHost(write(t, filepath.Join(dir, "host.yaml"), "version: 1\ndata: ${env:STATE}/data\ntenants: ../tenants\n"), opts)
	require.Empty(t, problems)
	want := Default(filepath.Join(dir, "host.yaml"))
	want.Data, want.Tenants = "/srv/state/data", filepath.Join(filepath.Dir(dir), "tenants")
	want.Snapshots.Dir = "/srv/state/data/snapshots"
	require.Equal(t, want, h)
	require.Equal(t, filepath.Join(dir, "jackfield.key"), h.Key)
	require.Equal(t, filepath.Join(dir, "plugins.lock"), h.LockFile())
	require.Equal(t, TrustLock, h.Plugins.Trust)
}

// rows: F13
func TestSnapshots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	load := func(text string) Host {
		h, problems := LoadHost(write(t, filepath.Join(dir, "host.yaml"), "version: 1\n"+text), testOptions())
		require.Empty(t, problems)
		return h
	}
	require.Equal(t, Snapshots{Every: 24 * time.Hour, Keep: 7, Dir: filepath.Join(dir, "data/snapshots")}, load("").Snapshots)
	require.Zero(t, load("snapshots: {every: 0}\n").Snapshots.Every)
	running := load("data: ./old\n")
	require.Equal(t, filepath.Join(dir, "old/snapshots"), running.Snapshots.Dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "tenants"), 0o700))
	write(t, filepath.Join(dir, "host.yaml"), "version: 1\ndata: ./new\nsnapshots: {every: 90m, keep: 3}\n")
	snap := Load(filepath.Join(dir, "host.yaml"), Options{Running: &running})
	require.Equal(t, Snapshots{Every: 90 * time.Minute, Keep: 3, Dir: filepath.Join(dir, "old/snapshots")}, snap.Host.Snapshots,
		"changed at once, but for the place, which follows the data")
}

func TestHostMissingSaysInit(t *testing.T) {
	t.Parallel()
	_, problems := LoadHost(filepath.Join(t.TempDir(), "host.yaml"), Options{})
	require.Equal(t, []string{CodeMissingFile}, codes(problems))
	require.ErrorContains(t, problems.Err(), "jackfield init")
}

// rows: E05
func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	fill := make([]byte, maxFile)
	for i := range fill {
		fill[i] = '#'
	}
	write(t, filepath.Join(dir, "tenants/full.yaml"), "tenant: full\n"+string(fill[:maxFile-14])+"\n")
	write(t, filepath.Join(dir, "tenants/over.yaml"), "tenant: over\n"+string(fill[:maxFile-12])+"\n")
	outside := write(t, filepath.Join(dir, "outside.yaml"), "tenant: outside\n")
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "tenants/link.yaml")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "tenants/dangling.yaml")))
	snap := Load(host, Options{})
	require.Equal(t, []string{CodeMissingFile, CodeUnreadable, CodeTooLarge}, codes(snap.Problems), "%v", snap.Problems)
	good := map[string]bool{}
	for _, f := range snap.Files {
		good[filepath.Base(f.Path)] = f.Good
	}
	require.Equal(t, map[string]bool{"full.yaml": true, "over.yaml": false, "link.yaml": false, "dangling.yaml": false}, good)
}

// rows: F20
func TestMissingDirectoryIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	snap := Load(write(t, filepath.Join(t.TempDir(), "host.yaml"), "version: 1\n"), Options{})
	require.False(t, snap.Listed)
	require.Equal(t, []string{CodeUnreadable}, codes(snap.Problems))
}

// rows: F20, K21
func TestRunningHostKeepsWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tenants"), 0o700))
	running, problems := LoadHost(file, Options{})
	require.Empty(t, problems)
	write(t, file, "version: 1\ndata: ./other\ntenants: ./gone\nplugins: {trust: dir}\ndefaults: {plugins: {git: {every: 9}}}\nretention: {runs: 48h, events: 0}\n")
	snap := Load(file, Options{Running: &running})
	require.Equal(t, []string{CodeNeedsRestart, CodeNeedsRestart, CodeNeedsRestart}, codes(snap.Problems))
	require.True(t, snap.Listed)
	require.Equal(t, running.Data, snap.Host.Data)
	require.Equal(t, TrustLock, snap.Host.Plugins.Trust)
	require.Equal(t, store.Retention{Runs: 48 * time.Hour, Deleted: 720 * time.Hour}, snap.Host.Retention)
	require.Equal(t, 9, *snap.Host.Defaults.Plugins["git"].Every)
	write(t, file, "version: [\n")
	snap = Load(file, Options{Running: &running})
	require.False(t, snap.HostOK)
	require.True(t, snap.Listed)
	require.Equal(t, running, snap.Host)

	// What was good since the start goes before what the start read.
	last := running
	last.Retention.Runs = 96 * time.Hour
	snap = Load(file, Options{Running: &running, Good: func() (Host, bool) { return last, true }})
	require.Equal(t, last, snap.Host)
	snap = Load(file, Options{Running: &running, Good: func() (Host, bool) { return Host{}, false }})
	require.Equal(t, running, snap.Host, "nothing was read since")
}

// rows: O43
func TestLargeTokenIsAcceptedAndRedacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := make([]byte, 64<<10) // as promised
	for i := range token {
		token[i] = "xoxbABC123"[i%10]
	}
	host := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	write(t, filepath.Join(dir, "token"), string(token)+"\n")
	write(t, filepath.Join(dir, "tenants/a.yaml"), "tenant: a\nintegrations:\n  - name: a\n    plugin: slack\n    settings: {token: \"${file:../token}\", archive: \"${env:CHANNEL}\"}\n")
	opts := testOptions()
	snap := Load(host, opts)
	require.Empty(t, snap.Problems)
	require.Equal(t, "sent ***", opts.Redactor.Redact("sent "+string(token)))
	require.Equal(t, "in general", opts.Redactor.Redact("in general"), "a path is no secret")
	require.JSONEq(t, `{"token":"`+string(token)+`","archive":"`+filepath.Join(dir, "tenants/general")+`"}`, snap.Integrations()[0].Settings.Reveal("test"))
	write(t, filepath.Join(dir, "token"), string(token)+"x")
	require.Equal(t, []string{CodeTooLarge}, codes(Load(host, opts).Problems))
}

func TestSumTellsWhatChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	write(t, filepath.Join(dir, "token"), "canary-1")
	tenant := write(t, filepath.Join(dir, "tenants/a.yaml"), "tenant: a\nintegrations:\n  - {name: a, plugin: slack, settings: {token: \"${file:../token}\"}}\n")
	first := Load(host, testOptions())
	require.Empty(t, first.Problems)
	require.Equal(t, first.Sum, Load(host, testOptions()).Sum)
	write(t, filepath.Join(dir, "token"), "canary-2")
	second := Load(host, testOptions())
	require.NotEqual(t, first.Sum, second.Sum, "a rotated secret counts")
	write(t, tenant, "tenant: a\n")
	require.NotEqual(t, second.Sum, Load(host, testOptions()).Sum)
	require.NotEqual(t, first.Sum, Load(host, Options{}).Sum, "so does a plugin that went")
}

// Nobody has to serve HTTP.
func TestListenCanBeOff(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "host.yaml")
	for text, want := range map[string]string{"": "127.0.0.1:7480", "listen: off\n": "", "listen: \"[::1]:0\"\n": "[::1]:0"} {
		require.NoError(t, os.WriteFile(path, []byte("version: 1\n"+text), 0o600))
		h, problems := LoadHost(path, Options{})
		require.Empty(t, problems)
		require.Equal(t, want, h.Listen, text)
	}
}
