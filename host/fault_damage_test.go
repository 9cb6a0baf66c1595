//go:build unix

package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

const pageSize = 4096

// damage overwrites bytes of the site's database, whose daemon has ended.
func (s *site) damage(offset int64, length int) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, "data", databaseName), os.O_RDWR, 0)
	require.NoError(s.t, err)
	junk := make([]byte, length)
	for i := range junk {
		junk[i] = byte(i * 7)
	}
	_, err = f.WriteAt(junk, offset)
	require.NoError(s.t, err)
	require.NoError(s.t, f.Close())
}

// rootOf returns where in the file the first page of a table is.
func (s *site) rootOf(table string) int64 {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "data", databaseName)+"?mode=ro")
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close()) }()
	var page int64
	require.NoError(s.t, db.QueryRowContext(s.t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = $1", table).Scan(&page))
	return (page - 1) * pageSize
}

// rows: F13
//
// A database whose header, schema or own numbers are gone is not served: the
// daemon ends with 3 and says what to restore, and that works.
func TestADaemonDoesNotServeADatabaseThatItCannotOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 50})
	d := s.start()
	s.await(store.RunProcessed)
	snapshots := filepath.Join(s.dir, "data", "snapshots")
	require.NoError(t, os.MkdirAll(snapshots, 0o700))
	newest := snapshotPath(snapshots, time.Now())
	s.cli("db", "backup", snapshotPath(snapshots, time.Now().Add(-time.Hour)))
	s.cli("db", "backup", newest)
	d.stop(t)
	for _, hit := range []struct {
		what   string
		offset int64
		length int
	}{
		{"the header", 0, 100},
		{"the schema", 100, pageSize - 100},
		{"the numbers of the store", s.rootOf("meta"), pageSize},
		{"the integrations", s.rootOf("integrations"), pageSize},
		{"all", 0, 40 * pageSize},
	} {
		s.damage(hit.offset, hit.length)
		code, out := s.exec("serve")
		require.Equal(t, exitEnvironment, code, hit.what)
		require.Contains(t, out, "database is damaged", hit.what)
		require.Contains(t, out, "db restore "+newest, hit.what)
		s.cli("db", "restore", newest)
	}
	d = s.start()
	s.ready()
	d.stop(t)
	require.Equal(t, expected(2, 50), s.contents())
}

// rows: F13
//
// A database that lost all its bytes is not taken for a new one, with its log or
// without; the first start on an empty directory works, and so does one that was cut
// off before it wrote anything.
func TestAnEmptiedDatabaseIsNotANewOne(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 50})
	file := filepath.Join(s.dir, "data", databaseName)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, nil, 0o600)) // cut off
	d := s.start()
	s.await(store.RunProcessed)
	newest := snapshotPath(filepath.Join(s.dir, "data", "snapshots"), time.Now())
	require.NoError(t, os.MkdirAll(filepath.Dir(newest), 0o700))
	s.cli("db", "backup", newest)
	for _, end := range []func(testing.TB){d.stop, func(t testing.TB) {
		d = s.start()
		s.ready()
		d.kill(t)
		require.NoError(t, os.WriteFile(file+"-wal", make([]byte, 64), 0o600))
	}} {
		end(t)
		require.NoError(t, os.Truncate(file, 0))
		code, out := s.exec("serve")
		require.Equal(t, exitEnvironment, code, out)
		require.Contains(t, out, "database is damaged")
		require.Contains(t, out, "has no content, though it was in use")
		require.Contains(t, out, "db restore "+newest)
		s.cli("db", "restore", newest)
	}
	d = s.start()
	s.ready()
	d.stop(t)
	require.Equal(t, expected(2, 50), s.contents())
}

// rows: F13
//
// A database that is damaged where the start does not look is read as far as it
// can be and written no more, from the first sight of it; the status says so.
func TestADaemonWritesNoMoreOnDamageThatItMeets(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "pages": 1, "records": 50})
	d := s.start()
	s.await(store.RunProcessed)
	d.stop(t)
	s.damage(s.rootOf("runs"), pageSize)
	d = s.start()
	s.ready()
	s.until("the damage is met", func() bool {
		st := s.status()
		return st.State == "degraded" && len(st.Reasons) > 0
	})
	st := s.status()
	require.Contains(t, st.Reasons[0], "nothing is written any more: ")
	require.Contains(t, st.Reasons[0], "database is damaged")
	require.Contains(t, st.Reasons[0], "hint: stop the daemon, keep a copy of the data directory")
	require.Contains(t, s.cli("record", "list", "-o", "jsonl", "--limit", "3"), `"kind":"thing"`)
	for _, command := range [][]string{{"run", "list"}, {"integration", "sync", "acme/load", "-q"}} {
		out, err := s.try(command...)
		require.Equal(t, exitEnvironment, exitOf(t, err), out)
		require.Contains(t, out, "database is damaged")
		require.Contains(t, out, "hint: stop the daemon, keep a copy of the data directory")
	}
	d.stop(t)
	require.Contains(t, d.log.String(), "the database is damaged: nothing is written any more")
}
