//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/supervisor"
)

// measureDrop takes the time from the last write of a dropped program, whose digest is
// approved, until its plugin serves, and what that is made of. The daemon has never
// seen it: its own copy is made, and it is started, probed and called for the first
// time.
func measureDrop(t *testing.T, f *figures) {
	t.Helper()
	s := newSite(t, nil)
	programs := make([][]byte, figuresRounds)
	text := "tenant: acme\nintegrations:\n"
	for n := range programs {
		name := fmt.Sprintf("drop%d", n)
		programs[n] = s.named(name, "")
		s.place(name, programs[n], 0o755)
		s.cli("plugin", "approve", name)
		require.NoError(t, os.Remove(filepath.Join(s.dir, "plugins", name)))
		text += fmt.Sprintf("  - {name: %s, plugin: %s, connectors: [things], every: 0, settings: {streams: 1, pages: 1, records: 100}}\n", name, name)
	}
	s.write("tenants/acme.yaml", text)
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "data", "cas")))
	d := s.start()
	s.ready()
	var parts [6][]float64 // all, found, started, described, serves, first call
	var hashing, copying []float64
	for n, program := range programs {
		name := fmt.Sprintf("drop%d", n)
		hash, take := handle(t, program)
		hashing, copying = append(hashing, hash), append(copying, take)
		s.place(name, program, 0o755)
		written := time.Now()
		run := s.firstRunOf("acme/" + name)
		at := s.movesOf(name)
		for i, end := range []time.Time{
			at["plugin.process.serving"], at["plugin.artifact.staged"], at["plugin.process.handshake"],
			at["plugin.process.describe"], at["plugin.process.serving"], run,
		} {
			begin := written
			if i > 1 {
				begin = []time.Time{at["plugin.artifact.staged"], at["plugin.process.handshake"], at["plugin.process.describe"], at["plugin.process.serving"]}[i-2]
			}
			parts[i] = append(parts[i], float64(end.Sub(begin).Microseconds())/1000)
		}
	}
	d.stop(t)
	milli := func(of []float64) string { return fmt.Sprintf("%.0f ms", median(of)) }
	f.most("a dropped plugin, from the last write until it serves", median(parts[0]), 1000, "ms")
	f.plain("  found at rest, verified and stored", milli(parts[1]))
	f.plain("    of that its digest, taken alone", milli(hashing))
	f.plain("    of that the copy for the daemon, with its digest, taken alone", milli(copying))
	f.plain("  started, to its handshake", milli(parts[2]))
	f.plain("  probed: it said what it is", milli(parts[3]))
	f.plain("  took over", milli(parts[4]))
	f.plain("  and then its first run had begun after", milli(parts[5]))
}

// handle returns how long a program's digest takes, and the copy that the daemon makes,
// in milliseconds.
func handle(t *testing.T, program []byte) (hash, take float64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, program, 0o700))
	began := time.Now()
	_, err := discovery.Digest(path)
	require.NoError(t, err)
	hash = micros(time.Since(began)) / 1000
	began = time.Now()
	_, _, _, err = discovery.Stage(t.TempDir(), path)
	require.NoError(t, err)
	return hash, micros(time.Since(began)) / 1000
}

// firstRunOf waits for an integration's first run and returns when it began.
func (s *site) firstRunOf(name string) (at time.Time) {
	s.t.Helper()
	s.until("its first run begins", func() bool {
		var doc struct {
			Runs []struct {
				StartedAt time.Time `json:"started_at"`
			}
		}
		out, err := s.try("run", "list", "-i", name, "-o", "json")
		if err != nil || json.Unmarshal([]byte(out), &doc) != nil || len(doc.Runs) == 0 {
			return false
		}
		at = doc.Runs[0].StartedAt
		return !at.IsZero()
	})
	return at
}

// movesOf returns when a plugin first made each of its moves.
func (s *site) movesOf(plugin string) map[string]time.Time {
	s.t.Helper()
	at := map[string]time.Time{}
	s.until("its moves are kept", func() bool {
		var doc struct {
			Events []struct {
				Kind string
				Data struct {
					Plugin string
					At     time.Time
				}
			}
		}
		s.read(&doc, "event", "list", "--kind", "plugin", "--limit", "1000")
		for _, e := range doc.Events { // the newest first
			if e.Data.Plugin == plugin {
				at[e.Kind] = e.Data.At
			}
		}
		return !at["plugin.process.serving"].IsZero()
	})
	return at
}

// restingPlugins is how many plugins rest while the daemon's memory is measured.
const restingPlugins = 200

