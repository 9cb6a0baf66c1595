package discovery

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: P01, K21, H34, C60
func TestUnapprovedIsNeverStaged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := script("touch canary")
	path := b.write(t, "slack", body, 0o755)
	a := b.one(t, "slack")
	require.Equal(t, VerdictUnapproved, a.Verdict)
	require.False(t, a.Runnable())
	require.Equal(t, sum(body), a.Digest)
	require.Equal(t, "slack", a.Name)
	require.Equal(t, "nobody approved it (hint: jackfield plugin approve "+path+")", a.Reason)
	require.NoDirExists(t, filepath.Join(b.opts.Data, casDir))

	b.approve(t, "slack", "1.4.2", "slack", body)
	a = b.one(t, "slack")
	require.Equal(t, VerdictApproved, a.Verdict)
	require.Equal(t, "1.4.2", a.Version)
	require.Empty(t, a.Reason)
	staged, err := os.ReadFile(a.Staged)
	require.NoError(t, err)
	require.Equal(t, body, staged)
	info, err := os.Stat(a.Staged)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o555), info.Mode().Perm())
	info, err = os.Stat(filepath.Dir(a.Staged))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

// rows: H19, H34
func TestEveryFileHasAVerdict(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, ".hidden", script(""), 0o755)
	b.write(t, "slack.part", script(""), 0o755)
	b.write(t, "slack~", script(""), 0o755)
	b.write(t, "README.md", []byte("read me"), 0o644)
	b.write(t, "plain", script("x"), 0o644)
	b.write(t, "text", []byte("hello"), 0o755)
	b.write(t, "empty", nil, 0o755)
	b.write(t, "open", script("y"), 0o757)
	b.write(t, "lost", []byte("#!/no/such/shell\n"), 0o755)
	b.write(t, "mac", []byte("\xcf\xfa\xed\xfe----------------"), 0o755)
	b.write(t, "win", []byte("MZ------------------"), 0o755)
	require.NoError(t, os.Mkdir(filepath.Join(b.opts.Dir, "dir"), 0o700))
	require.NoError(t, os.Symlink("/bin/sh", filepath.Join(b.opts.Dir, "out")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(b.opts.Dir, "dangling")))
	require.NoError(t, os.Symlink("plain", filepath.Join(b.opts.Dir, "inside")))
	found := b.scan(t)
	for file, want := range map[string]struct {
		verdict Verdict
		reason  string
	}{
		".hidden":    {VerdictIgnored, "a hidden file"},
		"slack.part": {VerdictIgnored, "a temporary file (.part)"},
		"slack~":     {VerdictIgnored, "an editor's backup"},
		"README.md":  {VerdictIgnored, "not a program (.md)"},
		"plain":      {VerdictNotExecutable, "(hint: chmod +x " + filepath.Join(b.opts.Dir, "plain") + ")"},
		"inside":     {VerdictNotExecutable, "not executable"},
		"text":       {VerdictNotExecutable, "the file is no program"},
		"empty":      {VerdictIncomplete, "the file is empty"},
		"open":       {VerdictRefused, "can be written by anyone (hint: chmod o-w"},
		"lost":       {VerdictNotExecutable, "its interpreter /no/such/shell is missing"},
		"mac":        {VerdictWrongArch, "built for darwin"},
		"win":        {VerdictWrongArch, "built for windows"},
		"dir":        {VerdictIgnored, "a directory without plugin.yaml"},
		"out":        {VerdictRefused, "a link that leads out of the directory"},
		"dangling":   {VerdictRefused, "or nowhere"},
	} {
		require.Len(t, found[file], 1, file)
		require.Equal(t, want.verdict, found[file][0].Verdict, file)
		require.Contains(t, found[file][0].Reason, want.reason, file)
	}
	require.Len(t, found, 15)
}

