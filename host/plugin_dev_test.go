package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each save is built, approved and taken over by the daemon; what does not compile is
// shown with its file and line, and what served goes on.
func TestPluginDevSwapsOnSave(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{})
	dir := cloned(t)
	s.cli("plugin", "new", "bell", "--kind", "operation", "--into", dir)
	daemon := s.start()
	defer daemon.stop(t)

	ctx, cancel := context.WithCancel(t.Context())
	var out, errs output
	ended := make(chan error, 1)
	source := filepath.Join(dir, "bell", "main.go")
	go func() {
		ended <- Run(ctx, []string{"-c", filepath.Join(s.dir, "host.yaml"), "plugin", "dev", filepath.Dir(source)}, &out, &errs)
	}()
	defer func() {
		cancel()
		require.Equal(t, exitInterrupted, exitCode(<-ended), errs.String())
	}()
	serves := func(version string) {
		t.Helper()
		require.Eventually(t, func() bool {
			text, err := s.try("plugin", "show", "bell", "-o", "json")
			var doc struct {
				Plugin struct{ Version, State string }
			}
			return err == nil && json.Unmarshal([]byte(text), &doc) == nil && doc.Plugin.Version == version && doc.Plugin.State == "serving"
		}, 2*time.Minute, 100*time.Millisecond, "%s\n%s", errs.String(), daemon.log.String())
	}
	serves("0.1.0")

	text, err := os.ReadFile(source)
	require.NoError(t, err)
	save := func(from, to string) {
		t.Helper()
		require.Contains(t, string(text), from)
		require.NoError(t, os.WriteFile(source, []byte(strings.ReplaceAll(string(text), from, to)), 0o600))
	}
	save(`Version: "0.1.0"`, `Version: "0.2.0"`)
	serves("0.2.0")

	save(`Version: "0.1.0"`, `Version: nothing`)
	require.Eventually(t, func() bool { return strings.Contains(errs.String(), "undefined: nothing") }, time.Minute, 100*time.Millisecond, errs.String())
	require.Regexp(t, `main\.go:\d+:\d+: undefined: nothing`, errs.String())
	serves("0.2.0")

	save(`Version: "0.1.0"`, `Version: "0.3.0"`)
	serves("0.3.0")
}
