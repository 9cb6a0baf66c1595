package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// FuzzTenantFile reads anything as a tenant file: it ends, tells its problems at
// places that exist, and shows no secret that it was given by reference.
func FuzzTenantFile(f *testing.F) {
	cases, err := filepath.Glob("testdata/*.txtar")
	require.NoError(f, err)
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		require.NoError(f, err)
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".yaml") {
				f.Add(strings.ReplaceAll(string(file.Data), canary, "public"))
			}
		}
	}
	dir := f.TempDir()
	require.NoError(f, os.WriteFile(filepath.Join(dir, "token"), []byte(canary), 0o600))
	path := filepath.Join(dir, "tenant.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, canary) {
			return
		}
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		file, problems := LoadTenantFile(path, Defaults{}, nil, testOptions())
		require.Equal(t, !problems.Failed(), file.Good, "%v", problems)
		require.NotContains(t, problems.Error(), canary)
		lines := len(readSource(path, nil).lines()) + 1
		for _, p := range problems {
			require.LessOrEqual(t, p.Line, lines)
			require.NotContains(t, p.Source, "\x1b")
		}
		if !file.Good {
			return
		}
		for _, in := range file.Integrations {
			require.True(t, sdk.ValidName(in.Spec.Name), in.Spec.Name)
			require.True(t, sdk.ValidName(in.Spec.Plugin), in.Spec.Plugin)
			require.True(t, strings.HasPrefix(in.Settings.Reveal("test"), "{"))
		}
	})
}
