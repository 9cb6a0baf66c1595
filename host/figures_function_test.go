//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/runner"
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
	measureSaves(t, f)
}

// measureSaves takes the time from the save of a function's file until a call is answered
// by it, while calls come one after the other, of which none is lost.
func measureSaves(t *testing.T, f *figures) {
	t.Helper()
	s := functionSite(t, "dir")
	s.unfold("crm-folder", functionFolder("word 0"))
	h, stop := s.host(runner.Options{})
	calls := askAlways(t, s, h, "word 0")
	var took []float64
	for n := range 7 {
		took = append(took, micros(calls.save(t, s, fmt.Sprintf("word %d", n+1)))/1000)
	}
	require.Equal(t, "word 7", calls.end(t))
	stop()
	f.most("a function's save under trust: dir, until a call is answered by it, p50 of 7", median(took), 1000, "ms")
	f.plain("  the longest of them", fmt.Sprintf("%.0f ms", slices.Max(took)))
}
