package main

import (
	"encoding/json"
	"go/format"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/conformance"
)

// cloned returns a directory in a clone of this repository.
func cloned(t *testing.T) string {
	t.Helper()
	clone, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, name := range []string{"go.mod", "go.sum", "sdk", "proto"} {
		require.NoError(t, os.Symlink(filepath.Join(root, name), filepath.Join(clone, name)))
	}
	dir := filepath.Join(clone, "mine")
	require.NoError(t, os.Mkdir(dir, 0o700))
	return dir
}

// tool runs a command in dir.
func tool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
}

// rows: C58
//
// What plugin new writes is formatted, passes its tests, builds by its Makefile, and
// the program keeps the contract, with nothing touched.
func TestANewPluginWorks(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer t0p-s3cret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.FormValue("after") == "0":
			_, _ = w.Write([]byte(`[{"id":1,"name":"one"},{"id":2,"name":"two"}]`))
		default:
			_, _ = w.Write([]byte(`[]`))
		}
	}))
	t.Cleanup(service.Close)
	for kind, c := range map[string]struct{ settings, refused string }{
		"data":      {`{"api_url":"` + service.URL + `","token":"t0p-s3cret"}`, `{"api_url":"` + service.URL + `","token":"another"}`},
		"operation": {`{"greeting":"Hi","token":"t0p-s3cret"}`, ""},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir, s := cloned(t), newShell(t)
			require.Zero(t, s.run("plugin", "new", "my-weather", "--kind", kind, "--into", dir), s.stderr)
			made := filepath.Join(dir, "my-weather")
			require.Contains(t, s.stdout, "make test build")
			for _, name := range []string{"main.go", "main_test.go"} {
				text, err := os.ReadFile(filepath.Join(made, name))
				require.NoError(t, err)
				tidy, err := format.Source(text)
				require.NoError(t, err)
				require.Equal(t, string(tidy), string(text), name)
			}
			readme, err := os.ReadFile(filepath.Join(made, "README.md"))
			require.NoError(t, err)
			require.Contains(t, string(readme), "plugin: my-weather")
			tool(t, made, "go", "vet", ".")
			tool(t, made, "make", "test", "build")
			if kind == "operation" { // the other one needs a service
				bin, err := builds()
				require.NoError(t, err)
				tool(t, made, "make", "check", "JACKFIELD="+filepath.Join(bin, "jackfield"))
			}

			args := []string{"plugin", "test", filepath.Join(made, "bin", "my-weather"), "-o", "json", "--settings", write(t, c.settings)}
			if c.refused != "" {
				args = append(args, "--refused-settings", write(t, c.refused), "--remote-setting", "api_url", "--future", write(t, `{"items/all":"1000000"}`))
			}
			code := s.run(args...)
			var report conformance.Report
			require.NoError(t, json.Unmarshal([]byte(s.stdout), &report), s.stderr)
			require.Zero(t, code, s.stdout)
			require.Zero(t, report.Failed)
			require.Equal(t, "my-weather", report.Plugin)
			if kind == "data" {
				require.Zero(t, report.Skipped, s.stdout)
			}
			require.Equal(t, exitFailed, s.run("plugin", "test", filepath.Join(made, "bin", "my-weather"), "--settings", write(t, `{"token":7}`)))
			require.Contains(t, s.stdout, "settings: fail\n")
			require.Contains(t, s.stdout, "hint: ")
		})
	}
}

// A name that cannot be, and a directory that is there, change nothing.
func TestPluginNewRefuses(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newShell(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "taken"), []byte("mine"), 0o600))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"Upper":  {[]string{"Weather"}, exitUsage, `"Weather" is no plugin name`},
		"Path":   {[]string{"../weather"}, exitUsage, "is no plugin name"},
		"Dots":   {[]string{".."}, exitUsage, "is no plugin name"},
		"Kind":   {[]string{"weather", "--kind", "both"}, exitUsage, `no kind "both"`},
		"Exists": {[]string{"taken"}, exitFailed, "exists"},
		"Parent": {[]string{"weather", "--into", filepath.Join(dir, "none")}, exitEnvironment, "no such file"},
	} {
		args := append([]string{"plugin", "new", "--into", dir}, c.args...)
		require.Equal(t, c.code, s.run(args...), "%s: %s", name, s.stderr)
		require.Contains(t, s.stderr, c.want, name)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing is left behind")
	text, err := os.ReadFile(filepath.Join(dir, "taken"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))

	require.Zero(t, s.run("plugin", "new", "weather", "--into", dir), s.stderr)
	module, err := os.ReadFile(filepath.Join(dir, "weather", "go.mod"))
	require.NoError(t, err)
	require.NotContains(t, string(module), "replace", "outside of a clone")
	require.Contains(t, s.stdout, "go mod tidy")
}

// What plugin test is given has to be there.
func TestPluginTestRefuses(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newShell(t)
	file := write(t, `{}`)
	for want, args := range map[string][]string{
		"no such file":       {filepath.Join(dir, "none")},
		"no plugin.yaml":     {dir},
		"is no folder":       {file, "--runtime", file},
		"no JSON object":     {file, "--settings", write(t, `[]`)},
		"settings: open":     {file, "--settings", filepath.Join(dir, "none")},
		"missing FILE":       {},
		"program of its own": {packaged(t, dir, "a", "executables: {none_none: bin/x}"), "--runtime", file},
		"no site here":       {packaged(t, dir, "b", "runtime: js")},
		"runtime ":           {packaged(t, dir, "c", "runtime: js"), "--runtime", filepath.Join(dir, "none")},
	} {
		require.Equal(t, exitUsage, s.run(append([]string{"plugin", "test"}, args...)...), want)
		require.Contains(t, s.stderr, want)
	}
}

// packaged returns a folder with a package that says how it runs.
func packaged(t *testing.T, dir, name, how string) string {
	t.Helper()
	folder := filepath.Join(dir, name)
	require.NoError(t, os.Mkdir(folder, 0o700))
	put(t, filepath.Join(folder, "plugin.yaml"), "schema: 1\nname: hello\nversion: 1.0.0\n"+how+"\n")
	return folder
}

// write returns the path of a new file.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
