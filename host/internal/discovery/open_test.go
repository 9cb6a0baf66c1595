package discovery

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rows: P02
//
// A file that a group may change is refused, unless that is its owner's own group or
// everything in the directory is trusted anyway.
func TestAFileOfAForeignGroupIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to another group")
	}
	const nobodys = 54_321
	for name, c := range map[string]struct {
		trust Trust
		mode  os.FileMode
		group int
		want  Verdict
	}{
		"OwnGroup":         {TrustLock, 0o775, 0, VerdictApproved},
		"ForeignGroup":     {TrustLock, 0o775, nobodys, VerdictRefused},
		"ForeignButClosed": {TrustLock, 0o755, nobodys, VerdictApproved},
		"TrustedDirectory": {TrustDir, 0o775, nobodys, VerdictApproved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *Options) { o.Trust, o.Settle = c.trust, time.Nanosecond })
			body := script("slack")
			b.approve(t, "slack", "1.0.0", "slack", body)
			path := b.write(t, "slack", body, c.mode)
			require.NoError(t, os.Chmod(path, c.mode)) // whatever the umask is
			require.NoError(t, os.Chown(path, 0, c.group))
			a := b.one(t, "slack")
			require.Equal(t, c.want == VerdictApproved, a.Runnable(), a.Reason)
			if c.want == VerdictRefused {
				require.Equal(t, VerdictRefused, a.Verdict)
				require.Contains(t, a.Reason, "can be written by the group 54321, which is not its owner's own (hint: chmod g-w "+filepath.Join(b.opts.Dir, "slack")+")")
			}
		})
	}
}
