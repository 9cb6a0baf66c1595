package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
)

func (c *cli) pluginLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint PATH...",
		Short: "Check packages of plugins before anybody gets them",
		Long: `Lint looks at a program, a folder or a .tar.gz as a host does that finds it, and tells
everything that is wrong at once, by file, line and column: the keys of plugin.yaml and
what they say, the settings that it declares, SHA256SUMS and the files that it lists,
the programs and whether they are for the systems that they are named for, the .sha256
beside a program. It starts nothing, connects to nothing and needs no daemon; "plugin
test" tries what a plugin does. It exits with 2 if something is wrong.`,
		Example: "  jackfield plugin lint ./slack\n  jackfield plugin lint dist/slack-1.4.2.tar.gz -o json",
		Args:    someArgs("PATH"),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lintAll(args)
			if err != nil {
				return err
			}
			if err := c.printLint(l); err != nil {
				return err
			}
			if !l.OK {
				return silent(exitUsage)
			}
			return nil
		},
	}
}

// linted is what lint found.
type linted struct {
	OK       bool            `json:"ok"`
	Paths    []string        `json:"paths"`
	Problems config.Problems `json:"problems"`
}

func lintAll(paths []string) (linted, error) {
	l := linted{OK: true, Paths: paths, Problems: config.Problems{}}
	scratch, err := os.MkdirTemp("", "jackfield-lint-")
	if err != nil {
		return l, environmentError(err, "")
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	for _, path := range paths {
		full, err := filepath.Abs(path)
		if err != nil {
			return l, environmentError(err, "")
		}
		found, err := discovery.Lint(scratch, readBuild().release(), full)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return l, usageError(fmt.Errorf("there is no %s", path), "")
		case err != nil:
			return l, environmentError(fmt.Errorf("lint %s: %w", path, err), "")
		}
		for _, f := range found {
			l.OK = false
			l.Problems = append(l.Problems, problemOf(path, f))
		}
	}
	return l, nil
}

// problemOf is a finding as validate tells it.
func problemOf(path string, f discovery.Finding) config.Problem {
	file := path
	if f.File != "" {
		file = filepath.Join(path, filepath.FromSlash(f.File)) // of an archive too: where it is inside
	}
	return config.Problem{
		Severity: config.SeverityError, Code: string(f.Code), Message: f.Text, File: file,
		Line: f.Line, Col: f.Col, Source: f.Source, Caret: f.Col, Help: f.Hint,
	}
}

func (c *cli) printLint(l linted) error {
	if c.output != "table" {
		return c.printValue(l)
	}
	if err := l.Problems.Render(c.stdout, !c.noColor && isTerminal(c.stdout)); err != nil {
		return err
	}
	word := "ok"
	if !l.OK {
		word = "not ok"
		if _, err := fmt.Fprintln(c.stdout); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.stdout, "%s: %s, %s\n", word, counted(len(l.Paths), "package"), counted(len(l.Problems), "error"))
	return err
}
