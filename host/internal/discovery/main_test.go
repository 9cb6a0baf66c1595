package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a plugin directory, a lock and a data directory.
type bundle struct {
	opts    Options
	scanner *Scanner
}

func setup(t *testing.T, change ...func(*Options)) *bundle {
	t.Helper()
	base := t.TempDir()
	b := &bundle{opts: Options{
		Dir:  filepath.Join(base, "plugins"),
		Lock: filepath.Join(base, LockFile),
		Data: filepath.Join(base, "data"),
	}}
	for _, c := range change {
		c(&b.opts)
	}
	require.NoError(t, os.Mkdir(b.opts.Dir, 0o700))
	var err error
	b.scanner, err = NewScanner(b.opts)
	require.NoError(t, err)
	return b
}

// script is a program of one line; discovery never runs it.
func script(text string) []byte { return []byte("#!/bin/sh\n" + text + "\n") }

func (b *bundle) write(t *testing.T, file string, body []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(b.opts.Dir, file)
	require.NoError(t, os.WriteFile(path, body, 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

// approve puts a body into the lock, as what the plugin's file of that name is.
func (b *bundle) approve(t *testing.T, name, version, file string, body []byte) string {
	t.Helper()
	lock, err := LoadLock(b.opts.Lock)
	require.NoError(t, err)
	digest := sum(body)
	lock.Approve(Entry{Name: name, Version: version, SHA256: digest, Size: int64(len(body)), File: file})
	require.NoError(t, lock.Save(b.opts.Lock))
	return digest
}

func (b *bundle) scan(t *testing.T) map[string][]Artifact {
	t.Helper()
	found, err := b.scanner.Scan(t.Context())
	require.NoError(t, err)
	by := map[string][]Artifact{}
	for _, a := range found {
		by[a.File] = append(by[a.File], a)
	}
	return by
}

// one is the only artifact of a file.
func (b *bundle) one(t *testing.T, file string) Artifact {
	t.Helper()
	found := b.scan(t)[file]
	require.Len(t, found, 1)
	return found[0]
}

func sum(body []byte) string {
	s := sha256.Sum256(body)
	return hex.EncodeToString(s[:])
}

func hourAgo() time.Time { return time.Now().Add(-time.Hour) }
