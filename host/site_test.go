package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/sqlite"
)

// built is where the programs are that the tests run as processes. They are
// built when the first test needs them, and removed by TestMain.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func builds() (string, error) {
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "jackfield-test-"); built.err == nil {
			built.err = buildInto(built.dir)
		}
	})
	return built.dir, built.err
}

func buildInto(dir string) error {
	for _, what := range [][]string{
		{"-o", filepath.Join(dir, "jackfield"), "."},
		{"-o", dir + "/", "./testdata/load", "./testdata/bare", "./testdata/next", "./testdata/reach"},
	} {
		// As they are shipped, which takes a third of the time.
		cmd := exec.CommandContext(context.Background(), "go", append([]string{"build", "-ldflags=-s -w"}, what...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %v: %w\n%s", what, err, out)
		}
	}
	return nil
}

// site is an installation of its own: configuration, plugins, data.
type site struct {
	t    testing.TB
	dir  string
	bin  string
	args []string // more of them for serve
	env  []string // likewise
}

// newSite makes a site whose plugin load is approved, with one integration
// acme/load of the settings.
func newSite(t testing.TB, settings map[string]any) *site {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("serve is not supported on windows yet")
	}
	bin, err := builds()
	require.NoError(t, err)
	s := &site{t: t, dir: t.TempDir(), bin: bin}
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} { // plugins that are of users of their own look for files of tests there
		require.NoError(t, os.Chmod(dir, 0o711))
	}
	t.Cleanup(func() { _ = os.RemoveAll(s.runDir()) }) // of a daemon that was killed
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\ndata: ./data\nplugins: {dir: ./plugins, trust: lock}\ntenants: ./tenants\n")
	s.integration(settings)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o750))
	s.install("load")
	s.cli("plugin", "approve", "load")
	return s
}

// runDir is where the daemon keeps the directories of processes.
func (s *site) runDir() string {
	cfg := config.Default(filepath.Join(s.dir, "host.yaml"))
	cfg.Data = filepath.Join(s.dir, "data")
	return newCage(cfg, false).runDir(cfg.Data)
}

// integration writes the tenant's file.
func (s *site) integration(settings map[string]any) {
	s.t.Helper()
	raw, err := json.Marshal(settings)
	require.NoError(s.t, err)
	s.write("tenants/acme.yaml", fmt.Sprintf("tenant: acme\nintegrations:\n  - name: load\n    plugin: load\n    connectors: [things]\n    every: -1\n    settings: %s\n", raw))
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(s.t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(s.t, os.Rename(path+".new", path))
}

// install copies a built plugin into the site, as an operator does.
func (s *site) install(name string) {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.bin, name))
	require.NoError(s.t, err)
	path := filepath.Join(s.dir, "plugins", name)
	require.NoError(s.t, os.WriteFile(path+".tmp", raw, 0o755))
	require.NoError(s.t, os.Rename(path+".tmp", path))
}

// cli runs a command in this process and returns what it printed.
func (s *site) cli(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	require.NoError(s.t, err, out)
	return out
}

func (s *site) try(args ...string) (string, error) {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := Run(ctx, append([]string{"-c", filepath.Join(s.dir, "host.yaml")}, args...), &out, &errs)
	if err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

// daemonProcess is a running `jackfield serve`.
type daemonProcess struct {
	cmd  *exec.Cmd
	log  *output
	done chan error
}

// output is what a program that still runs prints.
type output struct {
	mu  sync.Mutex // guards out
	out bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.Write(p)
}

// String returns what was printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.String()
}

// start runs the daemon. The caller ends it by kill or stop.
func (s *site) start() *daemonProcess {
	s.t.Helper()
	d := &daemonProcess{log: &output{}, done: make(chan error, 1)}
	args := append([]string{"serve", "-c", filepath.Join(s.dir, "host.yaml")}, s.args...)
	d.cmd = exec.CommandContext(context.Background(), filepath.Join(s.bin, "jackfield"), args...) // outlives the test's context: cleanup ends it
	d.cmd.Env = append(os.Environ(), s.env...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	require.NoError(s.t, d.cmd.Start())
	go func() { d.done <- d.cmd.Wait() }()
	s.t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	return d
}

func (d *daemonProcess) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, d.cmd.Process.Kill())
	require.Error(t, <-d.done, "killed")
}

// stop ends the daemon as an operator does, and wants it to end well.
func (d *daemonProcess) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-d.done:
		require.NoError(t, err, d.log.String())
	case <-time.After(40 * time.Second):
		require.Fail(t, "the daemon did not stop", d.log.String())
	}
}

// lastRun returns the newest run, or false while there is none or no daemon.
func (s *site) lastRun() (state string, ok bool) {
	out, err := s.try("run", "list", "-o", "json")
	if err != nil {
		return "", false
	}
	var doc struct {
		Runs []struct {
			State string `json:"state"`
		} `json:"runs"`
	}
	if json.Unmarshal([]byte(out), &doc) != nil || len(doc.Runs) == 0 {
		return "", false
	}
	return doc.Runs[0].State, true
}

// await waits until the newest run has the state.
func (s *site) await(state store.RunState) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		got, ok := s.lastRun()
		return ok && got == string(state)
	}, time.Minute, 50*time.Millisecond)
}

// contents returns every record of the site's store, whose daemon has ended.
func (s *site) contents() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	s.eachRecord(func(key, content string) {
		require.NotContains(s.t, out, key, "stored twice")
		out[key] = content
	})
	return out
}

// sums is contents for a million records: a sum of each.
func (s *site) sums() map[string]uint64 {
	s.t.Helper()
	out := map[string]uint64{}
	s.eachRecord(func(key, content string) {
		_, twice := out[key]
		require.False(s.t, twice, "%s is stored twice", key)
		out[key] = xxh3.HashString(content)
	})
	return out
}

// eachRecord calls fn with every record of the store.
func (s *site) eachRecord(fn func(key, content string)) {
	s.t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(s.dir, "data")})
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	for after := int64(0); ; {
		page, err := db.Records(ctx, store.RecordFilter{After: after, Limit: 1000, Deleted: true})
		require.NoError(s.t, err)
		for _, r := range page {
			fn(r.Kind+" "+r.ExternalID, fmt.Sprintf("%v %s", r.Deleted, r.Data))
			after = r.Position
		}
		if len(page) == 0 {
			return
		}
	}
}

// verified wants every invariant to hold in the site's store, whose daemon has
// ended.
func (s *site) verified() {
	s.t.Helper()
	db, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(s.dir, "data")})
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	broken, err := db.Verify(context.Background())
	require.NoError(s.t, err)
	require.Empty(s.t, broken)
}

// processes returns the pids that run a program of the site.
func (s *site) processes() []int {
	s.t.Helper()
	entries, err := os.ReadDir("/proc")
	if errors.Is(err, os.ErrNotExist) {
		return nil // not Linux: nothing to look at
	}
	require.NoError(s.t, err)
	var pids []int
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err == nil && strings.HasPrefix(exe, s.dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}
