package main

import (
	"debug/buildinfo"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// built returns a folder with one program, which was built as a release is.
func built(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "plugins")+"/", "../../examples/hello")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// change overwrites a file by what fn makes of it.
func change(t *testing.T, path string, fn func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, fn(raw), 0o600))
}

func flip(raw []byte) []byte {
	raw[len(raw)/2] ^= 1
	return raw
}

// What is in a program is listed with the sums of go.sum and with licenses, the same each
// time; and whoever changes a bit, adds a file or takes one away is found out.
//
// rows: S01
func TestReleaseIsListedAndChecked(t *testing.T) {
	t.Parallel()
	dir := built(t)
	program := filepath.Join(dir, "plugins", "hello")
	require.NoError(t, run([]string{"write", dir}, io.Discard))
	require.NoError(t, run([]string{"check", dir}, io.Discard))

	raw, err := os.ReadFile(program + listEnding)
	require.NoError(t, err)
	var doc document
	require.NoError(t, json.Unmarshal(raw, &doc))
	require.Equal(t, []string{"CycloneDX", "1.6"}, []string{doc.Format, doc.Spec})
	require.Regexp(t, `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, doc.Serial)
	info, err := buildinfo.ReadFile(program)
	require.NoError(t, err)
	require.Len(t, doc.Components, len(info.Deps)+1, "and the standard library")
	require.Len(t, doc.Dependencies[0].DependsOn, len(doc.Components))
	sums, err := os.ReadFile("../../go.sum")
	require.NoError(t, err)
	seen := map[string]component{}
	for _, c := range doc.Components {
		require.NotEmpty(t, c.Licenses, "of %s: a text that is not known yet", c.Name)
		seen[c.Name] = c
		if c.Name != "std" {
			require.Contains(t, string(sums), c.Name+" "+c.Version+" "+c.Properties[0].Value+"\n")
		}
	}
	require.Equal(t, []licensed{{license{"MPL-2.0"}}}, seen["github.com/hashicorp/go-plugin"].Licenses)
	require.Equal(t, []licensed{{license{"BSD-3-Clause"}}}, seen["std"].Licenses)

	require.NoError(t, run([]string{"write", dir}, io.Discard))
	again, err := os.ReadFile(program + listEnding)
	require.NoError(t, err)
	require.Equal(t, string(raw), string(again))

	refused := func(name string, undo func([]byte) []byte, want string) {
		t.Helper()
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		change(t, path, undo)
		require.ErrorContains(t, run([]string{"check", dir}, io.Discard), want)
		require.NoError(t, os.WriteFile(path, before, 0o600))
		require.NoError(t, run([]string{"check", dir}, io.Discard))
	}
	refused("plugins/hello", flip, "plugins/hello: it is ")
	refused("plugins/hello"+listEnding, flip, "plugins/hello"+listEnding+": it is ")
	refused(sumsFile, func(raw []byte) []byte { raw[0] ^= 1; return raw }, "plugins/hello: it is ")
	refused(sumsFile, func([]byte) []byte { return nil }, "plugins/hello: SHA256SUMS says nothing of it")
	refused(sumsFile, func([]byte) []byte { return []byte("00  ../../outside\n") }, "is no sum")
	other := filepath.Join(dir, "plugins", "other")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	require.ErrorContains(t, run([]string{"check", dir}, io.Discard), "plugins/other: SHA256SUMS says nothing of it")
	require.NoError(t, os.Rename(program, other))
	require.ErrorContains(t, run([]string{"check", dir}, io.Discard), "hello: no such file")
}

// A list that was made of another program, and has the right sum, is none of this one.
//
// rows: S01
func TestListIsThatOfItsProgram(t *testing.T) {
	t.Parallel()
	dir := built(t)
	require.NoError(t, run([]string{"write", dir}, io.Discard))
	list := filepath.Join(dir, "plugins", "hello"+listEnding)
	for name, c := range map[string]struct{ old, by, want string }{
		"Program": {`"alg": "SHA-256",` + "\n          \"content\": \"", `"alg": "SHA-256",` + "\n          \"content\": \"0", "the list of another program"},
		"Module":  {`"purl": "pkg:golang/google.golang.org/grpc@v1.`, `"purl": "pkg:golang/google.golang.org/grpc@v0.`, "does not name the modules"},
	} {
		before, err := os.ReadFile(list)
		require.NoError(t, err)
		changed := strings.Replace(string(before), c.old, c.by, 1)
		require.NotEqual(t, string(before), changed, name)
		require.NoError(t, os.WriteFile(list, []byte(changed), 0o600))
		require.ErrorContains(t, listFits(dir, "plugins/hello"), c.want, name)
		require.NoError(t, os.WriteFile(list, before, 0o600))
	}
	require.NoError(t, listFits(dir, "plugins/hello"))
}

// Two builds that differ in a bit, or in their files, are not the same, and none may tell
// where it was made.
//
// rows: S01
func TestBuildsAreComparedByteByByte(t *testing.T) {
	t.Parallel()
	a, b := t.TempDir(), t.TempDir()
	require.Error(t, run([]string{"same", a, b}, io.Discard), "nothing is not the same as nothing")
	for _, dir := range []string{a, b} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte("a program made at /home/ann/x"), 0o600))
	}
	require.NoError(t, run([]string{"same", a, b, "/home/bob"}, io.Discard))
	require.ErrorContains(t, run([]string{"same", a, b, "/home/ann"}, io.Discard), "x: it tells that it was built at /home/ann")
	change(t, filepath.Join(b, "x"), flip)
	require.ErrorContains(t, run([]string{"same", a, b}, io.Discard), "x: built twice from the same sources, it differs")
	require.NoError(t, os.Rename(filepath.Join(b, "x"), filepath.Join(b, "y")))
	require.Error(t, run([]string{"same", a, b}, io.Discard))
}
