package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onlyRuns fails the test if a state has something of this file that may run and is not
// of this digest.
func onlyRuns(t *testing.T, digest string, match func([]Artifact) bool) func([]Artifact) bool {
	t.Helper()
	return func(state []Artifact) bool {
		for _, a := range state {
			if !a.Runnable() {
				continue
			}
			require.Equal(t, digest, a.Digest)
			got, err := Digest(a.Staged)
			require.NoError(t, err)
			require.Equal(t, digest, got, "what may run is whole")
		}
		return match(state)
	}
}

// A slow copy is looked at while it is being written, again and again: nothing of it
// may run before its last byte is there, in either trust.
//
// rows: H16, H17, F08, H35
func TestSlowCopyNeverRunsBeforeItIsWhole(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	body, err := os.ReadFile(exe)
	require.NoError(t, err)
	for _, trust := range []Trust{TrustLock, TrustDir} {
		t.Run(string(trust), func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *Options) { o.Trust, o.Settle = trust, time.Nanosecond }) // each step looks at rest
			digest := sum(body)
			if trust == TrustLock {
				b.approve(t, "slow", "1.0.0", "slow", body)
			}
			f, err := os.OpenFile(filepath.Join(b.opts.Dir, "slow"), os.O_CREATE|os.O_WRONLY, 0o755)
			require.NoError(t, err)
			const steps = 12
			for i := range steps {
				_, err = f.Write(body[len(body)*i/steps : len(body)*(i+1)/steps])
				require.NoError(t, err)
				a := b.one(t, "slow")
				if i < steps-1 {
					require.Equal(t, VerdictIncomplete, a.Verdict, "step %d", i)
					require.False(t, a.Runnable())
				}
			}
			a := b.one(t, "slow") // its writer has it open still: what runs is a copy
			require.True(t, a.Runnable(), a.Reason)
			require.Equal(t, digest, a.Digest)
			staged, err := Digest(a.Staged)
			require.NoError(t, err)
			require.Equal(t, digest, staged)
			_, err = f.WriteAt([]byte("overwritten"), 100) // while the copy runs: no "text file busy", no other bytes
			require.NoError(t, err)
			require.NoError(t, f.Close())
			staged, err = Digest(a.Staged)
			require.NoError(t, err)
			require.Equal(t, digest, staged)
		})
	}
}

// An editor, a copying tool and a build write beside a file and over it; what they
// leave lying there never runs and never takes the plugin's place.
//
// rows: H19, H20
func TestEditorsTemporaryFilesNeverRun(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = time.Hour })
	one, two := script("one"), script("two")
	first := b.approve(t, "slack", "1.0.0", "slack", one)
	b.write(t, "slack", one, 0o755)
	_, out := b.watch(t)
	until(t, out, has("slack", VerdictApproved))
	names := []string{".slack.swp", "slack~", ".slack.Xa3b1", "slack.tmp", "slack.part", "slack.filepart", "slack.crdownload", "#slack#", "slack.new", "slack.bak"}
	for _, name := range names {
		b.write(t, name, one, 0o755) // even the approved bytes
	}
	until(t, out, onlyRuns(t, first, func(state []Artifact) bool {
		ignored := 0
		for _, a := range state {
			if a.Verdict == VerdictIgnored {
				ignored++
				require.NotEmpty(t, a.Reason)
			}
		}
		return ignored == len(names)
	}))
	second := b.approve(t, "slack", "2.0.0", "slack", two)
	require.NoError(t, os.WriteFile(filepath.Join(b.opts.Dir, "slack.tmp"), two, 0o755))
	require.NoError(t, os.Rename(filepath.Join(b.opts.Dir, "slack.tmp"), filepath.Join(b.opts.Dir, "slack")))
	until(t, out, func(state []Artifact) bool {
		for _, a := range state {
			if a.File == "slack" && a.Digest == second && a.Verdict == VerdictApproved {
				return true
			}
		}
		return false
	})
}

