package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// On a system where nothing can be served, whoever asks for it is told so, with the code
// of an environment that is not as it must be, before anything is read or written.
func TestNothingIsServedOnWindows(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve"}, {"serve", "--dev"}, {"quickstart"}} {
		dir := t.TempDir()
		var stdout, stderr bytes.Buffer
		c := newCLI(nil, &stdout, &stderr, func(string) string { return "" })
		c.goos = "windows"
		err := c.run(t.Context(), append(args, "-c", filepath.Join(dir, "host.yaml")))
		require.Equal(t, exitEnvironment, exitCode(err), args)
		require.Equal(t, 3, exitCode(err), "as the pages say")
		require.Equal(t, "error: serve is not supported on Windows yet\nhint: run it on Linux or macOS\n", stderr.String())
		require.Empty(t, stdout.String())
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}
