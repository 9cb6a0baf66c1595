//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk"
)

// A folder that another plugin runs is held against the contract as a program is: with
// the program that is named, or the one that the site approved.
//
// rows: O02, G30
func TestPluginTestTakesAFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{})
	folder := packaged(t, t.TempDir(), "hello", "runtime: load")
	require.NoError(t, os.Mkdir(filepath.Join(folder, "lib"), 0o700))
	put(t, filepath.Join(folder, "lib", "variant.json"), `{"name": "hello", "version": "1.0.0"}`)
	starts := func(runtime string) (sdk.Manifest, error) {
		c := newCLI(nil, io.Discard, io.Discard, func(string) string { return "" })
		c.config = filepath.Join(s.dir, "host.yaml")
		b, cleanup, err := c.specimen(folder, runtime)
		defer cleanup()
		require.NoError(t, err)
		x, err := supervisor.Examine(t.Context(), supervisor.Options{StartTimeout: time.Minute}, b, func(supervisor.RawLine) {})
		if err != nil {
			return sdk.Manifest{}, err
		}
		m, err := x.Describe(t.Context())
		require.NoError(t, errors.Join(err, x.Close()))
		return m, nil
	}
	for _, runtime := range []string{filepath.Join(s.dir, "plugins", "load"), ""} {
		m, err := starts(runtime)
		require.NoError(t, err)
		require.Equal(t, "hello", m.Name, "what its folder says, not the program alone")
	}
	put(t, filepath.Join(folder, "lib", "variant.json"), `{"name": "hello", "version": "2.0.0"}`)
	_, err := starts("")
	require.ErrorContains(t, err, `it says that it is version "2.0.0"`, "plugin.yaml says another")
}
