//go:build unix

package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F15
//
// A second daemon on the same data ends with 3 and names the first, which does
// not notice.
func TestSecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	code, out := s.exec("serve")
	require.Equal(t, exitEnvironment, code)
	require.Contains(t, out, fmt.Sprintf("held by process %d", d.cmd.Process.Pid))
	require.Contains(t, out, "hint: stop that process")
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
}

// rows: F32, F15
//
// A database of a newer version is not touched.
func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	d.stop(t)
	path := filepath.Join(s.dir, "data", "jackfield.db")
	version := func(query string) (n int) {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		if query != "" {
			_, err := db.ExecContext(t.Context(), query)
			require.NoError(t, err)
		}
		require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&n))
		return n
	}
	known := version("")
	require.Equal(t, known+1, version(fmt.Sprintf("PRAGMA user_version = %d", known+1)))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	code, out := s.exec("serve")
	require.Equal(t, exitEnvironment, code)
	require.Contains(t, out, fmt.Sprintf("schema %d, this program knows %d", known+1, known))
	require.Contains(t, out, "hint: start the newer version of jackfield again")
	var report bytes.Buffer
	require.Error(t, Run(t.Context(), []string{"-c", filepath.Join(s.dir, "host.yaml"), "doctor"}, &report, io.Discard))
	require.Contains(t, report.String(), fmt.Sprintf("schema %d, this program knows %d", known+1, known))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)

	require.Equal(t, known, version(fmt.Sprintf("PRAGMA user_version = %d", known)))
	d = s.start()
	s.ready()
	d.stop(t)
	require.Equal(t, expected(1, 5), s.contents())
}

// rows: L01, K20
//
// What the daemon writes is for its user alone, whatever the umask is.
func TestDataIsForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	modes := map[string]fs.FileMode{}
	data := filepath.Join(s.dir, "data")
	require.NoError(t, filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(data, path)
		modes[rel] = info.Mode().Perm()
		if filepath.Dir(rel) == "cas" { // plugins' users execute it, by a descriptor; the folder is closed to them
			require.Equal(t, fs.FileMode(0o555), info.Mode().Perm(), path)
			return err
		}
		require.Zero(t, info.Mode().Perm()&0o077, "%s is open to others: %v", path, info.Mode())
		return err
	}))
	require.Equal(t, fs.FileMode(0o700), modes["."])
	for _, name := range []string{"jackfield.db", "jackfield.db-wal", "jackfield.sock", "admin.token"} {
		require.Equal(t, fs.FileMode(0o600), modes[name], name)
	}
	info, err := os.Stat(filepath.Join(s.dir, "jackfield.key"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o400), info.Mode().Perm())
	d.stop(t)
	require.NoFileExists(t, filepath.Join(data, "admin.token"))
	require.NoFileExists(t, filepath.Join(data, "jackfield.sock"))
}

// rows: L03, O43
//
// Without the key that sealed what the store holds the daemon does not start,
// and makes no new key beside it. With the key put back nothing was lost.
func TestStoreWithoutItsKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	d.stop(t)
	key := filepath.Join(s.dir, "jackfield.key")
	require.NoError(t, os.Rename(key, key+".copy"))
	for range 2 { // the first refusal must not clear the way for the second try
		code, out := s.exec("serve")
		require.Equal(t, exitEnvironment, code)
		require.Contains(t, out, key+" is missing")
		require.Contains(t, out, "hint: put back your copy")
		require.NoFileExists(t, key)
	}

	other := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	elsewhere := other.start()
	other.await(store.RunProcessed)
	elsewhere.stop(t)
	raw, err := os.ReadFile(filepath.Join(other.dir, "jackfield.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, raw, 0o400))
	code, out := s.exec("serve")
	require.Equal(t, exitEnvironment, code)
	require.Contains(t, out, "sealed with another key")
	require.Contains(t, out, "hint: put back your copy")

	require.NoError(t, os.Rename(key+".copy", key))
	d = s.start()
	s.ready()
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
	require.Equal(t, expected(1, 5), s.contents())
}
