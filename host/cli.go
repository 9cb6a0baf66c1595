package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jackfield/jackfield/host/internal/config"
)

// cli is the command line: the streams it talks to and the flags that every
// command shares.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	goos           string // the system that it runs on

	config    string // path of host.yaml
	address   string // of the daemon; empty: found by config
	ca        string // file of who signed its certificate; empty: the system's
	output    string // table, json, jsonl or yaml
	quiet     bool
	noColor   bool
	timeout   time.Duration // of a call to the daemon
	logLevel  string        // trace, debug, info, warn or error
	logFormat string        // text or json

	named struct{ config, logLevel, logFormat bool } // said on the command line; the last two, or by their variables
}

func newCLI(stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) *cli {
	return &cli{stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv, goos: runtime.GOOS}
}

// run does what args ask for. It tells stderr what went wrong and returns it.
func (c *cli) run(ctx context.Context, args []string) error {
	root := c.rootCommand() //nolint:contextcheck // cobra hands ctx to the command
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && ctx.Err() != nil {
		err = &exitError{code: exitInterrupted, err: errInterrupted}
	}
	c.suggest(cmd, err)
	c.report(err)
	return err
}

func (c *cli) rootCommand() *cobra.Command {
	root := group("jackfield", "Load integrations as plugins and keep what they import")
	root.Long = `Jackfield loads integrations as plugins, runs them on a schedule, and keeps what they import.

"jackfield serve" is the daemon; the other commands talk to it through its socket.`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDefaultCmd = true
	c.addFlags(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return c.fromEnvironment(cmd.Flags()) }
	completeFlags(root)

	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "Start:"},
		&cobra.Group{ID: groupConfig, Title: "Configuration:"},
		&cobra.Group{ID: groupWork, Title: "Work:"},
	)
	root.SetHelpCommandGroupID(groupStart)
	add(root, groupStart, c.quickstartCommand(), c.initCommand(), c.serveCommand(), c.statusCommand(), c.topCommand(), c.doctorCommand(),
		c.versionCommand(), c.completionCommand())
	add(root, groupConfig, c.validateCommand(), c.schemaCommand(), c.diffCommand(), c.reloadCommand(), c.explainCommand())
	add(root, groupWork, c.pluginCommand(), c.tenantCommand(), c.integrationCommand(), c.runCommand(),
		c.streamCommand(), c.recordCommand(), c.memberCommand(), c.templateCommand(), c.endpointCommand(), c.hookCommand(), c.callCommand(), c.eventCommand(), c.tokenCommand(), c.authCommand(), c.databaseCommand())
	return root
}

// The sections of the root's help.
const (
	groupStart  = "start"
	groupConfig = "config"
	groupWork   = "work"
)

func add(parent *cobra.Command, id string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = id
		parent.AddCommand(cmd)
	}
}

func (c *cli) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&c.config, "config", "c", "host.yaml", "the daemon's configuration")
	f.StringVar(&c.address, "address", "", "the daemon's socket, https://HOST:PORT, or host:port of a tunnel to it (default: found by --config)")
	f.StringVar(&c.ca, "ca", "", "with --address https://...: file of who signed its certificate (default: the system's)")
	f.VarP(newEnum(&c.output, "table", "json", "jsonl", "yaml"), "output", "o", "how to print the result: table, json, jsonl or yaml")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "no progress on stderr")
	f.BoolVar(&c.noColor, "no-color", false, "no colors, on a terminal too")
	f.DurationVar(&c.timeout, "timeout", 30*time.Second, "for each call to the daemon")
	f.Var(newEnum(&c.logLevel, "info", "trace", "debug", "warn", "error"), "log-level", "trace, debug, info, warn or error")
	f.Var(newEnum(&c.logFormat, "text", "json"), "log-format", "text or json")
}

// fromEnvironment gives each shared flag that was not set the value of its
// variable: --log-level has JACKFIELD_LOG_LEVEL.
func (c *cli) fromEnvironment(flags *pflag.FlagSet) error {
	if c.getenv("NO_COLOR") != "" || c.getenv("TERM") == "dumb" {
		c.noColor = true
	}
	c.named.config = flags.Changed("config")
	for _, name := range []string{"config", "address", "ca", "output", "quiet", "no-color", "timeout", "log-level", "log-format"} {
		variable := "JACKFIELD_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		value := c.getenv(variable)
		if value == "" || flags.Changed(name) {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			hint, what := badValue(err)
			return usageError(fmt.Errorf("%s: %w", variable, what), hint)
		}
	}
	c.named.logLevel, c.named.logFormat = flags.Changed("log-level"), flags.Changed("log-format")
	return nil
}

// command returns a command line to type next, which means the same daemon as
// this one.
func (c *cli) command(line string) string {
	if !c.named.config {
		return "jackfield " + line
	}
	return "jackfield -c " + c.config + " " + line
}

// dataDir returns the data directory that host.yaml names. Errors in it do not
// matter here: a daemon may run with the last good one.
func (c *cli) dataDir() (string, error) {
	host, problems := config.LoadHost(c.config, config.Options{LookupEnv: c.lookupEnv})
	for _, p := range problems {
		if p.Code == config.CodeMissingFile && p.File == host.File {
			return "", environmentError(fmt.Errorf("there is no %s", c.config), p.Help)
		}
	}
	return host.Data, nil
}

// configPath returns the path of host.yaml as an absolute one.
func (c *cli) configPath() (string, error) {
	path, err := filepath.Abs(c.config)
	if err != nil {
		return "", environmentError(fmt.Errorf("find %s: %w", c.config, err), "")
	}
	return path, nil
}