// A tree that is put in place by a swap of ..data, as mounted volumes are, changes no
// name in the directory but that link: the new program is found all the same.
//
// rows: H20, F21
func TestSwapOfTheDataLink(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = time.Hour })
	one, two := script("one"), script("two")
	lay := func(generation string, body []byte) {
		require.NoError(t, os.Mkdir(filepath.Join(b.opts.Dir, generation), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(b.opts.Dir, generation, "slack"), body, 0o755))
		require.NoError(t, os.Symlink(generation, filepath.Join(b.opts.Dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(b.opts.Dir, "..data_tmp"), filepath.Join(b.opts.Dir, "..data")))
	}
	lay("..1", one)
	require.NoError(t, os.Symlink(filepath.Join("..data", "slack"), filepath.Join(b.opts.Dir, "slack")))
	first := b.approve(t, "slack", "1.0.0", "slack", one)
	_, out := b.watch(t)
	until(t, out, onlyRuns(t, first, has("slack", VerdictApproved)))
	lay("..2", two)
	require.NoError(t, os.RemoveAll(filepath.Join(b.opts.Dir, "..1")))
	until(t, out, onlyRuns(t, first, has("slack", VerdictKept)))
	second := b.approve(t, "slack", "2.0.0", "slack", two)
	until(t, out, func(state []Artifact) bool { return has("slack", VerdictApproved)(state) && runs(state, second) })
}

// The plugin directory may be a link that is put elsewhere, to which the watch of the
// old directory tells nothing.
//
// rows: H20, H21
func TestDirectoryThatIsALinkIsSwapped(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = 20 * time.Millisecond })
	base := t.TempDir()
	one, two := script("one"), script("two")
	for name, body := range map[string][]byte{"blue": one, "green": two} {
		require.NoError(t, os.Mkdir(filepath.Join(base, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(base, name, "slack"), body, 0o755))
	}
	require.NoError(t, os.Remove(b.opts.Dir))
	point := func(name string) {
		require.NoError(t, os.Symlink(filepath.Join(base, name), b.opts.Dir+".next"))
		require.NoError(t, os.Rename(b.opts.Dir+".next", b.opts.Dir))
	}
	point("blue")
	b.approve(t, "slack", "1.0.0", "slack", one)
	_, out := b.watch(t)
	until(t, out, has("slack", VerdictApproved))
	second := b.approve(t, "slack", "2.0.0", "slack", two)
	point("green")
	until(t, out, func(state []Artifact) bool { return runs(state, second) })
}

// runs reports whether something of this digest may run.
func runs(state []Artifact, digest string) bool {
	for _, a := range state {
		if a.Runnable() && a.Digest == digest {
			return true
		}
	}
	return false
}

// A swapper races the check: whatever stands at the name when it is looked at, and
// links and names that lead out of the directory too, only the locked digest is ever
// given out to be run.
//
// rows: P02, H18
func TestRacingSwapperNeverGetsAnotherDigestRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good, evil := script("good"), script("evil")
	digest := b.approve(t, "slack", "1.0.0", "slack", good)
	outside := filepath.Join(t.TempDir(), "evil")
	require.NoError(t, os.WriteFile(outside, evil, 0o755))
	stop, ended := make(chan struct{}), make(chan struct{})
	path, temp := filepath.Join(b.opts.Dir, "slack"), filepath.Join(b.opts.Dir, ".swap")
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Remove(temp)
			switch i % 12 {
			default:
				_ = os.WriteFile(temp, good, 0o755)
			case 1:
				_ = os.WriteFile(temp, evil, 0o755)
			case 5:
				_ = os.Symlink(outside, temp)
			}
			_ = os.Rename(temp, path)
			if i%12 == 8 { // in place: the inode that was checked has other bytes now
				_ = os.WriteFile(path, evil, 0o600)
			}
		}
	}()
	tries := 100
	if os.Getenv("JACKFIELD_SOAK") != "" {
		tries = 1_000
	}
	ran := 0
	for range tries {
		_ = os.RemoveAll(filepath.Join(b.opts.Data, casDir)) // each time the copy is made anew
		found, err := b.scanner.Scan(t.Context())
		require.NoError(t, err)
		for _, a := range found {
			if !a.Runnable() {
				continue
			}
			ran++
			body, err := os.ReadFile(a.Staged)
			require.NoError(t, err)
			h := sha256.Sum256(body)
			require.Equal(t, digest, hex.EncodeToString(h[:]))
			require.Equal(t, filepath.Join(b.opts.Data, casDir, digest), a.Staged)
		}
	}
	close(stop)
	<-ended
	_ = os.Remove(path)
	b.write(t, "slack", good, 0o755)
	require.True(t, b.one(t, "slack").Runnable())
	t.Logf("proof: %d looks at a file that is swapped all the time: %d times it could run, always the locked digest", tries, ran)
}
