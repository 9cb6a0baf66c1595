//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/supervisor"
)

// measureFunctions compares the call of a hook in TypeScript with that of one in Go
// which does the same, over the wire: each returns the object that it is given.
func measureFunctions(t *testing.T, f *figures) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plugin.yaml": "schema: 1\nname: echo\nversion: 1.0.0\nruntime: js\n",
		"function.ts": "export async function getDataIframe(call: object): Promise<object> { return call; }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	function := supervisor.Binary{Name: "echo", Path: filepath.Join(buildJS(t), "js"), Folder: dir}
	payload := []byte(`{"note":"` + strings.Repeat("x", 1000) + `"}`)
	var calls, starts, ratios []float64
	for range figuresRounds {
		_, plain := hookCalls(t, payload)
		start, call := hookCallsOf(t, function, "getDataIframe", payload)
		calls, starts, ratios = append(calls, micros(call)), append(starts, micros(start)/1000), append(ratios, micros(call)/micros(plain))
	}
	f.times("hook in TypeScript, over the wire, against the same in Go", median(ratios), 2)
	f.plain("  a call of it, in a world of its own, median", fmt.Sprintf("%.0f µs", median(calls)))
	f.plain("  start of a folder to its first answer", fmt.Sprintf("%.0f ms", median(starts)))
}
