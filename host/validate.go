package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
)

func (c *cli) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [PATH...]",
		Short: "Check configuration files",
		Long: `Validate reads configuration files as the daemon does and tells everything that is
wrong at once. A PATH is a host.yaml, a directory with one, or the file of a tenant or template;
without any it is the configuration that --config names, with all its templates and
tenants.

Settings are checked against the schemas of approved plugins; plugins that could
not be checked are named. It needs no daemon and connects to nothing. It exits
with 2 if there is an error.`,
		Example: "  jackfield validate\n  jackfield validate tenants/acme.yaml\n  jackfield validate -o json",
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := c.validate(args)
			if err != nil {
				return err
			}
			if err := c.printVerdict(v); err != nil {
				return err
			}
			if !v.OK {
				return silent(exitUsage)
			}
			return nil
		},
	}
}

// verdict is what validate found.
type verdict struct {
	OK           bool            `json:"ok"` // no error; warnings may be
	Files        []string        `json:"files"`
	Integrations int             `json:"integrations"`
	Unchecked    []string        `json:"unchecked_plugins"` // without an approved manifest
	Problems     config.Problems `json:"problems"`
}

func (c *cli) validate(paths []string) (verdict, error) {
	if len(paths) == 0 {
		paths = []string{c.config}
	}
	v := verdict{Files: []string{}, Unchecked: []string{}, Problems: config.Problems{}}
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == c.config:
			return v, environmentError(fmt.Errorf("there is no %s", path), "jackfield init makes one; -c names another place")
		case errors.Is(err, fs.ErrNotExist):
			return v, usageError(fmt.Errorf("there is no %s", path), "")
		case err != nil:
			return v, usageError(fmt.Errorf("validate %s: %w", path, err), "")
		case info.IsDir():
			v.addHost(filepath.Join(path, "host.yaml"), c)
		case config.DeclaresTemplate(path):
			v.addTemplate(path, c)
		case config.DeclaresTenant(path):
			v.addTenant(path, c)
		default:
			v.addHost(path, c)
		}
	}
	slices.Sort(v.Unchecked)
	v.Unchecked = slices.Compact(v.Unchecked)
	v.OK = !v.Problems.Failed()
	for i := range v.Problems {
		v.Problems[i].File = relative(v.Problems[i].File)
	}
	return v, nil
}

// addHost checks a host.yaml with all its tenants.
func (v *verdict) addHost(path string, c *cli) {
	host, _ := config.LoadHost(path, config.Options{LookupEnv: c.lookupEnv})
	snap := config.Load(path, c.configOptions(host))
	v.Files = append(v.Files, relative(snap.Host.File))
	v.Problems = append(v.Problems, snap.Problems...)
	for _, f := range snap.Templates {
		v.Files = append(v.Files, relative(f.Path))
	}
	for _, f := range snap.Files {
		v.addFile(f)
	}
}

// addTemplate checks a template's file.
func (v *verdict) addTemplate(path string, c *cli) {
	f, problems := config.LoadTemplateFile(path, c.configOptions(config.Default(path)))
	v.Files = append(v.Files, relative(f.Path))
	v.Problems = append(v.Problems, problems...)
}

// addTenant checks a tenant's file, with the plugins and defaults of --config if
// there is one.
func (v *verdict) addTenant(path string, c *cli) {
	host, _ := config.LoadHost(c.config, config.Options{LookupEnv: c.lookupEnv})
	opts := c.configOptions(host)
	templates, _ := config.LoadTemplates(host.Templates, opts)
	f, problems := config.LoadTenantFile(path, host.Defaults, templates, opts)
	v.Problems = append(v.Problems, problems...)
	v.addFile(f)
}

func (v *verdict) addFile(f config.TenantFile) {
	v.Files = append(v.Files, relative(f.Path))
	v.Integrations += len(f.Integrations)
	for _, in := range f.Integrations {
		if !in.Checked && in.Spec.Plugin != "" {
			v.Unchecked = append(v.Unchecked, in.Spec.Plugin)
		}
	}
}

// configOptions reads configuration with the manifests that approve kept.
func (c *cli) configOptions(host config.Host) config.Options {
	return templateOptions(endpoint.NewCompiler(), config.Options{LookupEnv: c.lookupEnv, Plugins: func(name string) (sdk.Manifest, bool) {
		return keptManifest(host.LockFile(), host.Data, name)
	}})
}

func (c *cli) printVerdict(v verdict) error {
	if c.output != "table" {
		return c.printValue(v)
	}
	if err := v.Problems.Render(c.stdout, !c.noColor && isTerminal(c.stdout)); err != nil {
		return err
	}
	if len(v.Problems) > 0 {
		if _, err := fmt.Fprintln(c.stdout); err != nil {
			return err
		}
	}
	word := "ok"
	if !v.OK {
		word = "not ok"
	}
	errs := len(v.Problems.Only(config.SeverityError))
	_, err := fmt.Fprintf(c.stdout, "%s: %s, %s, %s, %s\n", word, counted(len(v.Files), "file"), counted(v.Integrations, "integration"),
		counted(errs, "error"), counted(len(v.Problems)-errs, "warning"))
	return err
}

// counted writes a number with what is counted.
func counted[N int | int64 | uint32](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(int64(n)) + " " + noun + "s"
}

// relative returns path as seen from the working directory, if it is below.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
