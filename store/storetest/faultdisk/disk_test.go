//go:build linux

package faultdisk

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mounted mounts a disk, and skips the test where that cannot be.
func mounted(t *testing.T, opts Options) *Disk {
	t.Helper()
	d, err := Mount(t.TempDir(), "", opts)
	if err != nil {
		t.Skipf("this machine mounts no file system for a test: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// outcomes returns what a cut left of the file "f", over many seeds.
func outcomes(t *testing.T, d *Disk) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for seed := range uint64(100) {
		dir := t.TempDir()
		d.opts.Seed = seed
		require.NoError(t, d.Survivors(dir))
		raw, err := os.ReadFile(filepath.Join(dir, "f"))
		switch {
		case os.IsNotExist(err):
			got["gone"] = true
		default:
			require.NoError(t, err)
			got[string(raw)] = true
		}
	}
	return got
}

// rows: F14
func TestACutKeepsWhatWasSyncedAndNothingElseForSure(t *testing.T) {
	t.Parallel()
	sync := func(t *testing.T, path string) {
		t.Helper()
		f, err := os.Open(path)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
	}
	old, young := strings.Repeat("o", 2*sector), strings.Repeat("y", 2*sector)
	half := young[:sector] + old[sector:]
	flah := old[:sector] + young[sector:]
	for name, c := range map[string]struct {
		do   func(t *testing.T, dir, f string)
		want map[string]bool
	}{
		"nothing is synced": {func(t *testing.T, _, f string) {
			require.NoError(t, os.WriteFile(f, []byte(old), 0o600))
		}, map[string]bool{"gone": true, "": true, old: true, old[:sector]: true, strings.Repeat("\x00", sector) + old[:sector]: true}},
		"the file is, its name is not": {func(t *testing.T, _, f string) {
			require.NoError(t, os.WriteFile(f, []byte(old), 0o600))
			sync(t, f)
		}, map[string]bool{"gone": true, old: true}},
		"all is": {func(t *testing.T, dir, f string) {
			require.NoError(t, os.WriteFile(f, []byte(old), 0o600))
			sync(t, f)
			sync(t, dir)
		}, map[string]bool{old: true}},
		"a later write is not": {func(t *testing.T, dir, f string) {
			require.NoError(t, os.WriteFile(f, []byte(old), 0o600))
			sync(t, f)
			sync(t, dir)
			w, err := os.OpenFile(f, os.O_RDWR, 0)
			require.NoError(t, err)
			_, err = w.Write([]byte(young))
			require.NoError(t, err)
			require.NoError(t, w.Close())
		}, map[string]bool{old: true, young: true, half: true, flah: true}},
		"a file that replaced it is, its name is not": {func(t *testing.T, dir, f string) {
			require.NoError(t, os.WriteFile(f, []byte(old), 0o600))
			sync(t, f)
			sync(t, dir)
			require.NoError(t, os.WriteFile(f+".new", []byte(young), 0o600))
			sync(t, f+".new")
			require.NoError(t, os.Rename(f+".new", f))
		}, map[string]bool{old: true, young: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mounted(t, Options{})
			c.do(t, d.Dir(), filepath.Join(d.Dir(), "f"))
			require.Equal(t, c.want, outcomes(t, d))
			require.ErrorIs(t, os.Mkdir(filepath.Join(d.Dir(), "later"), 0o700), syscall.EIO)
		})
	}
}

// rows: F09, F10
func TestADiskFillsUpAndFailsOnDemand(t *testing.T) {
	t.Parallel()
	d := mounted(t, Options{})
	f := filepath.Join(d.Dir(), "f")
	require.NoError(t, os.WriteFile(f, make([]byte, 4096), 0o600))
	d.Fill(4096)
	require.NoError(t, os.WriteFile(filepath.Join(d.Dir(), "g"), make([]byte, 4096), 0o600))
	require.ErrorIs(t, os.WriteFile(filepath.Join(d.Dir(), "h"), make([]byte, 1), 0o600), syscall.ENOSPC)
	var st syscall.Statfs_t
	require.NoError(t, syscall.Statfs(d.Dir(), &st))
	require.Zero(t, st.Bavail)
	require.NoError(t, os.Remove(f))
	require.NoError(t, os.WriteFile(filepath.Join(d.Dir(), "h"), make([]byte, 1), 0o600))

	d.Fault(func(op Op) syscall.Errno {
		if op.Kind == Sync && op.Name == "g" {
			return syscall.EIO
		}
		return 0
	})
	g, err := os.Open(filepath.Join(d.Dir(), "g"))
	require.NoError(t, err)
	require.ErrorIs(t, g.Sync(), syscall.EIO)
	d.Fault(nil)
	d.Slow(50 * time.Millisecond)
	begin := time.Now()
	require.NoError(t, g.Sync())
	require.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)
	require.NoError(t, g.Close())
}
