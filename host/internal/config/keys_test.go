package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: S01
func TestSigningKeysAreRead(t *testing.T) {
	t.Parallel()
	const key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3" // an example of a public key
	path := filepath.Join(t.TempDir(), "host.yaml")
	for text, want := range map[string]struct {
		code string
		line int
	}{
		"version: 1\nplugins:\n  trust: signed\n  keys: [" + key + "]\n":           {"", 0},
		"version: 1\nplugins:\n  trust: signed\n  keys: [" + key + ", nonsense]\n": {CodeBadValue, 4},
		"version: 1\nplugins:\n  trust: signed\n  keys: []\n":                      {CodeBadType, 4},
		"version: 1\nplugins:\n  trust: signed\n  keys: " + key + "\n":             {CodeBadType, 4},
		"version: 1\nplugins:\n  trust: signed\n":                                  {CodeMissingKey, 3},
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		host, problems := LoadHost(path, Options{})
		if want.code == "" {
			require.Empty(t, problems)
			require.Equal(t, TrustSigned, host.Plugins.Trust)
			require.Equal(t, []string{key}, host.Plugins.Keys)
			continue
		}
		require.Len(t, problems, 1, text)
		require.Equal(t, want.code, problems[0].Code, text)
		require.Equal(t, want.line, problems[0].Line, text)
		require.NotZero(t, problems[0].Col, text)
	}
}
