package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/conformance"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/host/internal/supervisor"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// conformFlags are those of plugin test.
type conformFlags struct {
	settings, bad, refused, future string // files
	connectors                     []string
	remote                         string
	runtime                        string
}

func (c *cli) pluginTestCommand() *cobra.Command {
	var f conformFlags
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Hold a plugin's program or package against the contract of plugins",
		Long: `Test starts a program as the daemon does, works with it, kills it in the middle of a
call, lets it believe that its host is gone, and says of each rule of the contract
whether it is kept. It needs no daemon, no host.yaml and no approval: who tests a
program consents to run it. FILE may be a package: a folder with plugin.yaml. One that
another plugin runs needs that plugin's program, with --runtime or approved in the site
of --config.

What the plugin talks to has to be there, and to answer the same each time: name it in
the settings. Rules for which there is nothing to look at are skipped, with the reason.
It exits with 1 when a rule is broken.`,
		Example: `  jackfield plugin test ./weather --settings settings.json
  jackfield plugin test ./weather --settings settings.json --remote-setting api_url -o json
  jackfield plugin test ./greeting --runtime ./js`,
		Args: exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.conform(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.settings, "settings", "", "`file` of settings that work, in JSON")
	flags.StringVar(&f.bad, "bad-settings", "", "`file` of settings that the plugin must refuse, besides those that follow from its schema")
	flags.StringVar(&f.refused, "refused-settings", "", "`file` of settings that the remote system refuses, such as a wrong password")
	flags.StringVar(&f.future, "future", "", "`file` of cursors after which there is nothing: a JSON object by connector/partition")
	flags.StringSliceVar(&f.connectors, "connector", nil, "to test; all if not given")
	flags.StringVar(&f.remote, "remote-setting", "", "`name` of the setting that holds the remote system's address")
	flags.StringVar(&f.runtime, "runtime", "", "`program` of the plugin that runs the folder; the approved one if not given")
	return cmd
}

func (c *cli) conform(ctx context.Context, path string, f conformFlags) error {
	if err := supervisor.Supported(); err != nil {
		return environmentError(err, "")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return environmentError(err, "")
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	tested, cleanup, err := c.specimen(path, f.runtime)
	defer cleanup()
	if err != nil {
		return err
	}
	opts.Start = func(ctx context.Context, lines func(conformance.Line)) (conformance.Process, error) {
		x, err := supervisor.Examine(ctx, supervisor.Options{Inspect: discovery.Inspect, Accept: acceptManifest}, tested,
			func(l supervisor.RawLine) { lines(conformance.Line(l)) })
		if err != nil {
			return nil, err // no nil process in an interface
		}
		return x, nil
	}
	opts.Reopen = func(err error) bool { return errors.Is(err, plugin.ErrReopen) }
	report, err := conformance.Test(ctx, opts)
	if err != nil {
		return failed(err, "")
	}
	if err := c.printReport(report); err != nil {
		return err
	}
	if report.Failed > 0 {
		return silent(exitFailed)
	}
	return nil
}

// options reads the files.
func (f conformFlags) options() (conformance.Options, error) {
	opts := conformance.Options{Connectors: f.connectors, RemoteSetting: f.remote}
	var err error
	if opts.Settings, err = settingsFile(f.settings); err != nil {
		return opts, err
	}
	if opts.BadSettings, err = settingsFile(f.bad); err != nil {
		return opts, err
	}
	if opts.Refused, err = settingsFile(f.refused); err != nil {
		return opts, err
	}
	raw, err := settingsFile(f.future)
	if err != nil || raw == nil {
		return opts, err
	}
	var cursors map[string]json.RawMessage
	if err := json.Unmarshal(raw, &cursors); err != nil {
		return opts, usageError(fmt.Errorf("read %s: %w", f.future, err), "")
	}
	opts.Future = map[string][]byte{}
	for name, cursor := range cursors {
		opts.Future[name] = cursor
		var text string
		if json.Unmarshal(cursor, &text) == nil {
			opts.Future[name] = []byte(text) // a cursor that is no JSON
		}
	}
	return opts, nil
}

// settingsFile reads a JSON object; nil if no file is named.
func settingsFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, usageError(fmt.Errorf("settings: %w", err), "")
	}
	defer f.Close() //nolint:errcheck // read only
	const most = 1 << 20
	raw, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, usageError(fmt.Errorf("read %s: %w", path, err), "")
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return nil, usageError(fmt.Errorf("%s holds no JSON object of at most 1 MiB", path), `such as {"name": "world"}`)
	}
	return bytes.TrimSpace(raw), nil
}

// printReport prints a line a rule, and why one is broken below it.
func (c *cli) printReport(r conformance.Report) error {
	switch c.output {
	case "table":
	case "jsonl":
		for _, check := range r.Checks {
			if err := c.printValue(check); err != nil {
				return err
			}
		}
		return nil
	default:
		return c.printValue(r)
	}
	return c.printTable(func(t *table) {
		t.head("CHECK", "VERDICT", "RULE")
		for _, check := range r.Checks {
			t.row(check.Name, string(check.Verdict), check.What)
		}
		for _, check := range r.Checks {
			if check.Verdict == conformance.Pass {
				continue
			}
			t.section(fmt.Sprintf("%s: %s", check.Name, check.Verdict))
			for _, reason := range check.Reasons {
				t.line("  " + reason)
			}
			if check.Hint != "" {
				t.line("  hint: " + check.Hint)
			}
		}
		t.section(fmt.Sprintf("%s %s: %d passed, %d failed, %d skipped", orElse(r.Plugin, "plugin"), r.Version, r.Passed, r.Failed, r.Skipped))
	})
}
