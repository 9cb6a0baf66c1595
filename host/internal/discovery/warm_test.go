package discovery

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: P01, P02, F01
//
// What was hashed ahead of the first scan is not hashed again by it, unless it has
// changed since: then neither a file nor a copy runs for what it was.
func TestWhatWasHashedAheadRunsOnlyWhileItIsTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Hour) } }) // the files have rested
	good, evil := script("good"), script("evil")
	digest := b.approve(t, "slack", "1.0.0", "slack", good)
	b.approve(t, "gone", "1.0.0", "gone", script("gone")) // what cannot be read is left to the scan
	path := b.write(t, "slack", good, 0o755)
	staged := b.one(t, "slack").Staged
	fresh := func() {
		var err error
		b.scanner, err = NewScanner(b.opts)
		require.NoError(t, err)
		b.scanner.warm()
		require.Equal(t, digest, b.scanner.digests[path].digest)
		require.Contains(t, b.scanner.cas.verified, digest)
		require.Len(t, b.scanner.digests, 1)
	}

	fresh()
	before := b.scanner.digests[path]
	require.Equal(t, VerdictApproved, b.one(t, "slack").Verdict)
	require.Equal(t, before, b.scanner.digests[path])

	fresh()
	require.NoError(t, os.Chmod(staged, 0o700))
	require.NoError(t, os.WriteFile(staged, evil, 0o600))
	got, err := os.ReadFile(b.one(t, "slack").Staged)
	require.NoError(t, err)
	require.Equal(t, good, got, "the copy is made anew")

	fresh()
	require.NoError(t, os.WriteFile(path, evil, 0o600))
	require.NoError(t, os.Chmod(path, 0o755))
	verdicts := map[Verdict]string{}
	for _, a := range b.scan(t)["slack"] {
		verdicts[a.Verdict] = a.Digest
	}
	require.Equal(t, map[Verdict]string{VerdictUnapproved: sum(evil), VerdictKept: digest}, verdicts)
}
