package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: F15
func TestOpenLocksTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openTemp(t, Options{Path: dir})
	_, err := Open(t.Context(), Options{Path: dir})
	require.ErrorIs(t, err, store.ErrLocked)
	require.ErrorContains(t, err, "held by process "+strconv.Itoa(os.Getpid()))
	require.ErrorContains(t, err, "hint: stop that process")
	require.NoError(t, first.Close())
	second := openTemp(t, Options{Path: dir})
	require.Equal(t, first.Epoch()+1, second.Epoch())
	require.Equal(t, dir, second.Path())
}

// rows: F15
func TestOpenIsRefusedToAnotherProcess(t *testing.T) {
	t.Parallel()
	const env = "JACKFIELD_TEST_DATA"
	if dir := os.Getenv(env); dir != "" {
		_, err := Open(t.Context(), Options{Path: dir})
		fmt.Println(err)
		return
	}
	db := openTemp(t, Options{})
	self, err := os.Executable()
	require.NoError(t, err)
	other := exec.CommandContext(t.Context(), self, "-test.run=^TestOpenIsRefusedToAnotherProcess$", "-test.v")
	other.Env = append(os.Environ(), env+"="+db.Path())
	out, err := other.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "data directory is in use, held by process "+strconv.Itoa(os.Getpid()))
}

// rows: L01
func TestFilesAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "data")
	db := openTemp(t, Options{Path: dir})
	require.NoError(t, db.ApplyChanges(t.Context(), []store.Change{{
		Op: store.ChangeCreate, UID: "1", Spec: store.IntegrationSpec{Tenant: "acme", Name: "a", Plugin: "git", Enabled: true},
	}}))
	seen := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		seen++
		return nil
	}))
	require.Equal(t, 6, seen) // the directory, the lock, the database and its two logs

	require.NoError(t, db.Close())
	require.NoError(t, os.Chmod(dir, 0o755)) // it is ours, so it is closed again
	db = openTemp(t, Options{Path: dir})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, db.Close())

	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600))
	require.NoError(t, os.Chmod(foreign, 0o755))
	_, err = Open(t.Context(), Options{Path: foreign})
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorContains(t, err, "hint: name a directory of its own")
	_, err = Open(t.Context(), Options{Path: filepath.Join(foreign, "thesis.txt")})
	require.ErrorIs(t, err, store.ErrInvalid)
	_, err = Open(t.Context(), Options{})
	require.ErrorIs(t, err, store.ErrInvalid)
}

func TestOddNamesOfTheDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "50% a?b#c &d'e")
	openTemp(t, Options{Path: dir})
	require.FileExists(t, filepath.Join(dir, databaseName))
}

// rows: C35, F32
func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{})
	require.NoError(t, db.Close())
	file := filepath.Join(db.Path(), databaseName)
	raw, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	_, err = raw.ExecContext(t.Context(), "PRAGMA user_version = 99")
	require.NoError(t, err)
	require.NoError(t, raw.Close())
	_, err = Open(t.Context(), Options{Path: db.Path()})
	require.ErrorIs(t, err, store.ErrNewerSchema)
	require.ErrorContains(t, err, "schema 99, this program knows 1")
	require.ErrorContains(t, err, "hint: start the newer version")
}

// rows: F13
func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, databaseName), []byte(strings.Repeat("no database ", 100)), 0o600))
	_, err := Open(t.Context(), Options{Path: dir})
	require.ErrorIs(t, err, store.ErrDamaged)
	require.ErrorContains(t, err, "hint: stop the daemon, keep a copy")
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{})
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())
	_, err := db.Tenants(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, db.Nudge(t.Context(), 1, store.ClassPull, db.opts.Now()), store.ErrClosed)
	_, err = db.Apply(t.Context(), store.Segment{})
	require.ErrorIs(t, err, store.ErrClosed)
}

// rows: C35
func TestPragmas(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{})
	pragma := func(name string) (value string) {
		require.NoError(t, db.update(t.Context(), func(ctx context.Context, tx *tx) error {
			return tx.get(ctx, "PRAGMA "+name, nil, &value)
		}))
		return value
	}
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "trusted_schema": "0", "busy_timeout": "5000",
		"wal_autocheckpoint": "0", "journal_size_limit": "67108864", "cache_size": "-8192",
	} {
		require.Equal(t, want, pragma(name), name)
	}
	_, err := db.read.ExecContext(t.Context(), "DELETE FROM tenants")
	require.ErrorContains(t, err, "readonly")
	require.Error(t, db.update(t.Context(), func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `INSERT INTO lanes (integration_id, class, plugin, tenant_id, prio) VALUES (999, 'pull', 'git', 1, 0)`)
		return err
	}), "the foreign keys of small tables hold")
}

// rows: F01, C32
//
// Whoever opens what a killed process has left goes to work at once: the log is
// written back beside the work, as if it were the opener's own.
func TestTheLogOfAKilledProcessIsWrittenBackBesideTheWork(t *testing.T) {
	t.Parallel()
	killed := openTemp(t, Options{})
	_, err := killed.Integrations(t.Context(), store.IntegrationFilter{Limit: 1})
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{databaseName, databaseName + "-wal"} { // nobody writes meanwhile
		raw, err := os.ReadFile(filepath.Join(killed.Path(), name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o600))
	}
	log, err := os.Stat(filepath.Join(dir, databaseName+"-wal"))
	require.NoError(t, err)
	require.Positive(t, log.Size())

	db := openTemp(t, Options{Path: dir})
	require.Equal(t, killed.Epoch()+1, db.Epoch(), "what was committed is there")
	after, err := os.Stat(filepath.Join(dir, databaseName+"-wal"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, after.Size(), log.Size(), "nothing was written back before the store was open")
	require.GreaterOrEqual(t, db.write.frames.Load(), log.Size()/frameBytes, "and the checkpointer knows of it")
}
