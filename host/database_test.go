//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// exitOf returns the code that a failed command exits with.
func exitOf(t *testing.T, err error) int {
	t.Helper()
	e, ok := errors.AsType[*exitError](err)
	require.True(t, ok, "%v", err)
	return e.code
}

// rows: F13, F15
//
// A backup is made and checked while the daemon works, and restored when it is
// stopped; what was there before is one command away.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 1, "records": 5})
	d := s.start()
	s.await(store.RunProcessed)
	file := filepath.Join(s.dir, "copies", "a.db")
	out, err := s.try("db", "backup", file)
	require.Error(t, err)
	require.Equal(t, exitUsage, exitOf(t, err))
	require.Contains(t, out, "hint: name a file in a directory that the daemon can write")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	var made struct {
		Backup struct {
			Path  string `json:"path"`
			Bytes int64  `json:"bytes"`
		} `json:"backup"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.cli("db", "backup", file, "-o", "json")), &made))
	require.Equal(t, file, made.Backup.Path)
	require.Positive(t, made.Backup.Bytes)
	out, err = s.try("db", "backup", file)
	require.Equal(t, exitFailed, exitOf(t, err))
	require.Contains(t, out, "is there already")

	require.Contains(t, s.cli("db", "check", "--deep"), "invariants")
	require.Contains(t, s.cli("db", "check", file), "pages")
	out, err = s.try("db", "check", filepath.Join(s.dir, "data", databaseName))
	require.Error(t, err)
	require.Contains(t, out, "is in use")

	out, err = s.try("db", "restore", file)
	require.Equal(t, exitEnvironment, exitOf(t, err))
	require.Contains(t, out, fmt.Sprintf("held by process %d", d.cmd.Process.Pid))

	s.integration(map[string]any{"streams": 1, "pages": 1, "records": 9})
	s.cli("reload")
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
	require.Equal(t, expected(1, 9), s.contents())

	garbage := filepath.Join(s.dir, "garbage.db")
	require.NoError(t, os.WriteFile(garbage, make([]byte, 4096), 0o600))
	out, err = s.try("db", "restore", garbage)
	require.Equal(t, exitEnvironment, exitOf(t, err))
	require.Contains(t, out, "hint: nothing was changed")
	require.Equal(t, expected(1, 9), s.contents())

	var done struct {
		Kept    []string `json:"kept"`
		Warning string   `json:"warning"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.cli("db", "restore", file, "-o", "json")), &done))
	require.Empty(t, done.Warning)
	require.Len(t, done.Kept, 2)
	require.Equal(t, done.Kept[0]+"-inbox", done.Kept[1], "calls go with what they belong to")
	require.Equal(t, expected(1, 5), s.contents())

	// Without its key the backup is there and its settings are not.
	key := filepath.Join(s.dir, "jackfield.key")
	require.NoError(t, os.Rename(key, key+".away"))
	require.Contains(t, s.cli("db", "restore", file), "serve needs the key file "+key)
	require.NoError(t, os.Rename(key+".away", key))

	require.Contains(t, s.cli("db", "restore", done.Kept[0]), "go back")
	require.Equal(t, expected(1, 9), s.contents())
	d = s.start() // and it goes on
	s.ready()
	require.Equal(t, "processed", s.sync().State)
	d.stop(t)
	require.Equal(t, expected(1, 9), s.contents())
}

// rows: F13
//
// Damage in a file is found, and said with what to do.
func TestDatabaseCheckFindsDamage(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 1, "pages": 2, "records": 500})
	d := s.start()
	s.await(store.RunProcessed)
	file := filepath.Join(s.dir, "a.db")
	s.cli("db", "backup", file)
	d.stop(t)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	clear(raw[len(raw)/2 : len(raw)/2+32<<10])
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	out, err := s.try("db", "check", file)
	require.Equal(t, exitEnvironment, exitOf(t, err))
	require.Contains(t, out, "database is damaged")
	require.Contains(t, out, "db restore FILE")
}
