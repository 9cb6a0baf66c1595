package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A digest beside a program that is not its own refuses it, whatever is approved; one
// that agrees is told and approves nothing.
//
// rows: H16, H34, P01
func TestChecksumBesideAProgram(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := script("good")
	b.write(t, "slack", body, 0o755)
	b.write(t, "slack.sha256", []byte(sum(body)+"  slack\n"), 0o644)
	a := b.scan(t)["slack"][0]
	require.Equal(t, VerdictUnapproved, a.Verdict, "it is no approval")
	require.Contains(t, a.Reason, "nobody approved it; the .sha256 beside it agrees (hint: ")

	b.approve(t, "slack", "1.0.0", "slack", body)
	require.True(t, b.one(t, "slack").Runnable())
	for _, good := range []string{strings.ToUpper(sum(body)), sum(body) + " *dist/slack\n", sum(nil) + "  other\n" + sum(body) + "  slack\n"} {
		b.write(t, "slack.sha256", []byte(good), 0o644)
		require.True(t, b.one(t, "slack").Runnable(), good)
		_, err := Take(b.opts.Data, "", Lock{}, filepath.Join(b.opts.Dir, "slack"))
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"", "slack", sum(nil), sum(nil) + "  slack\n", sum(body) + "  other\n", sum(body)[:63]} {
		b.write(t, "slack.sha256", []byte(bad), 0o644)
		found := b.scan(t)["slack"]
		require.Len(t, found, 2, bad)
		require.Equal(t, VerdictKept, found[0].Verdict, "what served goes on")
		require.Equal(t, VerdictMismatch, found[1].Verdict, bad)
		require.False(t, found[1].Runnable(), bad)
		require.Equal(t, sum(body), found[1].Digest, "a person can compare")
		_, err := Take(b.opts.Data, "", Lock{}, filepath.Join(b.opts.Dir, "slack"))
		unfit := &UnfitError{}
		require.ErrorAs(t, err, &unfit, "%q is not approved either", bad)
		require.Equal(t, VerdictMismatch, unfit.Verdict)
	}
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "slack.sha256")))
	require.True(t, b.one(t, "slack").Runnable())
}

// A package that wants a newer host is refused, whatever else it says that this one
// does not know; what the host before it can run goes on.
//
// rows: H34, H32
func TestPackageForANewerHost(t *testing.T) {
	t.Parallel()
	for host, c := range map[string]struct {
		wants string
		runs  bool
	}{
		"0.3.0": {"0.3.0", true}, "0.10.0": {"0.9.9", true}, "1.0.0": {"0.3.0", true}, "": {"99.0.0", true}, "0.9.9": {"0.10.0", false},
		"0.4.0": {"0.4.0-rc1", true}, "0.4.0-rc1": {"0.4.0", false},
	} {
		b := setup(t, func(o *Options) { o.Host = host })
		tr := binaryTree("1.4.2")
		b.approve(t, "slack", "1.4.2", "other", []byte(tr["bin/slack"]))
		tr[packageFile] += "min_host: " + c.wants + "\n"
		if !c.runs {
			tr[packageFile] += "sandbox: {of: the future}\n"
		}
		tr[sumsFile] = tr.sums()
		dir := filepath.Join(b.opts.Dir, "slack")
		tr.lay(t, dir)
		a := b.one(t, "slack")
		require.Equal(t, c.runs, a.Runnable(), "%s on %s: %s", c.wants, host, a.Reason)
		_, err := Take(b.opts.Data, host, Lock{}, dir)
		if c.runs {
			require.NoError(t, err)
			require.Empty(t, lint(t, host, dir))
			continue
		}
		require.Equal(t, VerdictOldHost, a.Verdict)
		require.Equal(t, "slack 1.4.2", a.Name+" "+a.Version)
		require.Contains(t, a.Reason, "it needs a host of version "+c.wants+", and this one is "+host)
		require.Contains(t, a.Reason, "(hint: update jackfield to "+c.wants)
		require.ErrorContains(t, err, "it needs a host of version "+c.wants)
		require.Len(t, lint(t, host, dir), 1)
		require.Contains(t, lint(t, host, dir)[0], "plugin.yaml:5:1: old-host: it needs a host")
	}
}

// With on_remove: keep a removed file stops nothing, over a restart too, until somebody
// takes the plugin off the lock; a new file takes over as ever.
//
// rows: C60, H34
func TestARemovedFileMayStopNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.KeepRemoved = true })
	body := script("good")
	digest := b.approve(t, "slack", "1.0.0", "slack", body)
	require.Empty(t, b.scan(t), "of what was never there is no copy")
	path := b.write(t, "slack", body, 0o755)
	js := script("runtime")
	b.approve(t, "js", "1.0.0", "js", js)
	b.write(t, "js", js, 0o755)
	dir := filepath.Join(b.opts.Dir, "hello")
	runtimeTree().lay(t, dir)
	lock, err := LoadLock(b.opts.Lock)
	require.NoError(t, err)
	lock.Approve(Entry{Name: "hello", Version: "1.0.0", SHA256: b.scan(t)["hello"][0].Digest, File: "hello", Runtime: "js"})
	require.NoError(t, lock.Save(b.opts.Lock))
	require.True(t, b.one(t, "hello").Runnable())

	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "js")))
	require.NoError(t, os.RemoveAll(dir))
	for range 2 {
		for _, name := range []string{"slack", "js", "hello"} {
			a := b.one(t, name)
			require.Equal(t, VerdictKept, a.Verdict)
			require.True(t, a.Runnable(), name)
			require.Contains(t, a.Reason, "jackfield plugin remove "+name+" stops it")
		}
		b.scanner, err = NewScanner(b.opts) // a host that starts anew
		require.NoError(t, err)
	}
	require.Equal(t, digest, b.one(t, "slack").Digest)

	other := script("other")
	b.write(t, "slack_v2", other, 0o755)
	b.approve(t, "slack", "2.0.0", "slack_v2", other)
	found := b.scan(t)
	require.Empty(t, found["slack"])
	require.Equal(t, VerdictApproved, found["slack_v2"][0].Verdict)

	lock, err = LoadLock(b.opts.Lock)
	require.NoError(t, err)
	require.True(t, lock.Remove("js"))
	require.NoError(t, lock.Save(b.opts.Lock))
	found = b.scan(t)
	require.Empty(t, found["js"], "somebody removed it")
	require.Empty(t, found["hello"], "which ran it")
	b.opts.KeepRemoved = false
	b.scanner, err = NewScanner(b.opts)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(b.opts.Dir, "slack_v2")))
	require.Empty(t, b.scan(t))
}
