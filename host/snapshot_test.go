package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/store"
)

// clockwork is a set of snapshots whose clock and disk a test moves.
type clockwork struct {
	*snapshots
	at   time.Time
	room int64
	err  error // of the next backup
	made int
}

func newClockwork(t *testing.T, c config.Snapshots) *clockwork {
	t.Helper()
	w := &clockwork{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), room: 1 << 40}
	w.snapshots = &snapshots{
		now:  func() time.Time { return w.at },
		size: func(context.Context) (int64, error) { return 1000, nil },
		free: func(string) (int64, bool) { return w.room, true },
		backup: func(_ context.Context, path string) (store.Backup, error) {
			if w.err != nil {
				return store.Backup{}, w.err
			}
			w.made++
			return store.Backup{Path: path}, os.WriteFile(path, nil, 0o600)
		},
		log: hclog.NewNullLogger(), since: w.at,
	}
	w.configure(c)
	return w
}

// pass lets time go by, with a look each minute.
func (w *clockwork) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for until := w.at.Add(d); w.at.Before(until); {
		w.at = w.at.Add(snapshotLook)
		if err := w.keep(t.Context()); err != nil {
			require.ErrorIs(t, w.status().Err, err)
		}
	}
}

// rows: F13
func TestSnapshotsAreMadeOnTimeAndTheNewestAreKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "snapshots")
	w := newClockwork(t, config.Snapshots{Every: 24 * time.Hour, Keep: 3, Dir: dir})
	require.NoError(t, w.keep(t.Context()))
	require.Zero(t, w.made, "a start belongs to the work")
	w.pass(t, 2*time.Minute)
	require.Equal(t, 1, w.made)
	w.pass(t, 23*time.Hour)
	require.Equal(t, 1, w.made)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.db"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "snapshot-20260101T000000Z.db.partial"), nil, 0o600))
	w.pass(t, 5*24*time.Hour)
	require.Equal(t, 6, w.made)
	st := w.status()
	require.Equal(t, 3, st.Kept)
	require.NoError(t, st.Err)
	require.FileExists(t, st.Newest)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4, "three of them, and a file of the operator's")

	again := newClockwork(t, w.config) // after a restart
	again.at = w.at
	require.NoError(t, again.keep(t.Context()))
	require.Equal(t, st.NewestAt, again.status().NewestAt)

	w.configure(config.Snapshots{Dir: dir})
	w.pass(t, 10*24*time.Hour)
	require.Equal(t, 6, w.made, "turned off")
	require.False(t, w.status().Enabled)
}

// rows: F13
func TestAFailedSnapshotDropsNoOldOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newClockwork(t, config.Snapshots{Every: 24 * time.Hour, Keep: 1, Dir: dir})
	w.pass(t, time.Hour)
	good := w.status().Newest
	for _, fail := range []func(){
		func() { w.err = errors.New("check the copy: database is damaged") },
		func() { w.err, w.room = nil, 1000 },
	} {
		fail()
		w.pass(t, 2*24*time.Hour)
		require.Error(t, w.status().Err)
		require.FileExists(t, good)
		require.Equal(t, 1, w.made)
	}
	require.ErrorIs(t, w.status().Err, store.ErrFull)
	require.ErrorContains(t, w.status().Err, "hint: make room")
	w.room = 1 << 40
	w.pass(t, snapshotRetry+time.Minute)
	require.NoError(t, w.status().Err)
	require.Equal(t, 2, w.made)
	require.NoFileExists(t, good)
}

// rows: F13, F16
func TestASnapshotFromTheFutureHoldsUpNone(t *testing.T) {
	t.Parallel()
	w := newClockwork(t, config.Snapshots{Every: 24 * time.Hour, Keep: 5, Dir: t.TempDir()})
	require.NoError(t, os.WriteFile(snapshotPath(w.config.Dir, w.at.AddDate(10, 0, 0)), nil, 0o600))
	w.pass(t, 3*24*time.Hour)
	require.Equal(t, 3, w.made)
	require.True(t, w.status().NewestAt.Before(w.at))
}
