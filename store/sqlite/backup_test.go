package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// filled returns a bench whose store has n records.
func filled(t *testing.T, n int) *bench {
	t.Helper()
	b := newBench(t, Options{}, 2)
	seg := b.segment(0)
	seg.Records = records(0, n)
	_, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	return b
}

// alter runs a statement on a file that nobody has open.
func alter(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// count returns the records of the store in dir.
func count(t *testing.T, dir string) (n int64) {
	t.Helper()
	db, err := Open(t.Context(), Options{Path: dir})
	require.NoError(t, err)
	st, err := db.Status(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return st.Records
}

// rows: F13
func TestBackupIsWholeWhileItIsWritten(t *testing.T) {
	t.Parallel()
	b := filled(t, 3000)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { // one record a transaction, from before the backup to after it
		seg := b.segment(1)
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			seg.Records = records(10_000+n, 1)
			a, err := b.db.Apply(context.Background(), seg)
			if err != nil {
				stopped <- err
				return
			}
			seg.Seq = a.Seq
		}
	}()
	file := filepath.Join(t.TempDir(), "copy.db")
	made, err := b.db.Backup(t.Context(), file)
	close(stop)
	require.NoError(t, <-stopped)
	require.NoError(t, err)
	require.Equal(t, file, made.Path)
	require.Positive(t, made.Bytes)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, made.Bytes, info.Size())
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	require.NoFileExists(t, file+".partial")
	exam, err := Examine(t.Context(), file, true)
	require.NoError(t, err)
	require.NoError(t, exam.Err())
	require.Len(t, exam.Checks, 5)

	_, err = b.db.Backup(t.Context(), file)
	require.ErrorIs(t, err, store.ErrConflict)
	require.ErrorContains(t, err, "is there already")

	dir := filepath.Join(t.TempDir(), "data")
	_, err = Restore(t.Context(), dir, file, time.Now())
	require.NoError(t, err)
	require.GreaterOrEqual(t, count(t, dir), int64(3000))
}

