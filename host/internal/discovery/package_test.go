package discovery

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tree is a package by path.
type tree map[string]string

// described is plugin.yaml of a package with one program.
func described(version string) string {
	return "schema: 1\nname: slack\nversion: " + version + "\nexecutables: {" + platform() + ": bin/slack}\n"
}

// binaryTree is a whole package with a program.
func binaryTree(version string) tree {
	t := tree{packageFile: described(version), "bin/slack": string(script("version " + version)), "LICENSE": "free"}
	t[sumsFile] = t.sums()
	return t
}

func runtimeTree() tree {
	return tree{packageFile: "schema: 1\nname: hello\nversion: 1.0.0\nruntime: js\n", "main.js": "code", "lib/a.js": "1"}
}

func (tr tree) sums() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		if name != sumsFile && name != signatureFile {
			fmt.Fprintf(&b, "%s  %s\n", sum([]byte(tr[name])), name)
		}
	}
	return b.String()
}

// lay writes the files of a package.
func (tr tree) lay(t *testing.T, dir string) {
	t.Helper()
	for name, body := range tr {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(body), 0o600))
		require.NoError(t, os.Chmod(path, 0o755))
	}
}

// entry is one of an archive.
type entry struct {
	tar.Header
	body string
}

func packed(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		e.Size = int64(len(e.body))
		if e.Mode == 0 {
			e.Mode = 0o755
		}
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write([]byte(e.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zip.Close())
	return out.Bytes()
}

func (tr tree) entries() (out []entry) {
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		out = append(out, entry{tar.Header{Name: "./" + name, Typeflag: tar.TypeReg}, tr[name]})
	}
	return out
}

// A package runs when all that its SHA256SUMS lists is there and whole, and nothing
// else; what is copied file by file runs at no step before the last.
//
// rows: H16, H34
func TestPackageRunsWhenItIsWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := filepath.Join(b.opts.Dir, "slack-1.4.2")
	whole := binaryTree("1.4.2")
	b.approve(t, "slack", "1.4.2", "slack-1.4.2", []byte(whole["bin/slack"]))
	require.NoError(t, os.Mkdir(dir, 0o755))
	a := b.one(t, "slack-1.4.2")
	require.Equal(t, VerdictIgnored, a.Verdict)
	require.Equal(t, "a directory without plugin.yaml", a.Reason)
	for i, name := range []string{packageFile, sumsFile, "LICENSE", "bin/slack"} {
		a = b.one(t, "slack-1.4.2")
		require.False(t, a.Runnable(), "before %s", name)
		if i > 1 {
			require.Equal(t, VerdictIncomplete, a.Verdict, "before %s", name)
		}
		half := whole[name][:len(whole[name])/2]
		tree{name: half}.lay(t, dir)
		require.False(t, b.one(t, "slack-1.4.2").Runnable(), "half of %s", name)
		tree{name: whole[name]}.lay(t, dir)
	}
	a = b.one(t, "slack-1.4.2")
	require.Equal(t, VerdictApproved, a.Verdict, a.Reason)
	require.Equal(t, "slack", a.Name)
	require.Equal(t, "1.4.2", a.Version)
	got, err := os.ReadFile(a.Staged)
	require.NoError(t, err)
	require.Equal(t, whole["bin/slack"], string(got))
	require.Equal(t, filepath.Join(b.opts.Data, casDir), filepath.Dir(a.Staged))

	tree{"extra.so": "x"}.lay(t, dir)
	found := b.scan(t)["slack-1.4.2"]
	require.Len(t, found, 2, "what was approved goes on")
	require.Equal(t, VerdictBadPackage, found[0].Verdict)
	require.Contains(t, found[0].Reason, `"extra.so" is not listed in SHA256SUMS`)
	require.Equal(t, VerdictKept, found[1].Verdict)
}

