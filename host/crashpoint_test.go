//go:build linux

package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store/sqlite"
)

// crashers are the programs of the crash points: the small host, once more with
// failpoints, and the tracer that kills it.
var crashers = sync.OnceValues(func() (dir string, err error) {
	if dir, err = builds(); err != nil {
		return "", err
	}
	for name, args := range map[string][]string{
		"crash":            {"./testdata/crash"},
		"crash-failpoints": {"-tags", "failpoints", "./testdata/crash"},
		"killat":           {"./testdata/killat"},
	} {
		if name == "killat" && runtime.GOARCH != "amd64" {
			continue // it reads the registers of that one
		}
		cmd := exec.CommandContext(context.Background(), "go", append([]string{"build", "-o", filepath.Join(dir, name)}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

// exitNotAllowed is how the tracer says that it may not trace.
const exitNotAllowed = 3

// rows: F01, C32, K01, K02, K03, I01, I02, I03, I06
//
// Every call of the system that changes a file or syncs one, in a script of two
// syncs with a change of the settings between them, is a place to die: killed just
// before it, started again and finished, the host has stored what it stores when
// nothing happens.
func TestCrashPointsOfTheSystem(t *testing.T) {
	t.Parallel()
	s := newScript(t, 40)
	s.among = []string{"pwrite64", "fsync"}
	s.counted = func(dir string) (int, error) { return s.traced(0, dir) }
	s.killed = func(n int, dir string) (string, error) {
		_, err := s.traced(n, dir)
		return s.last, err
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the tracer is for amd64; the failpoints are tried instead")
	}
	_, err := s.traced(0, filepath.Join(t.TempDir(), "try"))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == exitNotAllowed {
		t.Skipf("this process may not trace another; the failpoints are tried instead: %v", err)
	}
	require.NoError(t, err)
	s.run("system calls")
}

// rows: F01, C32, K01, K02, K03, I01, I02, I03, I06
//
// Likewise at each place that the store names: before, in, between and behind its
// transactions, at claims and releases. It needs nothing of the system.
func TestCrashPointsOfTheStore(t *testing.T) {
	t.Parallel()
	s := newScript(t, 20)
	s.among = []string{"epoch", "begun", "part", "commit", "committed", "answered", "claim"} // a release comes once or twice, and where differs
	s.counted = func(dir string) (int, error) {
		_, errs, err := s.failing(0, dir)
		return strings.Count(errs, "failpoint "), err
	}
	s.killed = func(n int, dir string) (string, error) {
		killed, errs, err := s.failing(n, dir)
		if err == nil && !killed {
			return "", nil
		}
		var at int
		var place string
		if _, scanErr := fmt.Sscanf(errs, "failpoint %d %s", &at, &place); scanErr != nil || at != n {
			return "", errors.Join(err, scanErr, errors.New(errs))
		}
		return place, nil
	}
	s.run("places")
}

// script is the small host and how it is killed.
type script struct {
	t      *testing.T
	bin    string
	points int // how many to try; all if zero
	last   string
	among  []string // of all places, these are some

	counted func(dir string) (int, error)           // places in an undisturbed run
	killed  func(n int, dir string) (string, error) // at the nth; the place, empty if it was not reached
}

func newScript(t *testing.T, points int) *script {
	t.Helper()
	if testing.Short() {
		points = 6
	}
	if soaking() {
		points = 0
	}
	dir, err := crashers()
	require.NoError(t, err)
	return &script{t: t, bin: dir, points: points}
}

// run kills at each place, or at some of them that are spread evenly, and compares.
func (s *script) run(what string) {
	t := s.t
	calm := filepath.Join(t.TempDir(), "calm")
	all, err := s.counted(calm)
	require.NoError(t, err)
	require.Greater(t, all, 100)
	want := s.image(calm)
	require.Contains(t, want, "run 1 onboarding processed")
	require.Contains(t, want, "run 2 manual processed")

	// How the goroutines share the work differs from run to run, and with it the
	// number of groups: what lies behind the last place is tried, too, until a run
	// ends by itself.
	random := chance(t)
	step, at := 1.0, 1.0
	if s.points > 0 {
		step = float64(all) / float64(s.points)
		at = 1 + random.Float64()*(step-1)
	}
	began, tried, missed := time.Now(), 0, 0
	at1 := map[string]int{}
	for ; missed < 3 && (s.points == 0 || tried < s.points); at += step {
		dir := filepath.Join(t.TempDir(), "data")
		place, err := s.killed(int(at), dir)
		require.NoError(t, err, "at place %d", int(at))
		if place == "" { // it was done before
			missed++
		} else {
			tried++
			at1[place]++
		}
		s.finish(dir, int(at))
		require.Equal(t, want, s.image(dir), "killed at place %d, before %s", int(at), place)
		require.NoError(t, os.RemoveAll(dir))
	}
	wanted := s.points
	if wanted == 0 {
		wanted = all
	}
	require.GreaterOrEqual(t, tried, wanted*3/4, "runs ended by themselves long before the last place: %v", at1)
	for _, place := range s.among {
		require.True(t, s.points > 0 || at1[place] > 0, "it never died before %s: %v", place, at1)
	}
	proved(t, "crash points: killed at %d of %d %s (%v) in %s: each time the store ended as undisturbed",
		tried, all, what, at1, time.Since(began).Round(time.Second))
}

// traced runs the host under the tracer, which kills it at its nth call.
func (s *script) traced(n int, dir string) (int, error) {
	out, errs, err := s.command("killat", nil, fmt.Sprint(n), filepath.Join(s.bin, "crash"), dir)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, errs)
	}
	var count int
	s.last = ""
	_, err = fmt.Sscanln(out, &count, &s.last)
	if n == 0 {
		err = nil
	}
	if n > count { // not reached
		err = nil
	}
	return count, err
}

// failing runs the host with failpoints, and tells whether it died of the nth.
func (s *script) failing(n int, dir string) (killed bool, errs string, err error) {
	_, errs, err = s.command("crash-failpoints", []string{fmt.Sprintf("JACKFIELD_FAILPOINT=%d", n)}, dir)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return true, errs, nil
	}
	return false, errs, err
}

// finish starts the host again, and lets it.
func (s *script) finish(dir string, at int) {
	s.t.Helper()
	out, errs, err := s.command("crash", nil, dir)
	require.NoError(s.t, err, "started again after place %d: %s", at, errs)
	require.Equal(s.t, "done\n", out)
}

func (s *script) command(name string, env []string, args ...string) (out, errs string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), env...)
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// image is what a finished host has stored, as text: all but the positions, the
// numbers and the times, which a crash may change. Its invariants hold.
func (s *script) image(dir string) string {
	s.t.Helper()
	db, err := sqlite.Open(s.t.Context(), sqlite.Options{Path: dir})
	require.NoError(s.t, err)
	broken, err := db.Verify(s.t.Context())
	require.NoError(s.t, err)
	require.Empty(s.t, broken)
	require.NoError(s.t, db.Close())

	raw, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "jackfield.db")+"?mode=ro")
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, raw.Close()) }()
	var text strings.Builder
	for _, query := range []string{
		`SELECT 'record', kind, external_id, deleted, data FROM records ORDER BY 2, 3`,
		`SELECT 'run', id, kind, state, phase, force, read, added, updated, deleted, unchanged, stale, warnings, n_pending, n_processing, n_delayed, n_processed, n_error, n_cancelled FROM runs ORDER BY id`,
		`SELECT 'stream', run_id, connector, ident, type, state, pages, attempts, interrupts, crashes, read, added, updated, unchanged, warnings, last_record FROM streams ORDER BY run_id, connector, ident`,
		`SELECT 'cursor', connector, partition, cursor, next, next_run FROM cursors ORDER BY 2, 3`,
		`SELECT 'watermark', connector, run_id FROM watermarks ORDER BY 2`,
		`SELECT 'integration', uid, settings, patch, state, revision FROM integrations`,
		`SELECT 'warning', run_id, record_id, message FROM warnings ORDER BY 2, 4`,
		`SELECT 'event', kind, run_id, count(*) FROM events GROUP BY 2, 3 ORDER BY 2, 3`,
		`SELECT 'lane', owner, lease_until FROM lanes`,
	} {
		s.rows(raw, query, &text)
	}
	return text.String()
}

func (s *script) rows(db *sql.DB, query string, to *strings.Builder) {
	s.t.Helper()
	rows, err := db.QueryContext(s.t.Context(), query)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(s.t, err)
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(s.t, rows.Scan(into...))
		for i, v := range values {
			if i > 0 {
				to.WriteByte(' ')
			}
			to.WriteString(v.String)
		}
		to.WriteByte('\n')
	}
	require.NoError(s.t, rows.Err())
}
