//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// measureMemory watches the daemon's resident memory before, during and after a
// sync of a million records.
func measureMemory(t *testing.T, f *figures) {
	t.Helper()
	shape := loadShape{streams: 4, pages: 10, records: 25_000, segment: 1000}
	s := newSite(t, loadShape{streams: 1, pages: 1, records: 100}.settings())
	d := s.start()
	s.awaitRun(1)
	if _, err := resident(d.cmd.Process.Pid); errors.Is(err, os.ErrNotExist) {
		f.plain("memory of the daemon", "not measured on this system")
		d.stop(t)
		return
	}
	settle(t)
	before := residentMB(t, d)
	s.integration(shape.settings())
	s.cli("reload")
	s.cli("integration", "sync", "acme/load", "--force")
	var during []float64
	require.Eventually(t, func() bool {
		during = append(during, residentMB(t, d))
		if len(during)%20 != 0 {
			return false
		}
		state, ok := s.lastRun()
		return ok && state == string(store.RunProcessed)
	}, 2*time.Minute, 50*time.Millisecond)
	run := s.awaitRun(2)
	require.Equal(t, shape.total()-100, run.Stats.Added)
	settle(t)
	after := residentMB(t, d)
	d.stop(t)
	f.most("memory of the daemon, idle before", before, 60, "MB")
	f.most("memory of the daemon during a sync of 1,000,000 records", maximum(during), 150, "MB")
	f.most("memory of the daemon, idle after", after, 60, "MB")
	// The first quarter has the memory filled, up to what is kept for reuse.
	second, last := during[len(during)/4:len(during)/2], during[3*len(during)/4:]
	f.ratio("  its second quarter against the last: it does not grow", maximum(second)/maximum(last), 0.9)
	f.plain("  that sync, four streams", krecs(rate(shape.total(), run.duration())))
}

// settle gives a daemon the time to give memory back.
func settle(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(5 * time.Second):
	case <-t.Context().Done():
	}
}

func maximum(of []float64) float64 {
	var m float64
	for _, v := range of {
		m = max(m, v)
	}
	return m
}

func residentMB(t *testing.T, d *daemonProcess) float64 {
	t.Helper()
	kb, err := resident(d.cmd.Process.Pid)
	require.NoError(t, err)
	return float64(kb) * 1024 / 1e6
}

// resident returns the kilobytes that the process has in memory, its program
// included.
func resident(pid int) (kb int, err error) { return statusKB(pid, "VmRSS:") }

// peakMB returns the megabytes that the process had in memory when it had most.
func peakMB(t *testing.T, d *daemonProcess) float64 {
	t.Helper()
	kb, err := statusKB(d.cmd.Process.Pid, "VmHWM:")
	require.NoError(t, err)
	return float64(kb) * 1024 / 1e6
}

func statusKB(pid int, key string) (kb int, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			_, err := fmt.Sscan(rest, &kb)
			return kb, err
		}
	}
	return 0, errors.New("no " + key)
}

// measureStart takes the time from the start of the daemon's process to the first
// record in its store, with a store that is new.
func measureStart(t *testing.T, f *figures) {
	t.Helper()
	var took []float64
	for range figuresRounds {
		s := newSite(t, loadShape{streams: 1, pages: 1, records: 100}.settings())
		began := time.Now()
		d := s.start()
		s.firstRecord()
		took = append(took, float64(time.Since(began).Milliseconds()))
		d.stop(t)
	}
	f.most("start of the daemon to the first record stored", median(took), 300, "ms")
}

// firstRecord looks into the store until it has a record.
func (s *site) firstRecord() {
	s.t.Helper()
	path := filepath.Join(s.dir, "data", "jackfield.db")
	var db *sql.DB
	defer func() {
		if db != nil {
			require.NoError(s.t, db.Close())
		}
	}()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		require.True(s.t, time.Now().Before(deadline), "no record came")
		if _, err := os.Stat(path + "-wal"); err != nil {
			continue
		}
		if db == nil {
			var err error
			db, err = sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)")
			require.NoError(s.t, err)
			db.SetMaxOpenConns(1)
		}
		var id int64
		if db.QueryRowContext(context.Background(), "SELECT id FROM records LIMIT 1").Scan(&id) == nil {
			return
		}
	}
}