// rows: H16, H34
func TestBadPackagesHaveAVerdictAndAReason(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) {
		o.Trust = TrustDir
		o.Now = func() time.Time { return time.Now().Add(time.Hour) }
	})
	cases := map[string]struct {
		change  func(tree, string)
		verdict Verdict
		reason  string
	}{
		"flip":     {func(tr tree, _ string) { tr["bin/slack"] += "x" }, VerdictIncomplete, `"bin/slack" is not what SHA256SUMS says`},
		"missing":  {func(tr tree, _ string) { delete(tr, "LICENSE") }, VerdictIncomplete, `"LICENSE" is listed in SHA256SUMS and not there`},
		"unlisted": {func(tr tree, _ string) { tr["bin/more"] = "x" }, VerdictBadPackage, "not listed"},
		"no-sums":  {func(tr tree, _ string) { delete(tr, sumsFile) }, VerdictBadPackage, "it has no SHA256SUMS"},
		"cut-sums": {func(tr tree, _ string) { tr[sumsFile] = strings.TrimSpace(tr[sumsFile]) }, VerdictIncomplete, "cut short"},
		"out-sums": {func(tr tree, _ string) { tr[sumsFile] += sum(nil) + "  ../../etc/passwd\n" }, VerdictBadPackage, "no digest and path"},
		"unknown":  {func(tr tree, _ string) { tr[packageFile] += "more: 1\n" }, VerdictBadPackage, "plugin.yaml: "},
		"schema": {func(tr tree, _ string) {
			tr[packageFile] = strings.Replace(tr[packageFile], "schema: 1", "schema: 9", 1)
		}, VerdictBadPackage, "schema 9 is not supported"},
		"name": {func(tr tree, _ string) {
			tr[packageFile] = strings.Replace(tr[packageFile], "name: slack", "name: ../x", 1)
		}, VerdictBadPackage, "no plugin name"},
		"way-out": {func(tr tree, _ string) {
			tr[packageFile] = strings.Replace(tr[packageFile], "bin/slack", "../../bin/sh", 1)
		}, VerdictBadPackage, "no path in the package"},
		"neither":  {func(tr tree, _ string) { tr[packageFile] = "schema: 1\nname: slack\nversion: '1'\n" }, VerdictBadPackage, "neither executables nor a runtime"},
		"both":     {func(tr tree, _ string) { tr[packageFile] += "runtime: js\n" }, VerdictBadPackage, "both executables and a runtime"},
		"manifest": {func(tr tree, _ string) { tr[packageFile] += "manifest: {label: Slack}\n" }, VerdictBadPackage, "only a folder that a runtime runs"},
		"other-os": {func(tr tree, _ string) {
			tr[packageFile] = strings.Replace(tr[packageFile], platform(), "plan9_mips", 1)
			tr[sumsFile] = tr.sums()
		}, VerdictWrongArch, "no program for " + platform()},
		"link":    {func(_ tree, dir string) { require.NoError(t, os.Symlink("/bin/sh", filepath.Join(dir, "sh"))) }, VerdictBadPackage, "is a link or a special file"},
		"deep":    {func(tr tree, _ string) { tr[strings.Repeat("d/", maxDepth+1)+"f"] = "x" }, VerdictBadPackage, "too deep"},
		"huge":    {func(_ tree, dir string) { sparse(t, filepath.Join(dir, "huge")) }, VerdictBadPackage, "bytes"},
		"runtime": {func(tr tree, _ string) { clear(tr); maps.Copy(tr, runtimeTree()) }, VerdictNoRuntime, "plugin js, which would run it, is not there"},
	}
	for name, c := range cases {
		dir := filepath.Join(b.opts.Dir, name)
		require.NoError(t, os.Mkdir(dir, 0o755))
		tr := binaryTree("1.0.0")
		c.change(tr, dir)
		tr.lay(t, dir)
	}
	found := b.scan(t)
	for name, c := range cases {
		require.Len(t, found[name], 1, name)
		require.Equal(t, c.verdict, found[name][0].Verdict, "%s: %s", name, found[name][0].Reason)
		require.Contains(t, found[name][0].Reason, c.reason, name)
		require.False(t, found[name][0].Runnable(), name)
	}
}

// sparse is a file that says it is large and takes no room.
func sparse(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.NoError(t, os.Truncate(path, maxPackageBytes+1))
}

