package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// watched is a directory of configuration that a Watcher runs on.
type watched struct {
	t     *testing.T
	dir   string
	w     *Watcher
	snaps chan Snapshot
}

// watch starts a Watcher whose rescan is so late that only events are seen.
func watch(t *testing.T, rescan time.Duration) *watched {
	t.Helper()
	return watchBy(t, rescan, newHints)
}

func watchBy(t *testing.T, rescan time.Duration, hints func(hclog.Logger) (*hints, error)) *watched {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
	write(t, filepath.Join(dir, "tenants/acme.yaml"), "tenant: acme\n")
	v := &watched{t: t, dir: dir, snaps: make(chan Snapshot, 16)}
	v.w = NewWatcher(filepath.Join(dir, "host.yaml"), testOptions(), WatchOptions{Settle: 10 * time.Millisecond, Most: 50 * time.Millisecond, Rescan: rescan})
	v.w.hints = hints
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.w.Run(ctx, func(_ context.Context, s Snapshot) { v.snaps <- s }) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	require.Empty(t, v.next().Problems)
	return v
}

func (v *watched) next() Snapshot {
	v.t.Helper()
	select {
	case s := <-v.snaps:
		return s
	case <-time.After(25 * time.Second):
		require.FailNow(v.t, "the change was not seen")
		return Snapshot{}
	}
}

// until waits for a snapshot with these integrations; a change may be read while it
// is half done.
func (v *watched) until(names ...string) Snapshot {
	v.t.Helper()
	for {
		s := v.next()
		have := []string{}
		for _, in := range s.Integrations() {
			have = append(have, in.FullName())
		}
		if len(have) == len(names) && s.HostOK {
			require.ElementsMatch(v.t, names, have)
			return s
		}
	}
}

func one(tenant, name string) string {
	return "tenant: " + tenant + "\nintegrations:\n  - {name: " + name + ", plugin: absent}\n"
}

// rows: F20, F21
func TestWatcherSeesWhatEditorsDo(t *testing.T) {
	t.Parallel()
	v := watch(t, time.Hour)
	path := filepath.Join(v.dir, "tenants/acme.yaml")

	write(t, path, one("acme", "written"))
	v.until("acme/written")

	// vim: a probe, the old file put aside, the new one written and named.
	probe := write(t, filepath.Join(v.dir, "tenants/4913"), "")
	require.NoError(t, os.Remove(probe))
	require.NoError(t, os.Rename(path, path+"~"))
	write(t, path, one("acme", "renamed"))
	require.NoError(t, os.Remove(path+"~"))
	v.until("acme/renamed")

	// A draft that takes the name at once.
	require.NoError(t, os.Rename(write(t, filepath.Join(v.dir, "tenants/.acme.yaml.tmp"), one("acme", "atomic")), path))
	v.until("acme/atomic")

	// Half-written: a problem, and the file does not count.
	write(t, path, "tenant: acme\nintegrations: [\n")
	for {
		if s := v.next(); s.Problems.Failed() {
			require.Equal(t, CodeSyntax, s.Problems[0].Code)
			require.False(t, s.Files[0].Good)
			break
		}
	}
	write(t, path, one("acme", "whole"))
	v.until("acme/whole")

	write(t, filepath.Join(v.dir, "tenants/beta.yml"), one("beta", "more"))
	v.until("acme/whole", "beta/more")
	require.NoError(t, os.Remove(path))
	v.until("beta/more")

	write(t, filepath.Join(v.dir, "host.yaml"), "version: 1\nlog: {level: debug}\n")
	require.Equal(t, "debug", v.until("beta/more").Host.Log.Level)
}

// rows: F21
func TestWatcherSeesAnExchangedDirectory(t *testing.T) {
	t.Parallel()
	v := watch(t, time.Hour)
	tenants := filepath.Join(v.dir, "tenants")
	for _, name := range []string{"first", "second"} { // the second time in the new directory
		require.NoError(t, os.Rename(tenants, filepath.Join(v.dir, "old-"+name)))
		write(t, filepath.Join(v.dir, "next/acme.yaml"), one("acme", name))
		require.NoError(t, os.Rename(filepath.Join(v.dir, "next"), tenants))
		v.until("acme/" + name)
		write(t, filepath.Join(tenants, "acme.yaml"), one("acme", name+"-edited"))
		v.until("acme/" + name + "-edited")
	}
}

// rows: F21
func TestWatcherSeesLinksExchanged(t *testing.T) {
	t.Parallel()
	v := watch(t, time.Hour)
	tenants := filepath.Join(v.dir, "tenants")
	require.NoError(t, os.Remove(filepath.Join(tenants, "acme.yaml")))
	v.until()
	// As a mounted ConfigMap: the files are links through ..data, which is exchanged.
	publish := func(version, name string) {
		write(t, filepath.Join(tenants, version, "acme.yaml"), one("acme", name))
		require.NoError(t, os.Symlink(version, filepath.Join(tenants, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(tenants, "..data_tmp"), filepath.Join(tenants, "..data")))
	}
	publish("..v1", "one")
	require.NoError(t, os.Symlink("..data/acme.yaml", filepath.Join(tenants, "acme.yaml")))
	v.until("acme/one")
	publish("..v2", "two")
	v.until("acme/two")
}

func TestWatcherRescansWithoutEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secretFile := write(t, filepath.Join(dir, "token"), "canary-1")
	v := watch(t, 20*time.Millisecond)
	write(t, filepath.Join(v.dir, "tenants/acme.yaml"), "tenant: acme\nintegrations:\n  - {name: a, plugin: slack, settings: {token: \"${file:"+secretFile+"}\"}}\n")
	v.until("acme/a")
	write(t, secretFile, "canary-2") // outside of what is watched
	require.Contains(t, v.until("acme/a").Integrations()[0].Settings.Reveal("test"), "canary-2")
}

// When the system says that events were lost, all is read at once and not at the next
// turn of the timer.
//
// rows: F08
func TestWatcherReadsAllWhenEventsWereLost(t *testing.T) {
	t.Parallel()
	lost := make(chan chan<- error, 1)
	v := watchBy(t, time.Hour, func(log hclog.Logger) (*hints, error) {
		h, err := newHints(log)
		if err == nil {
			lost <- h.watcher.Errors
		}
		return h, err
	})
	secretFile := write(t, filepath.Join(t.TempDir(), "token"), "canary-1")
	write(t, filepath.Join(v.dir, "tenants/acme.yaml"), "tenant: acme\nintegrations:\n  - {name: a, plugin: slack, settings: {token: \"${file:"+secretFile+"}\"}}\n")
	v.until("acme/a")
	write(t, secretFile, "canary-2") // outside of what is watched
	errs := <-lost
	errs <- fsnotify.ErrEventOverflow
	require.Contains(t, v.until("acme/a").Integrations()[0].Settings.Reveal("test"), "canary-2")
}

func TestWatcherAppliesOnlyChangesUnlessAsked(t *testing.T) {
	t.Parallel()
	v := watch(t, time.Hour)
	same := write(t, filepath.Join(v.dir, "same.yaml"), "tenant: acme # the same\n")
	require.NoError(t, os.Rename(same, filepath.Join(v.dir, "tenants/acme.yaml"))) // never half written
	v.w.Reload()
	asked := v.next()
	require.Empty(t, asked.Problems)
	// Whatever the write caused was read by now or is not told, since nothing changed.
	write(t, filepath.Join(v.dir, "tenants/acme.yaml"), one("acme", "a"))
	require.NotEqual(t, asked.Sum, v.until("acme/a").Sum)
}
