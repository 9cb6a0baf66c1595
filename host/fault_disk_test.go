//go:build linux

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
	"github.com/jackfield/jackfield/store/storetest/faultdisk"
)

// moveData gives the site an empty data directory on the disk that is mounted at
// dir/disk. Nothing here runs a program from it but the daemon: see faultdisk.
func (s *site) moveData() {
	s.t.Helper()
	s.write("host.yaml", "version: 1\nlisten: 127.0.0.1:0\ndata: ./disk/data\nplugins: {dir: ./plugins, trust: lock}\ntenants: ./tenants\n")
	code, out := s.exec("plugin", "approve", "load")
	require.Equal(s.t, exitDone, code, out)
}

// at returns the same site with its data directory below dir.
func (s *site) at(dir string) *site {
	other := *s
	other.dir = dir
	return &other
}

// room returns how many bytes more dir takes.
func room(t *testing.T, dir string) int64 {
	t.Helper()
	free, ok := freeBytes(dir)
	require.True(t, ok)
	return free
}

// rows: F09, K15
//
// The disk becomes full in the midst of a run: the daemon reads and says so,
// begins nothing, keeps its plugins, and goes on by itself when there is room. No
// stream loses an attempt by it.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	disk := filepath.Join(s.dir, "disk")
	require.NoError(t, os.Mkdir(disk, 0o700))
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=128m,mode=0700"); err != nil {
		t.Skipf("this test mounts a small file system, which needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
	s.moveData()
	d := s.start()
	s.await(store.RunProcessed)
	plugin := s.serving()

	// What the next run brings takes some 30 MB more than there is.
	filler := filepath.Join(disk, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, room(t, disk)-6<<20), 0o600))
	const streams, records = 3, 3000
	s.integration(map[string]any{"streams": streams, "pages": 1, "records": records, "segment": 100, "size": 4000, "mark": "new"})
	s.cli("reload")
	s.cli("integration", "sync", "acme/load", "-q")
	s.until("the disk is full", func() bool { return s.status().Store.Full })
	st := s.status()
	require.Equal(t, "degraded", st.State)
	require.Contains(t, st.Reasons[0], "the disk is full")
	s.cli("record", "list", "--limit", "1")
	out, err := s.try("integration", "sync", "acme/load", "--force")
	require.Equal(t, exitEnvironment, exitOf(t, err))
	require.Contains(t, out, "disk is full: nothing can be changed")
	require.Contains(t, out, "hint: make room where "+filepath.Join(disk, "data")+" is")
	require.Equal(t, plugin.PID, s.serving().PID)

	require.NoError(t, os.Remove(filler))
	s.await(store.RunProcessed)
	require.False(t, s.status().Store.Full)
	run := s.run()
	for _, stream := range s.streams(run.ID) {
		require.Zero(t, stream.Attempts, stream.Identifier)
		require.Zero(t, stream.Interrupts, stream.Identifier)
	}
	require.Equal(t, plugin.PID, s.serving().PID)
	require.Zero(t, s.serving().Restarts)
	s.cli("db", "check", "--deep")
	d.stop(t)
	require.Len(t, s.at(disk).contents(), streams*records)
}

// faulty mounts a faulty disk for the site's data.
func (s *site) faulty() *faultdisk.Disk {
	s.t.Helper()
	dir := filepath.Join(s.dir, "disk")
	require.NoError(s.t, os.Mkdir(dir, 0o700))
	disk, err := faultdisk.Mount(dir, "", faultdisk.Options{})
	if err != nil {
		s.t.Skipf("this machine mounts no file system for a test: %v", err)
	}
	s.t.Cleanup(func() { require.NoError(s.t, disk.Close()) })
	s.moveData()
	return disk
}

// rows: F10, K15, I07
//
// A commit that the disk did not take is neither done nor undone: the daemon ends
// with 3, and the next one looks.
func TestAnErrorOfTheDiskEndsTheDaemon(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 3, "pages": 1, "records": 2000, "segment": 20, "pause_ms": 1})
	disk := s.faulty()
	d := s.start()
	s.ready()
	s.started()
	disk.Fault(func(op faultdisk.Op) syscall.Errno {
		if op.Kind == faultdisk.Sync && op.Name == databaseName+"-wal" {
			return syscall.EIO
		}
		return 0
	})
	select {
	case err := <-d.done:
		require.Error(t, err)
	case <-time.After(patience):
		require.Fail(t, "the daemon went on", d.log.String())
	}
	require.Equal(t, exitEnvironment, d.cmd.ProcessState.ExitCode(), d.log.String())
	require.Contains(t, d.log.String(), store.ErrOutcomeUnknown.Error())
	disk.Fault(nil)
	d = s.start()
	s.await(store.RunProcessed)
	s.cli("db", "check", "--deep")
	d.stop(t)
	left := t.TempDir()
	require.NoError(t, disk.Survivors(left))
	require.Equal(t, expected(3, 2000), s.at(left).contents())
}

// rows: K15, F09
//
// A disk that takes a tenth of a second for each commit makes the daemon slow and
// nothing else: it answers, commits share the wait, and no lease is lost.
func TestASlowDiskLosesNoLease(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a slow disk takes its time")
	}
	const streams, records, segment = 8, 1000, 20
	s := newSite(t, map[string]any{"streams": streams, "pages": 1, "records": records, "segment": segment})
	disk := s.faulty()
	disk.Slow(100 * time.Millisecond)
	begin := time.Now()
	d := s.start()
	s.ready()
	s.started()
	asked := time.Now()
	s.status()
	require.Less(t, time.Since(asked), 15*time.Second)
	s.await(store.RunProcessed)
	t.Logf("proof: slow disk: %d segments of %v each in %v", streams*records/segment, 100*time.Millisecond, time.Since(begin).Round(time.Second))
	require.Less(t, time.Since(begin), streams*records/segment*100*time.Millisecond, "each segment waited alone")
	run := s.run()
	for _, stream := range s.streams(run.ID) {
		require.Zero(t, stream.Attempts, stream.Identifier)
		require.Zero(t, stream.Interrupts, stream.Identifier)
	}
	require.NotContains(t, d.log.String(), "stale")
	d.stop(t)
	left := t.TempDir()
	require.NoError(t, disk.Survivors(left))
	require.Equal(t, expected(streams, records), s.at(left).contents())
}
