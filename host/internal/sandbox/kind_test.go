//go:build linux && (amd64 || arm64)

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: P04
func TestAProgramGetsWhatItsKindNeeds(t *testing.T) {
	t.Parallel()
	of := func(path string) kind {
		f, err := os.Open(path)
		require.NoError(t, err)
		k, err := kindOf(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		return k
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
		return path
	}
	require.Equal(t, static, of(os.Getenv(programVariable)))
	require.Equal(t, static, of(write("empty", "")))
	shell, err := exec.LookPath("sh")
	if err == nil {
		require.Equal(t, dynamic, of(resolved(shell)))
	}
	script := of(write("script", "#! "+dir+"/venv/bin/python -u\nprint()\n"))
	require.True(t, script.script())
	require.Equal(t, []string{dir + "/venv/bin/python"}, script.interpreters())
	require.Equal(t, []string{"/usr/bin/env", found(t, "sh")}, of(write("env", "#!/usr/bin/env -S FOO=1 sh -e\n")).interpreters())

	write("venv/bin/python", "")
	got := interpreter(script)
	for _, part := range []string{"bin", "lib", "pyvenv.cfg"} {
		require.Contains(t, got, filepath.Join(dir, "venv", part))
	}
	require.NotContains(t, got, filepath.Join(dir, "venv"), "what lies beside may be anything")
	require.Equal(t, []string{dir + "/run", dir + "/run"}, interpreter(kind(write("run", ""))))
	require.Empty(t, interpreter(kind("/usr/bin/env")))

	// The system's libraries are for those that use them.
	require.NotContains(t, granted(static, Policy{}), grant{"/usr", readAll | execute})
	require.Contains(t, granted(dynamic, Policy{}), grant{"/usr", readAll | execute})
}

// found is where a program stands, or the test is skipped.
func found(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs " + name)
	}
	return path
}