// measureIdle takes the daemon's memory with many plugins that nothing calls, and the
// time of a call that wakes one.
func measureIdle(t *testing.T, f *figures) {
	t.Helper()
	s := newSite(t, nil)
	text := "tenant: acme\nintegrations:\n"
	for n := range restingPlugins {
		name := fmt.Sprintf("rest%03d", n)
		s.unfold(name, map[string][]byte{
			"plugin.yaml":      fmt.Appendf(nil, "schema: 1\nname: %s\nversion: 1.0.0\nruntime: load\n", name),
			"lib/variant.json": fmt.Appendf(nil, `{"name": %q, "version": "1.0.0"}`, name),
		})
		text += fmt.Sprintf("  - {name: %s, plugin: %s, connectors: [things], every: -1, settings: {}}\n", name, name)
	}
	s.cli("plugin", "approve", "--all")
	s.write("tenants/acme.yaml", text)
	s.idle("10s")
	d := s.start()
	s.ready()
	s.within(3*time.Minute, "all rest", func() bool {
		resting := 0
		for _, p := range s.plugins() {
			if p.State == "idle" {
				resting++
			}
		}
		return resting == restingPlugins+1
	})
	require.Eventually(t, func() bool { return len(s.processes()) == 0 }, time.Minute, 50*time.Millisecond)
	settle(t)
	if _, err := resident(d.cmd.Process.Pid); err != nil {
		f.plain("memory of the daemon with plugins that rest", "not measured on this system")
	} else {
		f.plain(fmt.Sprintf("memory of the daemon with %d plugins that rest", restingPlugins), fmt.Sprintf("%.0f MB", residentMB(t, d)))
		f.plain("  processes of plugins", fmt.Sprint(len(s.processes())))
	}
	var woken, awake []float64
	for n := range figuresRounds {
		name := fmt.Sprintf("acme/rest%03d", n*7)
		for _, into := range []*[]float64{&woken, &awake} {
			began := time.Now()
			s.cli("integration", "check", name)
			*into = append(*into, micros(time.Since(began))/1000)
		}
	}
	d.stop(t)
	f.plain("  a check that wakes one, by the command line", fmt.Sprintf("%.0f ms", median(woken)))
	f.plain("  a check of one that runs", fmt.Sprintf("%.0f ms", median(awake)))
}

// manyPlugins is how many plugins a daemon starts at once in measureMany.
const manyPlugins = 50

// measureMany takes the time from a daemon's start until many plugins serve, each a
// process of its own in the sandbox, beside what the same starts take without a daemon.
func measureMany(t *testing.T, f *figures) {
	t.Helper()
	s := newSite(t, nil)
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "tenants")))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "tenants"), 0o700))
	for n := range manyPlugins - 1 { // beside the one that runs them
		name := fmt.Sprintf("many%02d", n)
		s.unfold(name, map[string][]byte{
			"plugin.yaml":      fmt.Appendf(nil, "schema: 1\nname: %s\nversion: 1.0.0\nruntime: load\n", name),
			"lib/variant.json": fmt.Appendf(nil, `{"name": %q, "version": "1.0.0"}`, name),
		})
	}
	s.cli("plugin", "approve", "--all")
	var ready, bare []float64
	for range 3 {
		began := time.Now()
		d := s.start()
		s.ready()
		s.within(time.Minute, "all serve", func() bool {
			serving := 0
			for _, p := range s.plugins() {
				if p.State == "serving" {
					serving++
				}
			}
			return serving == manyPlugins
		})
		ready = append(ready, float64(s.lastServing(began, manyPlugins).Sub(began).Milliseconds()))
		d.stop(t)
		bare = append(bare, float64(startBare(t, manyPlugins).Milliseconds()))
	}
	// Two seconds, unless this machine needs most of them for the starts alone.
	f.most(fmt.Sprintf("%d plugins ready, from the daemon's start, p50 of %d", manyPlugins, len(ready)), median(ready), max(2_000, 2.5*median(bare)), "ms")
	f.plain("  the same starts to their answer and their end, without sandbox and daemon", fmt.Sprintf("%.0f ms", median(bare)))
}

// lastServing returns when the last of n plugins began to serve after a moment.
func (s *site) lastServing(after time.Time, n int) (last time.Time) {
	s.t.Helper()
	s.until("their moves are kept", func() bool {
		var doc struct {
			Events []struct {
				Kind string
				Data struct {
					Plugin string
					At     time.Time
				}
			}
		}
		s.read(&doc, "event", "list", "--kind", "plugin", "--limit", "1000")
		served := map[string]bool{}
		for _, e := range doc.Events {
			if e.Kind == "plugin.process.serving" && e.Data.At.After(after) {
				served[e.Data.Plugin] = true
				if e.Data.At.After(last) {
					last = e.Data.At
				}
			}
		}
		return len(served) == n
	})
	return last
}

// startBare starts a plugin n times, as many at once as the daemon does.
func startBare(t *testing.T, n int) time.Duration {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	var starts errgroup.Group
	starts.SetLimit(2 * runtime.NumCPU())
	began := time.Now()
	for range n {
		starts.Go(func() error {
			_, err := supervisor.Probe(t.Context(), supervisor.Options{}, supervisor.Binary{Name: "load", Path: filepath.Join(bin, "load")})
			return err
		})
	}
	require.NoError(t, starts.Wait())
	return time.Since(began)
}
