package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/discovery"
)

//go:embed scaffold
var scaffold embed.FS

// modulePath is that of this repository, where the SDK is.
const modulePath = "github.com/jackfield/jackfield"

func (c *cli) pluginNewCommand() *cobra.Command {
	var kind, into string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a plugin to begin with: it compiles and passes its tests",
		Long: `New makes the directory NAME with a plugin of that name in Go: settings, one connector
or one hook, tests, a Makefile and a README. It overwrites nothing.

With --kind function it is a folder in TypeScript, which the plugin js runs as it is:
plugin.yaml, function.ts, the types in jackfield.d.ts and a README.

Within a clone of Jackfield the plugin is built with that clone's SDK, and needs nothing
from the network. Elsewhere "go mod tidy" finds the SDK.`,
		Example: "  jackfield plugin new weather && cd weather && make test build\n  jackfield plugin new bell --kind operation\n  jackfield plugin new acme-crm --kind function",
		Args:    exactArgs("NAME"),
		RunE:    func(_ *cobra.Command, args []string) error { return c.newPlugin(into, args[0], kind) },
	}
	cmd.Flags().StringVar(&kind, "kind", "data", "data (imports records), operation (answers hooks) or function (answers hooks, in TypeScript)")
	cmd.Flags().StringVar(&into, "into", ".", "`directory` to make it in")
	return cmd
}

// scaffolded is what the files are made of.
type scaffolded struct {
	Name, Label, Jackfield string
	Settings               string // of a tenant file
	Sample                 string // the same as JSON, for plugin test
	Clone                  string // empty outside of one
}

// newPlugin writes the directory whole or not at all.
func (c *cli) newPlugin(into, name, kind string) error {
	if !slices.Contains([]string{"data", "operation", kindFunction}, kind) {
		return usageError(fmt.Errorf("there is no kind %q of plugins to begin with", kind), "--kind data, --kind operation or --kind function")
	}
	if !discovery.ValidName(name) {
		return usageError(fmt.Errorf("%.64q is no plugin name", name), "lower case letters and digits, then also . _ -: [a-z0-9][a-z0-9._-]{0,62}")
	}
	dir, err := filepath.Abs(filepath.Join(into, name))
	if err != nil {
		return environmentError(err, "")
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return failed(fmt.Errorf("%s exists", dir), "new overwrites nothing; choose another name or directory")
	}
	clone := cloneAround(filepath.Dir(dir))
	files, err := scaffoldFiles(about(name, kind, clone), kind)
	if err != nil {
		return failed(err, "")
	}
	if err := writeWhole(dir, files); err != nil {
		return environmentError(err, "")
	}
	next := "make test build"
	switch {
	case kind == kindFunction:
		next = "$EDITOR function.ts"
	case clone == "":
		next = "go mod tidy && " + next
	}
	_, err = fmt.Fprintf(c.stdout, "%s is a plugin now. Next: cd %s && %s\n", dir, filepath.Join(into, name), next)
	return err
}

func about(name, kind, clone string) scaffolded {
	label := strings.ToUpper(name[:1]) + name[1:]
	if len(label) < 3 { // what a label needs
		label += " plugin"
	}
	a := scaffolded{
		Name: name, Label: label, Clone: clone, Jackfield: "jackfield",
		Settings: `{api_url: "https://service.example", token: "${env:SERVICE_TOKEN}"}`,
		Sample:   `{"api_url": "http://127.0.0.1:8080", "token": "t0p-s3cret"}`,
	}
	if kind == "operation" {
		a.Settings, a.Sample = "{greeting: Hello}", `{"greeting": "Hello"}`
	}
	if clone != "" {
		a.Jackfield = filepath.Join(clone, "bin", "jackfield")
	}
	return a
}

// cloneAround returns the clone of this repository that dir is in, or nothing.
func cloneAround(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // a module file above the working directory
		if err == nil && bytes.HasPrefix(text, []byte("module "+modulePath+"\n")) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// kindFunction is a folder that the plugin js runs.
const kindFunction = "function"

// scaffoldFiles returns the texts of a new plugin's files.
func scaffoldFiles(a scaffolded, kind string) (map[string][]byte, error) {
	if kind == kindFunction {
		types, err := scaffold.ReadFile("scaffold/function/jackfield.d.ts")
		if err != nil {
			return nil, err
		}
		files, err := fillScaffold(a, map[string]string{
			"plugin.yaml": "function/plugin.yaml.tmpl", "function.ts": "function/function.ts.tmpl", "README.md": "function/README.md.tmpl",
		})
		if err != nil {
			return nil, err
		}
		files["jackfield.d.ts"] = types
		return files, nil
	}
	files, err := fillScaffold(a, map[string]string{
		"main.go": kind + "/main.go.tmpl", "main_test.go": kind + "/main_test.go.tmpl",
		"Makefile": "Makefile.tmpl", "README.md": "README.md.tmpl", ".gitignore": "gitignore.tmpl",
	})
	if err != nil {
		return nil, err
	}
	files["settings.json"] = []byte(a.Sample + "\n")
	return files, moduleFiles(a, files)
}

// fillScaffold returns texts by the name of the file to make, of templates.
func fillScaffold(a scaffolded, templates map[string]string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for to, from := range templates {
		t, err := template.ParseFS(scaffold, "scaffold/"+from)
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, a); err != nil {
			return nil, err
		}
		files[to] = text.Bytes()
	}
	return files, nil
}

// moduleFiles adds the files of the plugin's module. Those of a clone know already all
// that the SDK needs.
func moduleFiles(a scaffolded, files map[string][]byte) error {
	module := fmt.Sprintf("module example.com/%s\n\ngo 1.26.0\n", a.Name)
	if a.Clone == "" {
		files["go.mod"] = []byte(module)
		return nil
	}
	text, err := os.ReadFile(filepath.Join(a.Clone, "go.mod"))
	if err != nil {
		return fmt.Errorf("read the clone's go.mod: %w", err)
	}
	needs := regexp.MustCompile(`(?ms)^require \(.*?^\)\n`).FindAll(text, -1)
	module += fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %s\n\n%s", modulePath, modulePath, modFilePath(a.Clone), bytes.Join(needs, []byte("\n")))
	files["go.mod"] = []byte(module)
	if files["go.sum"], err = os.ReadFile(filepath.Join(a.Clone, "go.sum")); err != nil {
		return fmt.Errorf("read the clone's go.sum: %w", err)
	}
	return nil
}

// modFilePath quotes a path for go.mod where it needs that.
func modFilePath(path string) string {
	if strings.ContainsAny(path, " \t\"'`()[]{},") {
		return fmt.Sprintf("%q", path)
	}
	return path
}

// writeWhole writes a directory beside its place and moves it there.
func writeWhole(dir string, files map[string][]byte) (err error) {
	beside, err := os.MkdirTemp(filepath.Dir(dir), ".new-plugin-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(beside))
		}
	}()
	for name, text := range files {
		if err := writeNew(filepath.Join(beside, name), text); err != nil {
			return fmt.Errorf("write plugin: %w", err)
		}
	}
	if err := os.Chmod(beside, 0o750); err != nil { //nolint:gosec // a directory of sources
		return fmt.Errorf("write plugin: %w", err)
	}
	if err := os.Rename(beside, dir); err != nil {
		return fmt.Errorf("write plugin: %w", err)
	}
	return nil
}
