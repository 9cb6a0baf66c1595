package secret

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

func TestOpenKeyringMakesTheKeyOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := KeyPath(filepath.Join(dir, "host.yaml"))
	require.Equal(t, filepath.Join(dir, "jackfield.key"), path)
	_, err := ReadKeyring(path)
	require.ErrorIs(t, err, ErrNoKey)

	first, err := OpenKeyring(path, filepath.Join(dir, "data"))
	require.NoError(t, err)
	require.True(t, first.Created())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o400), info.Mode())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.Len(t, key, 32)

	second, err := OpenKeyring(path, filepath.Join(dir, "data"))
	require.NoError(t, err)
	require.False(t, second.Created())
	require.Equal(t, first.ID(), second.ID())
	require.Len(t, first.ID(), 16)
	require.Equal(t, path, second.Path())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no draft is left")
}

func TestOpenKeyringByManyAtOnceGivesOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jackfield.key")
	var wg sync.WaitGroup
	ids := make([]string, 16)
	created := make([]bool, 16)
	for i := range ids {
		wg.Go(func() {
			if k, err := OpenKeyring(path, ""); err == nil {
				ids[i], created[i] = k.ID(), k.Created()
			}
		})
	}
	wg.Wait()
	makers := 0
	for i := range ids {
		require.Equal(t, ids[0], ids[i])
		require.NotEmpty(t, ids[i])
		if created[i] {
			makers++
		}
	}
	require.Equal(t, 1, makers)
}

// rows: L01, L03
func TestOpenKeyringRefuses(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	tests := map[string]struct {
		text string
		mode os.FileMode
		hint string
	}{
		"ReadByTheGroup": {good, 0o440, "chmod 400"},
		"ReadByAll":      {good, 0o604, "chmod 400"},
		"Empty":          {"", 0o400, "restore it"},
		"Short":          {good[:20], 0o400, "restore it"},
		"NotBase64":      {strings.Repeat("?", 44), 0o400, "restore it"},
		"Long":           {strings.Repeat(good, 200), 0o400, "restore it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "jackfield.key")
			require.NoError(t, os.WriteFile(path, []byte(test.text), test.mode))
			require.NoError(t, os.Chmod(path, test.mode))
			_, err := OpenKeyring(path, "")
			require.ErrorContains(t, err, test.hint)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, test.text, string(text), "an existing key is never replaced")
		})
	}
	_, err := OpenKeyring(t.TempDir(), "")
	require.ErrorContains(t, err, "not a regular file")
	_, err = OpenKeyring(filepath.Join(t.TempDir(), "missing", "jackfield.key"), "")
	require.Error(t, err)
}

// rows: L03
func TestOpenKeyringRefusesTheDataDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Symlink(data, filepath.Join(dir, "alias")))
	for _, path := range []string{"data/jackfield.key", "data/deep/jackfield.key", "alias/jackfield.key", "x/../data/jackfield.key"} {
		_, err := OpenKeyring(filepath.Join(dir, path), data)
		require.ErrorContains(t, err, "inside the data directory", path)
		var hint *store.HintError
		require.ErrorAs(t, err, &hint)
	}
	_, err := OpenKeyring(filepath.Join(dir, "data-key"), data)
	require.NoError(t, err, "a name that only begins like the directory")
	_, err = OpenKeyring(filepath.Join(dir, "later.key"), filepath.Join(dir, "not-yet", "data"))
	require.NoError(t, err)
}
