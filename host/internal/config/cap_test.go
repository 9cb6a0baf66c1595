package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: I11, E05
//
// A file of the configuration that is at a cap is taken; by one more it is refused
// with the cap in the text, and never costs more than the cap.
func TestI11WhatPassesACapOfTheConfigurationHasAName(t *testing.T) {
	t.Parallel()
	settings := func(text string) string {
		return "tenant: a\nintegrations:\n  - name: a\n    plugin: free\n    settings: " + text + "\n"
	}
	for name, c := range map[string]struct {
		at   int
		text func(n int) string
		want string
	}{
		"maxFile": {maxFile, func(n int) string {
			text := "tenant: a\n#"
			return text + strings.Repeat("x", n-len(text))
		}, "larger than 1 MiB"},
		"maxDepth": {maxDepth - 2, func(n int) string {
			return settings("{x: " + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}")
		}, "nested deeper than 32 levels"},
		"maxAliases": {maxAliases, func(n int) string {
			return settings("{x: &x 1, y: [" + strings.TrimSuffix(strings.Repeat("*x, ", n), ", ") + "]}")
		}, "the file has 201 aliases; 200 are allowed"},
		"maxEvery": {maxEvery, func(n int) string {
			return fmt.Sprintf("tenant: a\nintegrations:\n  - name: a\n    plugin: free\n    every: %d\n", n)
		}, "every: not a number of ticks"},
		"maxConcurrency": {maxConcurrency, func(n int) string {
			return fmt.Sprintf("tenant: a\nintegrations:\n  - name: a\n    plugin: free\n    concurrency: %d\n", n)
		}, "1024"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			load := func(n int) Problems {
				dir := t.TempDir()
				host := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
				write(t, filepath.Join(dir, "tenants/a.yaml"), c.text(n))
				return Load(host, Options{}).Problems
			}
			require.False(t, load(c.at).Failed(), "%v", load(c.at))
			over := load(c.at + 1)
			require.True(t, over.Failed())
			require.ErrorContains(t, over.Err(), c.want)
		})
	}
	t.Run("maxNodes", func(t *testing.T) { // a few lines that stand for a billion values
		t.Parallel()
		text := "{a: &a [1,1,1,1,1,1,1,1,1,1]"
		for level := 'b'; level < 'j'; level++ {
			above := string(level - 1)
			text += fmt.Sprintf(", %c: &%c [%s]", level, level, strings.TrimSuffix(strings.Repeat("*"+above+",", 10), ","))
		}
		dir := t.TempDir()
		host := write(t, filepath.Join(dir, "host.yaml"), "version: 1\n")
		write(t, filepath.Join(dir, "tenants/a.yaml"), settings(text+"}"))
		problems := Load(host, Options{}).Problems
		require.Equal(t, []string{CodeTooLarge}, codes(problems))
		require.ErrorContains(t, problems.Err(), "more than 50000 values")
	})
}