// rows: F08, H16
func TestTruncatedProgramIsIncomplete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	body, err := os.ReadFile(exe)
	require.NoError(t, err)
	b.approve(t, "whole", "1.0.0", "whole", body)
	b.write(t, "whole", body, 0o755)
	require.Equal(t, VerdictApproved, b.one(t, "whole").Verdict)
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "whole"))) // so that it is not read again and again
	for percent := 5; percent < 100; percent += 5 {
		b.write(t, "cut", body[:len(body)*percent/100], 0o755)
		a := b.one(t, "cut")
		require.Equal(t, VerdictIncomplete, a.Verdict, "at %d %%", percent)
		require.Equal(t, "the file is cut short (hint: copy it again)", a.Reason)
	}
	// A program whose sections were taken away tells its length by its segments alone.
	bare := append([]byte{}, body...)
	clear(bare[40:48]) // e_shoff
	clear(bare[58:64]) // the size and number of sections, and the one of their names
	b.write(t, "cut", bare, 0o755)
	require.Equal(t, VerdictUnapproved, b.one(t, "cut").Verdict)
	b.approve(t, "bare", "1.0.0", "bare", bare)
	for percent := 95; percent > 0; percent -= 5 { // where it has all that is loaded, the digest alone tells
		b.write(t, "cut", bare[:len(bare)*percent/100], 0o755)
		a := b.one(t, "cut")
		require.False(t, a.Runnable(), "at %d %% of what has no sections", percent)
		if percent < 60 {
			require.Equal(t, VerdictIncomplete, a.Verdict, "at %d %%", percent)
		}
	}
	// What is loaded is whole, and a section reaches beyond the end.
	long := append([]byte{}, body...)
	first := long[binary.LittleEndian.Uint64(long[40:])+64:] // of e_shoff, after the one that is none
	binary.LittleEndian.PutUint32(first[4:], 1)              // sh_type: something that stands in the file
	binary.LittleEndian.PutUint64(first[32:], uint64(len(long))+1)
	b.write(t, "cut", long, 0o755)
	require.Equal(t, "the file is cut short (hint: copy it again)", b.one(t, "cut").Reason)
	other := append([]byte{}, body...)
	other[18], other[19] = 0xf3, 0 // e_machine: RISC-V
	b.write(t, "cut", other, 0o755)
	a := b.one(t, "cut")
	require.Equal(t, VerdictWrongArch, a.Verdict)
	require.Contains(t, a.Reason, "built for linux/riscv64, this host is ")
}

// rows: F08, H17
func TestHalfCopyKeepsTheOldOneServing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := script("one"), script("two")
	digest := b.approve(t, "slack", "1.0.0", "slack", one)
	b.write(t, "slack", one, 0o755)
	require.True(t, b.one(t, "slack").Runnable())

	for _, body := range [][]byte{two, {}} { // an unapproved one; half a copy
		b.write(t, "slack", body, 0o755)
		for range 2 { // also of a host that starts now
			found := b.scan(t)["slack"]
			require.Len(t, found, 2)
			require.Contains(t, []Verdict{found[0].Verdict, found[1].Verdict}, VerdictKept)
			for _, a := range found {
				require.Equal(t, "slack", a.Name)
				require.Equal(t, a.Verdict == VerdictKept, a.Runnable())
				if a.Runnable() {
					require.Equal(t, digest, a.Digest)
					require.Equal(t, "1.0.0", a.Version)
				}
			}
			var err error
			b.scanner, err = NewScanner(b.opts)
			require.NoError(t, err)
		}
	}
	b.write(t, "slack", two, 0o755)
	second := b.approve(t, "slack", "2.0.0", "slack", two)
	a := b.one(t, "slack")
	require.Equal(t, VerdictApproved, a.Verdict)
	require.Equal(t, second, a.Digest)
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "slack")))
	require.Empty(t, b.scan(t), "a file that is gone keeps nothing")
}

// rows: O02
func TestSecondFileOfAPluginIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) {
		o.Trust = TrustDir
		o.Now = func() time.Time { return time.Now().Add(time.Hour) } // nothing is still being written
	})
	first := b.write(t, "slack_v1.0.0", script("one"), 0o755)
	require.True(t, b.one(t, "slack_v1.0.0").Runnable())
	second := b.write(t, "slack", script("two"), 0o755) // sorts before the first
	found := b.scan(t)
	require.True(t, found["slack_v1.0.0"][0].Runnable())
	a := found["slack"][0]
	require.Equal(t, VerdictDuplicate, a.Verdict)
	require.False(t, a.Runnable())
	require.Equal(t, "plugin slack is served by "+first+" already (hint: remove "+first+" or "+second+")", a.Reason)
	b.write(t, "slack", script("one"), 0o755)
	require.Contains(t, b.scan(t)["slack"][0].Reason, "the same program as "+first)
}

// rows: K21
func TestTrustDirWantsADirectoryOfOnesOwn(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Trust = TrustDir })
	path := b.write(t, "slack", script(""), 0o755)
	a := b.one(t, "slack")
	require.Equal(t, VerdictIncomplete, a.Verdict, "it was written just now")
	require.Equal(t, "still being written", a.Reason)
	require.NoError(t, os.Chtimes(path, hourAgo(), hourAgo()))
	require.True(t, b.one(t, "slack").Runnable())

	require.NoError(t, os.Chmod(b.opts.Dir, 0o770))
	_, err := b.scanner.Scan(t.Context())
	require.ErrorContains(t, err, "can be written by others")
	require.NoError(t, os.Chmod(b.opts.Dir, 0o707))
	require.ErrorContains(t, CheckDir(b.opts.Dir, TrustLock), "can be written by anyone (hint: chmod o-w")
	_, err = NewScanner(Options{Dir: "a", Lock: "b", Data: "c", Trust: "hope"})
	require.ErrorContains(t, err, `trust "hope" is not supported`)
}

// rows: K21
func TestTrustDirWantsADirectoryThatNobodyElseOwns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, CheckDir(dir, TrustDir))
	if err := os.Chown(dir, os.Getuid()+1, -1); err != nil {
		t.Skipf("only root gives a directory away: %v", err)
	}
	require.ErrorContains(t, CheckDir(dir, TrustDir), "trust dir wants it to be yours")
	require.NoError(t, CheckDir(dir, TrustLock), "the lock says what runs")
}

