//go:build unix

package main

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mutated is a file as a bad copy, a bad hand or a bad disk leaves it.
func mutated(r *rand.Rand, body []byte) []byte {
	out := bytes.Clone(body)
	at := r.IntN(len(out))
	switch r.IntN(5) {
	case 0: // cut short
		return out[:at]
	case 1: // a bit
		out[at] ^= 1 << r.IntN(8)
	case 2: // a hole
		clear(out[at:min(len(out), at+1+r.IntN(200))])
	case 3: // a part is missing
		out = slices.Delete(out, at, min(len(out), at+1+r.IntN(40)))
	default: // a part is there twice
		out = slices.Insert(out, at, bytes.Clone(out[at:min(len(out), at+1+r.IntN(40))])...)
	}
	return out
}

// socket is where the daemon answers, whatever host.yaml says by now.
func (s *site) socket() string { return filepath.Join(s.dir, "data", "jackfield.sock") }

// uids returns the integrations by name with their identity.
func (s *site) uids() map[string]string {
	s.t.Helper()
	var doc struct{ Integrations []integrationDoc }
	s.read(&doc, "integration", "list", "--address", s.socket())
	out := map[string]string{}
	for _, in := range doc.Integrations {
		out[in.ID] = in.UID
	}
	return out
}

// state returns the status with what runs, also while the plugin directory or the lock
// cannot be read.
func (s *site) state() (string, []pluginDoc) {
	s.t.Helper()
	var doc struct {
		State   string
		Plugins []pluginDoc
	}
	s.read(&doc, "status", "--address", s.socket())
	return doc.State, doc.Plugins
}

// counted returns how many records an integration has.
func (s *site) counted(name string) int {
	s.t.Helper()
	var doc struct{ Records map[string]int }
	s.read(&doc, "integration", "show", name)
	return doc.Records["thing"]
}

// While a daemon runs, its files are cut and mutated at random, in place and by a
// rename: no tenant is lost and no record, nothing runs that nobody approved, and when
// the files are good again so is everything.
//
// rows: F20, F21, F08, H16, H17, H20
func TestPowerOfBadFilesIsSmall(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	tenants := []string{"acme", "bolt", "cord"}
	good := map[string][]byte{}
	for _, tenant := range tenants {
		text := bytes.Replace([]byte(declared("load", small)), []byte("tenant: acme"), []byte("tenant: "+tenant), 1)
		s.write("tenants/"+tenant+".yaml", string(text))
		good["tenants/"+tenant+".yaml"] = text
	}
	for _, name := range []string{"host.yaml", "plugins.lock", "plugins/load"} {
		body, err := os.ReadFile(filepath.Join(s.dir, name))
		require.NoError(t, err)
		good[name] = body
	}
	d := s.start()
	s.ready()
	s.until("all is imported", func() bool {
		for _, tenant := range tenants {
			if in := s.shown(tenant + "/load"); in.State != "active" || s.counted(in.ID) != 10 {
				return false
			}
		}
		return s.status().State == "ok"
	})
	before, digest := s.uids(), s.serving().Digest
	require.Len(t, before, 3)

	r := chance(t)
	all := 100
	if soaking() {
		all = 1_000
	}
	files := slices.Sorted(maps.Keys(good))
	var took []time.Duration
	for done := 0; done < all; {
		var bad []string
		for range 1 + r.IntN(5) {
			name := files[r.IntN(len(files))]
			s.put(name, mutated(r, good[name]), r.IntN(2) == 0)
			bad = append(bad, name)
			done++
		}
		_, _ = s.try("reload", "--address", s.socket()) // it says what is wrong; here it is enough that it has looked
		_, _ = s.try("plugin", "rescan", "--address", s.socket())
		for id, uid := range before { // removed or parked it may be, but it is there
			require.Equal(t, uid, s.uids()[id], "%v", bad)
		}
		_, running := s.state()
		for _, p := range running {
			require.True(t, p.PID == 0 || p.Digest == digest, "a program that nobody approved runs: %v", p)
		}
		for _, name := range bad {
			s.put(name, good[name], r.IntN(2) == 0)
		}
		began := time.Now()
		s.until("all is well again", func() bool {
			state, running := s.state()
			if state != "ok" || !slices.ContainsFunc(running, func(p pluginDoc) bool { return p.State == "serving" && p.Digest == digest }) {
				return false
			}
			for _, tenant := range tenants {
				if s.shown(tenant+"/load").State != "active" {
					return false
				}
			}
			return true
		})
		took = append(took, time.Since(began))
	}
	for id, uid := range before {
		require.Equal(t, uid, s.uids()[id])
		require.Equal(t, 10, s.counted(id), id)
	}
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
	slices.Sort(took)
	if soaking() {
		require.Less(t, took[len(took)*99/100], time.Second, "a good file is taken over within a second")
	}
	proved(t, "%d mutations of files while the daemon ran, 0 tenants lost; well again after a good file in p50 %s, p99 %s, at most %s",
		all, took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}

// A file that is bad when somebody has it read, and good before the daemon would have
// looked by itself, leaves no problem behind.
//
// rows: F20, F21
func TestABadFileThatIsMendedAtOnceLeavesNoProblem(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	good := []byte(declared("load", small))
	s.put("tenants/acme.yaml", good, false)
	d := s.start()
	s.ready()
	s.until("all is well", func() bool { return s.status().State == "ok" && s.shown("acme/load").State == "active" })
	for range 3 {
		s.put("tenants/acme.yaml", []byte("nonsense"), false)
		_, err := s.try("reload")
		require.Equal(t, exitUsage, exitCode(err))
		s.put("tenants/acme.yaml", good, false)
		s.until("all is well again", func() bool { return s.status().State == "ok" })
	}
	d.stop(t)
}

// put writes a file of the site in place, as an editor may, or by a rename.
func (s *site) put(name string, body []byte, inPlace bool) {
	s.t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	info, err := os.Stat(path)
	require.NoError(s.t, err)
	if inPlace {
		require.NoError(s.t, os.WriteFile(path, body, info.Mode()))
		return
	}
	require.NoError(s.t, os.WriteFile(path+".new", body, info.Mode()))
	require.NoError(s.t, os.Rename(path+".new", path))
}
