package discovery

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionsAreOrderedAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	inOrder := []string{"0.9", "1.0.0-alpha", "1.0.0-rc1", "1.0.0", "1.0.0.1", "1.2.0", "1.9.0", "1.10.0-rc1", "1.10.0", "2.0", "10.0", "next"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			got := compareVersions(a, b)
			require.Equal(t, i < j, got < 0, "%s and %s", a, b)
			require.Equal(t, i == j, got == 0, "%s and %s", a, b)
		}
	}
}

// A folder that is no package may hold one for each version. Each has a verdict of its
// own; where all may run the newest serves, and not one that is older than what does.
//
// rows: G30, H16, H34
func TestVersionsInOneFolder(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Trust, o.Settle = TrustDir, 1 })
	for _, version := range []string{"1.9.0", "1.10.0"} {
		binaryTree(version).lay(t, filepath.Join(b.opts.Dir, "slack", version))
	}
	found := b.scan(t)
	require.Len(t, found, 2)
	require.Equal(t, VerdictApproved, found["slack/1.10.0"][0].Verdict, found["slack/1.10.0"][0].Reason)
	require.Equal(t, VerdictDuplicate, found["slack/1.9.0"][0].Verdict)
	require.Equal(t, filepath.Join(b.opts.Dir, "slack", "1.10.0"), found["slack/1.10.0"][0].Path)
	newest, ok := Newest(filepath.Join(b.opts.Dir, "slack"))
	require.True(t, ok)
	require.Equal(t, filepath.Join(b.opts.Dir, "slack", "1.10.0"), newest)

	binaryTree("1.8.0").lay(t, filepath.Join(b.opts.Dir, "slack", "1.8.0"))
	require.Equal(t, VerdictApproved, b.one(t, "slack/1.10.0").Verdict, "an older one changes nothing")
	binaryTree("2.0.0").lay(t, filepath.Join(b.opts.Dir, "slack", "2.0.0"))
	require.NoError(t, os.Mkdir(filepath.Join(b.opts.Dir, "slack", "3.0.0"), 0o755)) // still on its way
	found = b.scan(t)
	require.Equal(t, VerdictApproved, found["slack/2.0.0"][0].Verdict)
	require.Equal(t, VerdictDuplicate, found["slack/1.10.0"][0].Verdict)
	require.Equal(t, VerdictIgnored, found["slack/3.0.0"][0].Verdict)
	require.Equal(t, "slack", found["slack/3.0.0"][0].Name)

	require.NoError(t, os.RemoveAll(filepath.Join(b.opts.Dir, "slack", "2.0.0")))
	require.Equal(t, VerdictApproved, b.one(t, "slack/1.10.0").Verdict)
}

// Only what is in the plugin directory, or a version in a folder there, is called by its
// place; the lock takes no other name.
func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for file, want := range map[string]string{
		filepath.Join(dir, "slack"):                   "slack",
		filepath.Join(dir, "slack", "1.4.2"):          "slack/1.4.2",
		filepath.Join(dir, "slack", "1.4.2", "bin"):   "bin",
		filepath.Join(dir, "..", "slack"):             "slack",
		filepath.Join(dir, "..", "elsewhere", "more"): "more",
	} {
		require.Equal(t, want, Place(dir, file), file)
	}
	for file, ok := range map[string]bool{
		"slack": true, "slack/1.4.2": true, "slack/1.4.2/bin": false, "../slack": false, "slack/..": false, "/slack": false, "./slack": false, "": true,
	} {
		l := Lock{Version: lockVersion, Plugins: []Entry{{Name: "slack", Version: "1", SHA256: sum(nil), File: file}}}
		require.Equal(t, ok, l.validate() == nil, file)
	}
	require.True(t, Siblings("slack/1", "slack/2"))
	require.False(t, Siblings("slack", "git"))
	require.False(t, Siblings("slack/1", "git/1"))
}