// rows: H16, P02
func TestArchiveIsUnpackedWithinBounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := packed(t, binaryTree("1.4.2").entries()...)
	b.approve(t, "slack", "1.4.2", "slack-1.4.2.tar.gz", []byte(binaryTree("1.4.2")["bin/slack"]))
	for percent := 5; percent < 100; percent += 5 {
		b.write(t, "slack-1.4.2.tar.gz", whole[:len(whole)*percent/100], 0o644)
		a := b.one(t, "slack-1.4.2.tar.gz")
		require.Equal(t, VerdictIncomplete, a.Verdict, "at %d %%: %s", percent, a.Reason)
		require.False(t, a.Runnable())
	}
	b.write(t, "slack-1.4.2.tar.gz", whole, 0o644)
	a := b.one(t, "slack-1.4.2.tar.gz")
	require.True(t, a.Runnable(), a.Reason)
	require.Equal(t, "slack", a.Name)
	body := binaryTree("1.4.2").entries()
	for name, more := range map[string]struct {
		entry
		reason string
	}{
		"up":     {entry{tar.Header{Name: "../../escape", Typeflag: tar.TypeReg}, "x"}, "leads out"},
		"root":   {entry{tar.Header{Name: "/tmp/escape", Typeflag: tar.TypeReg}, "x"}, "leads out"},
		"inside": {entry{tar.Header{Name: "a/../../escape", Typeflag: tar.TypeReg}, "x"}, "leads out"},
		"soft":   {entry{tar.Header{Name: "out", Linkname: "/etc", Typeflag: tar.TypeSymlink}, ""}, "is a link"},
		"hard":   {entry{tar.Header{Name: "out", Linkname: "../../x", Typeflag: tar.TypeLink}, ""}, "is a link"},
		"device": {entry{tar.Header{Name: "null", Typeflag: tar.TypeChar}, ""}, "special file"},
		"twice":  {entry{tar.Header{Name: "bin/slack", Typeflag: tar.TypeReg}, "other"}, "there twice"},
		"under":  {entry{tar.Header{Name: "bin/slack/x", Typeflag: tar.TypeReg}, "other"}, "there twice"},
		"extra":  {entry{tar.Header{Name: "extra", Typeflag: tar.TypeReg}, "x"}, "not listed"},
	} {
		file := name + ".tgz"
		b.write(t, file, packed(t, append(slices.Clone(body), more.entry)...), 0o644)
		a := b.one(t, file)
		require.Equal(t, VerdictBadPackage, a.Verdict, "%s: %s", name, a.Reason)
		require.Contains(t, a.Reason, more.reason, name)
		require.NoFileExists(t, filepath.Join(b.opts.Data, "escape"))
		require.NoFileExists(t, filepath.Join(filepath.Dir(b.opts.Data), "escape"))
		require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, file)))
	}
	left := &budget{r: bytes.NewReader(make([]byte, 100)), left: 10}
	_, err := left.Read(make([]byte, 50))
	require.ErrorIs(t, err, errTooLarge, "a bomb ends where the bound is")
}

// rows: H16
//
// The daemon and commands unpack an archive at the same moment: each has the folder.
func TestAnArchiveIsUnpackedByManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := packed(t, binaryTree("1.4.2").entries()...)
	const many = 16
	ended := make(chan error, many)
	for range many {
		go func() {
			s, err := NewScanner(b.opts)
			if err == nil {
				_, err = s.unpacked("digest", bytes.NewReader(whole))
			}
			ended <- err
		}()
	}
	for range many {
		require.NoError(t, <-ended)
	}
	require.FileExists(t, filepath.Join(b.opts.Data, unpackedDir, "digest", "bin", "slack"))
	entries, err := os.ReadDir(filepath.Join(b.opts.Data, unpackedDir))
	require.NoError(t, err)
	require.Len(t, entries, 1, "and nothing is left beside it")
}