// rows: P02, H18
func TestStagedCopyIsVerified(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := script("good")
	b.approve(t, "slack", "1.0.0", "slack", body)
	b.write(t, "slack", body, 0o755)
	staged := b.one(t, "slack").Staged
	require.NoError(t, os.Chmod(staged, 0o700))
	require.NoError(t, os.WriteFile(staged, script("evil"), 0o600))
	a := b.one(t, "slack")
	require.True(t, a.Runnable())
	got, err := os.ReadFile(a.Staged)
	require.NoError(t, err)
	require.Equal(t, body, got, "a copy that was tampered with is made anew")
}

// rows: P02
func TestSwappedFileIsNeverStagedAsAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good, evil := script("good"), script("evil")
	digest := b.approve(t, "slack", "1.0.0", "slack", good)
	b.write(t, "slack", good, 0o755)
	ctx, cancel := context.WithCancel(t.Context())
	swapping := make(chan struct{})
	go func() {
		defer close(swapping)
		for i := 0; ctx.Err() == nil; i++ {
			body := [][]byte{good, evil}[i%2]
			temp := filepath.Join(b.opts.Dir, ".swap")
			_ = os.WriteFile(temp, body, 0o755)
			_ = os.Rename(temp, filepath.Join(b.opts.Dir, "slack"))
		}
	}()
	for range 300 {
		_ = os.RemoveAll(filepath.Join(b.opts.Data, casDir))
		found, err := b.scanner.Scan(t.Context())
		require.NoError(t, err)
		for _, a := range found {
			if a.Runnable() {
				got, err := Digest(a.Staged)
				require.NoError(t, err)
				require.Equal(t, digest, got)
			}
		}
	}
	cancel()
	<-swapping
}

func TestStoreKeepsWhatIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := filepath.Join(b.opts.Data, casDir)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	used := b.approve(t, "slack", "1.0.0", "slack", script("used"))
	var newest string
	for i := range 6 {
		newest = sum([]byte(strconv.Itoa(i)))
		path := filepath.Join(dir, newest)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, hourAgo(), hourAgo().Add(time.Duration(i)*time.Minute)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".stage-1.tmp"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, used), script("used"), 0o500))
	require.NoError(t, os.Chtimes(filepath.Join(dir, used), hourAgo().Add(-time.Hour), hourAgo().Add(-time.Hour)))
	b.scan(t)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, keepUnused+1)
	require.FileExists(t, filepath.Join(dir, used))
	require.FileExists(t, filepath.Join(dir, newest))
}

// rows: F07, I11
//
// Versions that come while the host runs do not fill the disk; what may serve again is
// kept, and a copy that somebody is making.
func TestStoreStaysSmallOverManyVersions(t *testing.T) {
	t.Parallel()
	again := sum(script("version 0"))
	b := setup(t, func(o *Options) { o.Keep = func(digest string) bool { return digest == again } })
	dir := filepath.Join(b.opts.Data, casDir)
	for n := range 12 {
		body := script("version " + strconv.Itoa(n))
		b.write(t, "slack", body, 0o700)
		b.approve(t, "slack", "1.0."+strconv.Itoa(n), "slack", body)
		require.True(t, b.one(t, "slack").Runnable())
		if n == 1 {
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".stage-1.tmp"), nil, 0o600))
		}
	}
	require.FileExists(t, filepath.Join(dir, again))
	require.FileExists(t, filepath.Join(dir, sum(script("version 11"))))
	require.FileExists(t, filepath.Join(dir, ".stage-1.tmp"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1+1+1+keepUnused)
}

func TestManifestsAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := sum([]byte("x"))
	m := sdk.Manifest{Name: "slack", Version: "1.0.0", SettingsSchema: []byte(`{"type":"object"}`), Settings: struct{}{}, Capabilities: []sdk.Capability{sdk.CanCheck}}
	require.NoError(t, SaveManifest(b.opts.Data, digest, m))
	m.Settings = nil
	got, err := LoadManifest(b.opts.Data, digest)
	require.NoError(t, err)
	require.Equal(t, m, got)
	all, err := LoadManifests(b.opts.Data)
	require.NoError(t, err)
	require.Equal(t, map[string]sdk.Manifest{digest: m}, all)
	lock := Lock{Plugins: []Entry{{Name: "slack", SHA256: digest}, {Name: "git", SHA256: sum(nil)}}}
	require.Equal(t, map[string]sdk.Manifest{"slack": m}, ApprovedManifests(b.opts.Data, lock))
	_, err = LoadManifest(b.opts.Data, sum(nil))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, SaveManifest(b.opts.Data, "../../etc/passwd", m), "no SHA-256 digest")
	_, err = LoadManifest(b.opts.Data, strings.Repeat("../", 10))
	require.ErrorIs(t, err, os.ErrNotExist)
}
