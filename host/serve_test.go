package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/config"
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

// Whatever is found is run for development alone, where nobody else reaches the daemon.
//
// rows: K21
func TestTrustDirIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trust  config.Trust
		dev    bool
		listen string
		want   string
	}{
		"Lock":           {config.TrustLock, false, "0.0.0.0:7480", ""},
		"NotForDev":      {config.TrustDir, false, "127.0.0.1:7480", "dir runs whatever is found in ./plugins"},
		"ThisMachine":    {config.TrustDir, true, "127.0.0.1:7480", ""},
		"ThisMachineToo": {config.TrustDir, true, "[::1]:7480", ""},
		"ByName":         {config.TrustDir, true, "localhost:7480", ""},
		"NoListener":     {config.TrustDir, true, "", ""},
		"All":            {config.TrustDir, true, "0.0.0.0:7480", "listen: 0.0.0.0:7480 is reached from other machines"},
		"AllAddresses":   {config.TrustDir, true, ":7480", "is reached from other machines"},
		"OneOfThem":      {config.TrustDir, true, "192.0.2.7:7480", "is reached from other machines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Host{Listen: c.listen}
			cfg.Plugins.Trust, cfg.Plugins.Dir = c.trust, "./plugins"
			err := trusts("host.yaml", cfg, c.dev)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, exitUsage, exitCode(err))
			require.ErrorContains(t, err, c.want)
		})
	}
}