// A folder that a runtime runs is known by its list of files; what runs is a private
// copy, and a change of a byte, a name or a file is another digest.
//
// rows: H16, H18
func TestFolderOfARuntime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	js := script("runtime")
	program := b.approve(t, "js", "1.0.0", "js", js)
	b.write(t, "js", js, 0o755)
	dir := filepath.Join(b.opts.Dir, "hello")
	runtimeTree().lay(t, dir)
	a := b.one(t, "hello")
	require.Equal(t, VerdictUnapproved, a.Verdict, a.Reason)
	digests := map[string]bool{a.Digest: true}
	first := a.Digest
	lock, err := LoadLock(b.opts.Lock)
	require.NoError(t, err)
	taken, err := Take(b.opts.Data, "", lock, dir)
	require.NoError(t, err)
	require.Equal(t, first, taken.Digest)
	require.Equal(t, program, taken.Program)
	lock.Approve(Entry{Name: "hello", Version: "1.0.0", SHA256: first, File: "hello", Runtime: "js"})
	require.NoError(t, lock.Save(b.opts.Lock))

	a = b.one(t, "hello")
	require.True(t, a.Runnable(), a.Reason)
	require.Equal(t, program, a.Program)
	require.Equal(t, b.one(t, "js").Staged, a.Staged)
	require.Equal(t, filepath.Join(b.opts.Data, foldersDir, first), a.Folder)
	require.NoError(t, CheckFolder(a.Folder, first))
	got, err := os.ReadFile(filepath.Join(a.Folder, "lib", "a.js"))
	require.NoError(t, err)
	require.Equal(t, "1", string(got))
	private := a.Folder

	tree{".a.js.swp": "x", "lib/a.js~": "x"}.lay(t, dir)
	require.Equal(t, first, b.one(t, "hello").Digest, "what an editor leaves is no part of it")
	for name, body := range map[string]string{"main.js": "other", "lib/b.js": "", "lib/A.js": "1"} {
		tree{name: body}.lay(t, dir)
		found := b.scan(t)["hello"]
		require.Len(t, found, 2)
		for _, a := range found {
			if a.Verdict == VerdictKept {
				require.Equal(t, private, a.Folder, "the old one goes on")
				require.Equal(t, first, a.Digest)
				continue
			}
			require.Equal(t, VerdictUnapproved, a.Verdict)
			require.False(t, digests[a.Digest], name)
			digests[a.Digest] = true
		}
	}
	require.NoError(t, os.Remove(filepath.Join(private, "main.js")))
	require.NoError(t, os.WriteFile(filepath.Join(private, "main.js"), []byte("evil"), 0o600))
	require.ErrorContains(t, CheckFolder(private, first), "not what was approved")
	require.NoError(t, os.RemoveAll(dir))
	runtimeTree().lay(t, dir)
	a = b.one(t, "hello")
	require.True(t, a.Runnable())
	require.NoError(t, CheckFolder(a.Folder, first), "a copy that was tampered with is made anew")

	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "js")))
	a = b.one(t, "hello")
	require.Equal(t, VerdictNoRuntime, a.Verdict)
	require.False(t, a.Runnable())
}

// Files deep in a package are watched, also of one that is made while somebody looks.
//
// rows: H20
func TestWatcherFollowsPackages(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Rescan = time.Hour })
	whole := binaryTree("1.4.2")
	b.approve(t, "slack", "1.4.2", "slack", []byte(whole["bin/slack"]))
	_, out := b.watch(t)
	until(t, out, none)
	dir := filepath.Join(b.opts.Dir, "slack")
	require.NoError(t, os.Mkdir(dir, 0o755))
	until(t, out, has("slack", VerdictIgnored))
	tree{packageFile: whole[packageFile]}.lay(t, dir)
	until(t, out, has("slack", VerdictBadPackage))
	tree{sumsFile: whole[sumsFile], "LICENSE": whole["LICENSE"]}.lay(t, dir)
	until(t, out, has("slack", VerdictIncomplete))
	tree{"bin/slack": "half"}.lay(t, dir)
	until(t, out, has("slack", VerdictIncomplete))
	tree{"bin/slack": whole["bin/slack"]}.lay(t, dir)
	until(t, out, has("slack", VerdictApproved))
}
