//go:build linux

package sqlite

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/storetest/faultdisk"
)

// The environment of a test that runs as the process which writes.
const (
	envPowerDir  = "JACKFIELD_TEST_POWER_DIR"
	envPowerMode = "JACKFIELD_TEST_POWER_MODE"
)

// powerFrames is how long the log gets: short, so that it is written back often.
const powerFrames = 64

// The sizes of what the writer of a power test writes.
const (
	powerStreams = 3
	powerRecords = 10 // of a segment
)

// cuts returns how many times the power goes.
func cuts(t *testing.T) int {
	t.Helper()
	switch {
	case os.Getenv("JACKFIELD_SOAK") != "":
		return 200
	case testing.Short():
		return 4
	default:
		return 20
	}
}

// seedOf returns what decides the faults of a test: printed, and taken from the
// environment to replay one.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("JACKFIELD_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d (again: JACKFIELD_SEED=%d go test ./store/sqlite -run '^%s$' -count=1)", seed, seed, t.Name())
	return seed
}

// mount mounts a faulty disk, and skips the test where that cannot be.
func mount(t *testing.T, from string, opts faultdisk.Options) *faultdisk.Disk {
	t.Helper()
	disk, err := faultdisk.Mount(t.TempDir(), from, opts)
	if err != nil {
		t.Skipf("this machine mounts no file system for a test: %v", err)
	}
	t.Cleanup(func() { _ = disk.Close() }) // a test may have closed it
	return disk
}

// rows: F14, I07, I01, I02
//
// The power goes at a random moment of a process that writes. What was
// acknowledged is there afterwards, nothing is half there or there twice, and the
// next process goes on.
func TestNoAcknowledgedCommitIsLostWithThePower(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	t.Run("writer", func(t *testing.T) {
		t.Parallel()
		home := planned(t)
		all := 0
		for cut := range cuts(t) {
			left, acked, lost := powerCut(t, home, "full", seed+uint64(cut))
			require.NoError(t, lost, "cut %d", cut)
			home, all = left, all+acked
		}
		require.Greater(t, all, cuts(t), "a writer of which nothing was acknowledged proves nothing")
		t.Logf("proof: power loss: %d cuts, %d acknowledged commits, none lost", cuts(t), all)
	})
	t.Run("first start", func(t *testing.T) {
		t.Parallel()
		all := 0
		for cut := range max(cuts(t)/4, 2) {
			for _, mode := range []string{"first", "made"} {
				_, acked, lost := powerCut(t, t.TempDir(), mode, seed+uint64(cut))
				require.NoError(t, lost, "cut %d of %s", cut, mode)
				all += acked
			}
		}
		require.Positive(t, all)
	})
}

// rows: F14
//
// The machine bites: without the sync of each commit it finds lost ones.
func TestAPowerCutFindsWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	home := planned(t)
	for cut := range uint64(50) {
		_, _, lost := powerCut(t, home, "normal", seed+cut)
		if lost != nil {
			t.Logf("cut %d: %v", cut, lost)
			return
		}
	}
	require.Fail(t, "no cut lost a commit that was never synced")
}

// planned returns a directory with a data directory in it whose streams are
// planned.
func planned(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	b := &bench{db: openTemp(t, Options{Path: filepath.Join(home, "data")})}
	b.next(t, "history", powerStreams)
	require.NoError(t, b.db.Close())
	return home
}

// powerCut lets a process write on a disk with the files of home, takes the power
// away, and returns the directory with what is left, how much was acknowledged, and
// what is wrong with it.
func powerCut(t *testing.T, home, mode string, seed uint64) (left string, told int, lost error) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	disk := mount(t, home, faultdisk.Options{Seed: seed, CutAt: 1 + rnd.Int64N(1500)})
	acked, told := writeUntil(t, disk, mode)
	select {
	case <-disk.Lost():
	default:
		require.Fail(t, "the writer ended before the power went")
	}
	left = t.TempDir()
	require.NoError(t, disk.Survivors(left))
	require.NoError(t, disk.Close())
	return left, told, acked.check(t, filepath.Join(left, "data"))
}

// writeUntil runs the process that writes until the disk is gone, and returns
// what it was told to be safe, and how often.
func writeUntil(t *testing.T, disk *faultdisk.Disk, mode string) (acked acknowledged, told int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestPowerWriter$", "-test.v")
	child.Env = append(os.Environ(), envPowerDir+"="+disk.Dir(), envPowerMode+"="+mode)
	child.Stderr = io.Discard
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	over := make(chan struct{})
	go func() {
		select {
		case <-disk.Lost():
			_ = child.Process.Kill() // a machine without power runs nothing
		case <-over:
		}
	}()
	acked = acknowledged{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		told += acked.read(lines.Text())
	}
	_ = child.Wait() // it was killed
	close(over)
	return acked, told
}

// acknowledged is the newest number that the store gave for each name.
type acknowledged map[string]int64

// read takes a line "acked NAME NUMBER", and returns how many of these it was.
func (a acknowledged) read(line string) int {
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != "acked" {
		return 0
	}
	n, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return 0
	}
	a[words[1]] = max(a[words[1]], n)
	return 1
}

