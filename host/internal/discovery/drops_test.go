package discovery

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The ways in which programs come to be in a directory. Each ends with the file whole
// and executable under its name.
func waysOfDropping() map[string]func(dir, name string, body []byte) error {
	program := func(path string, body []byte) error { return os.WriteFile(path, body, 0o755) }
	rename := func(temp string) func(dir, name string, body []byte) error {
		return func(dir, name string, body []byte) error {
			from := filepath.Join(dir, fmt.Sprintf(temp, name))
			if err := program(from, body); err != nil {
				return err
			}
			return os.Rename(from, filepath.Join(dir, name))
		}
	}
	slowly := func(path string, body []byte) error { // as cp does of what is large, and mv from another file system
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(body, 1+len(body)/7) {
			if _, err := f.Write(part); err != nil {
				return err
			}
		}
		return f.Close()
	}
	return map[string]func(dir, name string, body []byte) error{
		"cp": func(dir, name string, body []byte) error { return slowly(filepath.Join(dir, name), body) },
		"cp over another": func(dir, name string, body []byte) error {
			path := filepath.Join(dir, name)
			if err := program(path, script("the one before "+name)); err != nil {
				return err
			}
			return slowly(path, body)
		},
		"mv": func(dir, name string, body []byte) error {
			from := filepath.Join(filepath.Dir(dir), name)
			if err := program(from, body); err != nil {
				return err
			}
			return os.Rename(from, filepath.Join(dir, name))
		},
		"rsync":  rename(".%s.Xa3b1k"),
		"editor": rename("%s.tmp"),
		"an editor that puts the old one aside": func(dir, name string, body []byte) error {
			path := filepath.Join(dir, name)
			if err := program(path, script("the one before "+name)); err != nil {
				return err
			}
			if err := os.Rename(path, path+"~"); err != nil {
				return err
			}
			if err := slowly(path, body); err != nil {
				return err
			}
			return os.Remove(path + "~")
		},
		"install": func(dir, name string, body []byte) error { // written without a mode, which comes last
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, body, 0o600); err != nil {
				return err
			}
			return os.Chmod(path, 0o755)
		},
		"ln": func(dir, name string, body []byte) error {
			from := filepath.Join(filepath.Dir(dir), name)
			if err := program(from, body); err != nil {
				return err
			}
			return os.Link(from, filepath.Join(dir, name))
		},
	}
}

// However a program is put into the directory, one event or another has it found, whole
// and at once with what else comes: the timer is no help here.
//
// rows: H16, H20, H21, F08
func TestEveryWayOfDroppingConverges(t *testing.T) {
	t.Parallel()
	ways := waysOfDropping()
	rounds := 13 // times the ways
	soak := os.Getenv("JACKFIELD_SOAK") != ""
	if soak {
		rounds = 125
	}
	b := setup(t, func(o *Options) {
		if o.Rescan = 24 * time.Hour; !soak {
			o.Settle = 20 * time.Millisecond
		}
	})
	lock := Lock{Version: lockVersion}
	digests := map[string]string{} // by name
	name := func(round, way int) string { return fmt.Sprintf("drop-%d-%d", round, way) }
	for round := range rounds {
		for way := range len(ways) {
			n := name(round, way)
			digests[n] = sum(script(n))
			lock.Approve(Entry{Name: n, Version: "1.0.0", SHA256: digests[n], Size: int64(len(script(n))), File: n})
		}
	}
	require.NoError(t, lock.Save(b.opts.Lock))
	_, out := b.watch(t)
	until(t, out, none)

	var took []time.Duration
	for round := range rounds {
		waits := map[string]time.Time{} // since when, by name
		way := 0
		for how, drop := range ways { // in another order each time
			n := name(round, way)
			require.NoError(t, drop(b.opts.Dir, n, script(n)), how)
			waits[n] = time.Now()
			way++
		}
		until(t, out, func(state []Artifact) bool {
			for _, a := range state {
				if !a.Runnable() {
					continue
				}
				require.Equal(t, digests[a.Name], a.Digest, "nothing else runs meanwhile")
				if since, ok := waits[a.Name]; ok {
					took = append(took, time.Since(since))
					delete(waits, a.Name)
				}
			}
			return len(waits) == 0
		})
		if round%10 == 9 { // so that a look at all stays cheap
			clean(t, b.opts.Dir, out)
		}
	}
	require.Len(t, took, rounds*len(ways))
	slices.Sort(took)
	if soak { // the machine does nothing else
		require.Less(t, took[len(took)-1], 3*time.Second)
	}
	t.Logf("proof: %d drops in %d ways, found by events alone in p50 %s, at most %s", len(took), len(ways), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}

// clean empties the directory.
func clean(t *testing.T, dir string, out <-chan []Artifact) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, os.Remove(filepath.Join(dir, e.Name())))
	}
	until(t, out, none)
}

// A program or lock that was damaged and is good again is taken over because somebody
// wrote it, not because the timer looks once in a while: that looks once a day here.
//
// rows: F20, F21, F08, H20
func TestAMendedFileIsFoundByItsEvent(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan, o.Settle = 24*time.Hour, 10*time.Millisecond })
	body := script("the good one")
	digest := b.approve(t, "slack", "1.0.0", "slack", body)
	path := b.write(t, "slack", body, 0o755)
	lock, err := os.ReadFile(b.opts.Lock)
	require.NoError(t, err)
	w, out := b.watch(t)
	good := func(state []Artifact) bool {
		_, err := w.Last()
		return err == nil && len(state) == 1 && state[0].Verdict == VerdictApproved && state[0].Digest == digest
	}
	until(t, out, good)
	for round := range 12 {
		for file, whole := range map[string][]byte{path: body, b.opts.Lock: lock} {
			bad := append(bytes.Clone(whole[:rand.IntN(len(whole))]), "\x01: ["...) // no YAML, and another program
			require.NoError(t, os.WriteFile(file, bad, 0o600))
			require.Eventually(t, func() bool { // what is wrong is seen, or what served is kept
				select {
				case state := <-out:
					return !good(state)
				default:
					_, err := w.Last()
					return err != nil
				}
			}, time.Minute, time.Millisecond, "%d: %s", round, bad)
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			require.Eventually(t, func() bool {
				select {
				case <-out:
				default:
				}
				last, _ := w.Last()
				return good(last)
			}, time.Minute, time.Millisecond, "%d: %s", round, bad)
		}
	}
}
