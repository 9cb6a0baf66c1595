//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/supervisor"
)

// sandboxStarts is how often a plugin is started in and out of the sandbox, by turns.
const sandboxStarts = 40

// measureSandbox starts a plugin and lets it say what it is, with and without the
// sandbox.
func measureSandbox(t *testing.T, f *figures) {
	t.Helper()
	bin, err := builds()
	require.NoError(t, err)
	confine := newCage(config.Default(filepath.Join(t.TempDir(), "host.yaml")), false).confine
	took := map[bool][]float64{}
	for range sandboxStarts {
		for _, inside := range []bool{false, true} {
			var opts supervisor.Options
			if inside {
				opts.Confine = confine
			}
			began := time.Now()
			_, err := supervisor.Probe(t.Context(), opts, supervisor.Binary{Name: "load", Path: filepath.Join(bin, "load")})
			require.NoError(t, err)
			took[inside] = append(took[inside], float64(time.Since(began).Microseconds())/1000)
		}
	}
	without, with := median(took[false]), median(took[true])
	f.times("start of a plugin to its answer and its end in the sandbox, against one without", with/without, 1.2)
	f.plain("  one without", fmt.Sprintf("%.1f ms", without))
	f.plain("  more of that in the sandbox", fmt.Sprintf("%.1f ms", with-without))
}