// check opens what is left in dir and returns what was acknowledged and is not
// there, or is there wrongly.
func (a acknowledged) check(t *testing.T, dir string) error {
	t.Helper()
	db, err := Open(t.Context(), Options{Path: dir, NoSync: true})
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, db.Close()) }()
	exam, err := db.Examine(t.Context(), true) // the invariants with it
	errs := []error{err, exam.Err()}
	seqs := map[string]int64{}
	err = db.list(t.Context(), "SELECT ident, seq FROM streams WHERE type = 'root'", nil, func(s scanner) error {
		var (
			ident string
			seq   int64
		)
		err := s.Scan(&ident, &seq)
		seqs["stream-"+ident] = seq
		return err
	})
	errs = append(errs, err)
	for name, seq := range seqs { // a segment is there whole and once
		var n int64
		err := db.list(t.Context(), "SELECT count(*) FROM records WHERE kind = $1", []any{name}, func(s scanner) error { return s.Scan(&n) })
		if n != seq*powerRecords {
			err = errors.Join(err, fmt.Errorf("%s has %d records after %d segments", name, n, seq))
		}
		errs = append(errs, err)
	}
	err = db.list(t.Context(), "SELECT 'token', version FROM credentials UNION ALL SELECT 'integrations', count(*) FROM integrations", nil, func(s scanner) error {
		var (
			name string
			n    int64
		)
		err := s.Scan(&name, &n)
		seqs[name] = n
		return err
	})
	errs = append(errs, err)
	for name, n := range a {
		if seqs[name] < n {
			errs = append(errs, fmt.Errorf("%s: %d was acknowledged, %d is there", name, n, seqs[name]))
		}
	}
	return errors.Join(errs...)
}

// TestPowerWriter is no test of its own: it is the process that writes.
func TestPowerWriter(t *testing.T) {
	dir := os.Getenv(envPowerDir)
	if dir == "" {
		t.Skip("it is run by the tests of a power cut")
	}
	opts := Options{Path: filepath.Join(dir, "data"), frames: powerFrames, normalSync: os.Getenv(envPowerMode) == "normal"}
	write := writeSegments
	switch os.Getenv(envPowerMode) {
	case "first":
		write = writeIntegrations
	case "made": // the directory is there already, by somebody who synced nothing
		write = writeIntegrations
		_ = os.Mkdir(opts.Path, 0o700) // without it Open makes one
	}
	db, err := Open(t.Context(), opts)
	if err == nil {
		err = write(t.Context(), db)
	}
	fmt.Println("ended", err) // the power has gone before it was killed
}

// writeIntegrations adds one integration after the other.
func writeIntegrations(ctx context.Context, db *DB) error {
	for n := 1; ; n++ {
		name := fmt.Sprintf("n%d", n)
		err := db.ApplyChanges(ctx, []store.Change{{
			Op: store.ChangeCreate, UID: name,
			Spec: store.IntegrationSpec{Tenant: "acme", Name: name, Plugin: "git", Every: -1, Enabled: true},
		}})
		if err != nil {
			return err
		}
		fmt.Println("acked integrations", n)
	}
}

// writeSegments works every stream at once, and a credential beside them.
func writeSegments(ctx context.Context, db *DB) error {
	lanes, err := db.ClaimLanes(ctx, store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Hour})
	if err != nil || len(lanes) != 1 {
		return cmp.Or(err, errors.New("no lane"))
	}
	run, _, err := db.NextRun(ctx, lanes[0])
	if err != nil {
		return err
	}
	streams, err := db.ClaimStreams(ctx, lanes[0].Ref(), run.ID, powerStreams)
	if err != nil || len(streams) != powerStreams {
		return cmp.Or(err, errors.New("a stream is missing"))
	}
	failed := make(chan error)
	for _, s := range streams {
		go func() { failed <- writeStream(ctx, db, lanes[0], s) }()
	}
	go func() { failed <- writeToken(ctx, db, lanes[0].IntegrationID) }()
	return <-failed
}

func writeStream(ctx context.Context, db *DB, lane store.Lane, s store.Stream) error {
	kind := "stream-" + s.Ident
	for seq := s.Seq; ; {
		rs := records(int(seq)*powerRecords, powerRecords)
		for i := range rs {
			rs[i].Kind = kind
		}
		done, err := db.Apply(ctx, store.Segment{
			Lane: lane.Ref(), Generation: lane.Generation, RunID: s.RunID, StreamID: s.ID, Claim: s.Claim, Seq: seq,
			Records: rs, Checkpoint: strconv.AppendInt(nil, seq, 10),
		})
		if err != nil {
			return err
		}
		seq = done.Seq
		fmt.Println("acked", kind, seq)
	}
}

func writeToken(ctx context.Context, db *DB, integration int64) error {
	kept, err := db.Credential(ctx, integration, "token")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for {
		kept, err = db.CommitCredential(ctx, integration, "token", kept.Version, []byte("sealed"), time.Time{})
		if err != nil {
			return err
		}
		fmt.Println("acked token", kept.Version)
	}
}