// rows: F13
func TestAnInterruptedBackupLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := filled(t, 3000)
	file := filepath.Join(t.TempDir(), "copy.db")
	require.NoError(t, os.WriteFile(file+".partial", []byte("of one that was killed"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.db.Backup(ctx, file)
	require.ErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, file)
	_, err = b.db.Backup(t.Context(), filepath.Join(filepath.Dir(file), "under", "nothing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = b.db.Backup(t.Context(), file)
	require.NoError(t, err)
	require.NoFileExists(t, file+".partial")
}

// rows: F13
func TestExamineFindsDamage(t *testing.T) {
	t.Parallel()
	b := filled(t, 3000)
	exam, err := b.db.Examine(t.Context(), true)
	require.NoError(t, err)
	require.NoError(t, exam.Err())
	require.NoError(t, b.db.Close())
	file := filepath.Join(b.db.Path(), databaseName)
	for name, c := range map[string]struct {
		harm func(t *testing.T, file string)
		want string
	}{
		"a page": {func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			require.NoError(t, err)
			info, err := f.Stat()
			require.NoError(t, err)
			_, err = f.WriteAt(make([]byte, 64<<10), info.Size()/2)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, "pages: "},
		"a reference": {func(t *testing.T, file string) {
			alter(t, file, "PRAGMA foreign_keys = 0; UPDATE integrations SET tenant_id = 99")
		}, "references: integrations 1 names a tenants that there is not"},
		"a position": {func(t *testing.T, file string) {
			alter(t, file, "UPDATE meta SET value = 1 WHERE name = 'position'")
		}, "feed: record "},
		"a counter": {func(t *testing.T, file string) {
			alter(t, file, "UPDATE runs SET n_pending = n_pending + 1")
		}, "counters: run 1 counts 3 streams and has 2"},
		"a row of meta": {func(t *testing.T, file string) {
			alter(t, file, "DELETE FROM meta WHERE name = 'host_epoch'")
		}, "schema: meta lacks host_epoch"},
		"an index": {func(t *testing.T, file string) {
			alter(t, file, "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'CREATE INDEX records_feed ON records (integration_id, external_id)' WHERE name = 'records_feed'")
		}, "pages: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := filepath.Join(t.TempDir(), "broken.db")
			require.NoError(t, copyFile(t.Context(), file, broken))
			c.harm(t, broken)
			exam, err := Examine(t.Context(), broken, true)
			require.NoError(t, err)
			require.ErrorIs(t, exam.Err(), store.ErrDamaged)
			require.ErrorContains(t, exam.Err(), c.want)
		})
	}
}

// rows: F13
func TestRestoreKeepsWhatItReplaces(t *testing.T) {
	t.Parallel()
	b := filled(t, 100)
	dir := b.db.Path()
	file := filepath.Join(t.TempDir(), "copy.db")
	_, err := b.db.Backup(t.Context(), file)
	require.NoError(t, err)
	seg := b.segment(1)
	seg.Records = records(1000, 50)
	later, err := b.db.Apply(t.Context(), seg)
	require.NoError(t, err)
	epoch := b.db.Epoch()

	_, err = Restore(t.Context(), dir, file, time.Now())
	require.ErrorIs(t, err, store.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("held by process %d", os.Getpid()))
	require.NoError(t, b.db.Close())

	garbage := filepath.Join(t.TempDir(), "garbage.db")
	require.NoError(t, os.WriteFile(garbage, make([]byte, 8192), 0o600))
	_, err = Restore(t.Context(), dir, garbage, time.Now())
	require.ErrorContains(t, err, "hint: nothing was changed; try an older backup")
	require.Equal(t, int64(150), count(t, dir))
	_, err = Restore(t.Context(), dir, filepath.Join(dir, databaseName), time.Now())
	require.ErrorIs(t, err, store.ErrInvalid)

	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	done, err := Restore(t.Context(), dir, file, at)
	require.NoError(t, err)
	kept := filepath.Join(dir, databaseName+".before-restore-20260301T120000.000Z")
	require.Equal(t, []string{kept}, done.Kept)
	db, err := Open(t.Context(), Options{Path: dir})
	require.NoError(t, err)
	st, err := db.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(100), st.Records)
	require.Greater(t, st.Position, later.Position, "the feed goes on above what was lost")
	require.Greater(t, db.Epoch(), epoch)
	require.NoError(t, db.Close())

	_, err = Restore(t.Context(), dir, kept, at.Add(time.Hour)) // the way back
	require.NoError(t, err)
	require.Equal(t, int64(150), count(t, dir))
}

// rows: F13
func TestRestoreKeepsTheLogOfADamagedDatabase(t *testing.T) {
	t.Parallel()
	b := filled(t, 10)
	file := filepath.Join(t.TempDir(), "copy.db")
	_, err := b.db.Backup(t.Context(), file)
	require.NoError(t, err)
	require.NoError(t, b.db.Close())
	dir := b.db.Path()
	path := filepath.Join(dir, databaseName)
	require.NoError(t, os.WriteFile(path, []byte("a disk wrote this over it"), 0o600))
	require.NoError(t, os.WriteFile(path+"-wal", []byte("and this"), 0o600))
	done, err := Restore(t.Context(), dir, file, time.Now())
	require.NoError(t, err)
	require.Len(t, done.Kept, 2)
	for n, want := range []string{"a disk wrote this over it", "and this"} {
		got, err := os.ReadFile(done.Kept[n])
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	require.Equal(t, int64(10), count(t, dir))
}

// next returns the embedded migrations and more after them.
func next(t *testing.T, scripts ...string) fs.FS {
	t.Helper()
	set := fstest.MapFS{}
	known, err := Schema()
	require.NoError(t, err)
	first, err := fs.Glob(migrations, "migrations/*.sql")
	require.NoError(t, err)
	for _, name := range first {
		script, err := fs.ReadFile(migrations, name)
		require.NoError(t, err)
		set[name] = &fstest.MapFile{Data: script}
	}
	for n, script := range scripts {
		set[fmt.Sprintf("migrations/%04d_later.sql", known+1+n)] = &fstest.MapFile{Data: []byte(script)}
	}
	return set
}

// rows: F32
func TestAMigrationIsBackedUpAndGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	known, err := Schema()
	require.NoError(t, err)
	b := filled(t, 10)
	dir := b.db.Path()
	require.NoError(t, b.db.Close())
	one := "CREATE TABLE one (id INTEGER PRIMARY KEY) STRICT; INSERT INTO one SELECT id FROM records;"
	two := "CREATE TABLE two (id INTEGER PRIMARY KEY) STRICT; INSERT INTO two SELECT id FROM one;"
	version := func() (n int) {
		db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
		require.NoError(t, err)
		require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&n))
		require.NoError(t, db.Close())
		return n
	}

	// The second one breaks off in its middle.
	_, err = Open(t.Context(), Options{Path: dir, migrations: next(t, one, two+" INSERT INTO nothing VALUES (1);")})
	require.ErrorContains(t, err, fmt.Sprintf("migrate to schema %d", known+2))
	require.Equal(t, known+1, version(), "the first one is done")
	before := filepath.Join(dir, fmt.Sprintf("jackfield-schema-%d.db", known))
	exam, err := Examine(t.Context(), before, true)
	require.NoError(t, err)
	require.NoError(t, exam.Err())
	require.Equal(t, known, exam.Schema)

	db, err := Open(t.Context(), Options{Path: dir, migrations: next(t, one, two)})
	require.NoError(t, err)
	require.Equal(t, known+2, db.schema)
	n := 0
	require.NoError(t, db.get(t.Context(), "SELECT count(*) FROM two", nil, func(s scanner) error { return s.Scan(&n) }))
	require.Equal(t, 10, n)
	require.NoError(t, db.Close())

	// The older program refuses, and goes on with the backup that was made for it.
	_, err = Open(t.Context(), Options{Path: dir})
	require.ErrorIs(t, err, store.ErrNewerSchema)
	_, err = Restore(t.Context(), dir, before, time.Now())
	require.NoError(t, err)
	require.Equal(t, int64(10), count(t, dir))
}

// rows: F13
func TestAFrozenStoreReadsAndDoesNotWrite(t *testing.T) {
	t.Parallel()
	b := filled(t, 10)
	b.db.Freeze(store.ErrDamaged)
	b.db.Freeze(store.ErrFull)
	_, err := b.db.Apply(t.Context(), b.segment(1))
	require.ErrorIs(t, err, store.ErrDamaged)
	_, err = b.db.RenewLanes(t.Context(), []store.LaneRef{b.lane.Ref()}, time.Hour)
	require.ErrorIs(t, err, store.ErrDamaged)
	st, err := b.db.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(10), st.Records)
	require.Equal(t, store.ErrDamaged.Error(), st.Frozen)
}
