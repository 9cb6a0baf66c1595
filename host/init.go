package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
)

//go:embed initial
var initial embed.FS

func (c *cli) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a first configuration",
		Long: `Init writes host.yaml, a tenant's file with examples in comments, the schema that
editors check them by, and an empty plugin directory. It overwrites nothing.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(fmt.Errorf("%s: unexpected argument %q", cmd.CommandPath(), args[1]), usageHint(cmd))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return c.writeInitial(dir)
		},
	}
}

// initialFile is a file that init writes.
type initialFile struct {
	path string
	text []byte
}

// writeInitial writes a first configuration into dir, all of it or, if one of the
// files exists already, nothing.
func (c *cli) writeInitial(dir string) error {
	files, err := initialFiles(dir)
	if err != nil {
		return failed(err, "")
	}
	ignores := filepath.Join(dir, ".gitignore")
	if _, err := os.Lstat(ignores); err == nil { // a repository's own
		files = slices.DeleteFunc(files, func(f initialFile) bool { return f.path == ignores })
		c.tell("kept %s; it should name what init would: /data/ /jackfield.key /plugins/", ignores)
	}
	for _, f := range files {
		if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
			return failed(fmt.Errorf("%s exists", f.path), "init overwrites nothing; name another directory")
		}
	}
	for _, d := range []string{dir, filepath.Join(dir, "tenants"), filepath.Join(dir, "plugins")} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return environmentError(fmt.Errorf("make directory: %w", err), "")
		}
	}
	for _, f := range files {
		if err := writeNew(f.path, f.text); err != nil {
			return environmentError(fmt.Errorf("write configuration: %w", err), "")
		}
		c.tell("wrote %s", f.path)
	}
	host := filepath.Join(dir, "host.yaml")
	at := ""
	if dir != "." {
		at = " -c " + host
	}
	_, err = fmt.Fprintf(c.stdout, `%s is ready. Next:
  1. put a plugin into %s and consent to run it: jackfield plugin approve%s NAME
  2. declare an integration in %s
  3. jackfield validate%s
  4. jackfield serve%s
`, host, filepath.Join(dir, "plugins"), at, filepath.Join(dir, "tenants", "example.yaml"), at, at)
	return err
}

func initialFiles(dir string) ([]initialFile, error) {
	var files []initialFile
	for from, to := range map[string]string{
		"host.yaml": "host.yaml", "tenants/example.yaml": "tenants/example.yaml", "gitignore": ".gitignore",
	} {
		text, err := initial.ReadFile("initial/" + from)
		if err != nil {
			return nil, err
		}
		files = append(files, initialFile{filepath.Join(dir, filepath.FromSlash(to)), text})
	}
	schema, err := config.Schema(nil)
	if err != nil {
		return nil, err
	}
	files = append(files, initialFile{filepath.Join(dir, config.SchemaFile), append(bytes.TrimSpace(schema), '\n')})
	slices.SortFunc(files, func(a, b initialFile) int { return strings.Compare(a.path, b.path) })
	return files, nil
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the directory is the user's own choice
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
