//go:build unix

package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// figuresRounds is how often what is compared is measured by turns. The median of
// the rounds counts: other work on the machine falls on both sides.
const figuresRounds = 5

// TestFigures measures the daemon on this machine and prints one table. It runs
// only when it is asked for, alone: make bench. One that fails leaves the others their
// lines, and each can be run by its name.
func TestFigures(t *testing.T) { //nolint:paralleltest // it measures
	if os.Getenv("JACKFIELD_BENCH") == "" {
		t.Skip("it measures for minutes (hint: make bench)")
	}
	f := &figures{}
	for _, m := range []struct {
		name    string
		measure func(*testing.T, *figures)
	}{
		{"Syncs", measureSyncs},
		{"WAL", measureWAL},
		{"Updates", measureUpdates},
		{"Claims", measureClaims},
		{"Reads", measureReads},
		{"Calls", measureCalls},
		{"Deaths", measureDeaths},
		{"Hog", measureHog},
		{"Functions", measureFunctions},
		{"Lookups", measureLookups},
		{"Templates", measureTemplates},
		{"Drop", measureDrop},
		{"Idle", measureIdle},
		{"Many", measureMany},
		{"Swaps", measureSwaps},
		{"Memory", measureMemory},
		{"Start", measureStart},
		{"Restart", measureRestart},
		{"Sandbox", measureSandbox},
		{"Binary", measureBinary},
	} {
		t.Run(m.name, func(t *testing.T) { m.measure(t, f) }) //nolint:paralleltest // they would share the machine
	}
	t.Logf("\n%s", f)
	require.Empty(t, f.missed, "goals that were not reached")
}

// figures is the table.
type figures struct {
	lines  [][3]string // what, measured, goal
	missed []string
}

// ratio adds a line whose goal is a least.
func (f *figures) ratio(what string, got, least float64) {
	f.line(what, fmt.Sprintf("%.2f", got), fmt.Sprintf(">= %.2f", least), got >= least)
}

// times adds a line whose goal is a most, as a ratio.
func (f *figures) times(what string, got, most float64) {
	f.line(what, fmt.Sprintf("%.2f", got), fmt.Sprintf("<= %.2f", most), got <= most)
}

// most adds a line whose goal is a most, in a unit.
func (f *figures) most(what string, got, most float64, unit string) {
	f.line(what, fmt.Sprintf("%.0f %s", got, unit), fmt.Sprintf("<= %.0f %s", most, unit), got <= most)
}

// plain adds a line that has no goal: a ceiling, or the size of a thing.
func (f *figures) plain(what, got string) { f.line(what, got, "", true) }

func (f *figures) line(what, got, goal string, reached bool) {
	if !reached {
		f.missed = append(f.missed, what)
		goal += "  MISSED"
	}
	f.lines = append(f.lines, [3]string{what, got, goal})
}

// String returns the table.
func (f *figures) String() string {
	var width [2]int
	for _, l := range f.lines {
		for i := range width {
			width[i] = max(width[i], len(l[i]))
		}
	}
	var b strings.Builder
	for _, l := range f.lines {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-*s  %*s  %s", width[0], l[0], width[1], l[1], l[2]), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// median returns the middle one, or the lower one of the middle two.
func median[T cmp.Ordered](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[(len(sorted)-1)/2]
}

// rate returns thousands per second.
func rate(n int, d time.Duration) float64 { return float64(n) / 1000 / d.Seconds() }

func krecs(r float64) string { return fmt.Sprintf("%.0f krec/s", r) }

// measureBinary builds the daemon as make build does.
func measureBinary(t *testing.T, f *figures) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jackfield")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-buildvcs=false", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	f.plain("size of the daemon, as make build makes it", fmt.Sprintf("%.1f MB", float64(fileBytes(t, path))/1e6))
}
