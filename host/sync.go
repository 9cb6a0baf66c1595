package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) syncCommand() *cobra.Command {
	req := &hostv1.SyncIntegrationRequest{}
	var (
		wait   bool
		plugin string
	)
	cmd := &cobra.Command{
		Use:   "sync INTEGRATION... [KEY=VALUE...]",
		Short: "Start a run now",
		Long: `Start a run of each integration now, or tell which one runs already.

A run with --onboarding, --connector, --force or parameters is one of its own: it goes in between
and what runs already goes on afterwards, unless --replace cancels that.`,
		Example: `  jackfield integration sync acme/history --wait
  jackfield integration sync acme/history,acme/team-slack --onboarding
  jackfield integration sync --plugin slack
  jackfield integration sync acme/team-slack --connector channels channel=C012`,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, params := splitArgs(args)
			switch {
			case plugin != "" && len(names) > 0:
				return usageError(fmt.Errorf("%s: names and --plugin exclude each other", cmd.CommandPath()), "")
			case plugin == "" && len(names) == 0:
				_, _ = fmt.Fprintln(c.stderr, cmd.UsageString())
				return usageError(fmt.Errorf("%s: missing INTEGRATION", cmd.CommandPath()), "jackfield integration list")
			}
			req.Params = params
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				if plugin != "" {
					var err error
					if names, err = c.ofPlugin(ctx, d, plugin); err != nil {
						return err
					}
				}
				return c.sync(ctx, d, names, req, wait)
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	f := cmd.Flags()
	f.StringVar(&plugin, "plugin", "", "all integrations of this plugin that can run")
	f.BoolVar(&req.Onboarding, "onboarding", false, "read everything again, as the first run did")
	f.StringSliceVar(&req.Connectors, "connector", nil, "only these connectors")
	f.BoolVar(&req.Force, "force", false, "ignore the cursors, and replace them on success")
	f.BoolVar(&req.AcceptDeletes, "accept-deletes", false, "with --force: delete what is gone at the remote system, whatever its share")
	f.BoolVar(&req.Replace, "replace", false, "cancel the integration's open runs")
	f.BoolVarP(&wait, "wait", "w", false, "wait for the end; exit with 1 if it is not a good one")
	return cmd
}

// ofPlugin returns the integrations of a plugin that can run.
func (c *cli) ofPlugin(ctx context.Context, d *daemon, plugin string) (names []string, err error) {
	req := &hostv1.ListIntegrationsRequest{Plugin: plugin, PageSize: 1000}
	for {
		resp, err := hostv1.NewIntegrationServiceClient(d).ListIntegrations(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, i := range resp.GetIntegrations() {
			switch i.GetState() {
			case "active", "error", "needs-reconnect":
				names = append(names, i.GetId())
			default:
				c.tell("%s: left out, it is %s", i.GetId(), i.GetState())
			}
		}
		if req.PageToken = resp.GetNext(); resp.GetNext() != "" {
			continue
		}
		if len(names) == 0 {
			return nil, &exitError{code: exitFailed, err: fmt.Errorf("no integration of plugin %q can run", plugin), hint: c.command("integration list")}
		}
		return names, nil
	}
}

// splitArgs tells names, which may be joined by commas, from parameters.
func splitArgs(args []string) (names []string, params map[string]string) {
	params = map[string]string{}
	for _, arg := range args {
		if key, value, ok := strings.Cut(arg, "="); ok {
			params[key] = value
			continue
		}
		for name := range strings.SplitSeq(arg, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names, params
}

func (c *cli) sync(ctx context.Context, d *daemon, names []string, req *hostv1.SyncIntegrationRequest, wait bool) error {
	api := hostv1.NewIntegrationServiceClient(d)
	if len(names) > 1 { // none is started when one of the names is wrong
		for _, name := range names {
			if _, err := api.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: name}); err != nil {
				return err
			}
		}
	}
	started := make([]*hostv1.SyncIntegrationResponse, 0, len(names))
	for _, name := range names {
		req.Integration = name
		resp, err := api.SyncIntegration(ctx, req)
		if err != nil {
			return err
		}
		started = append(started, resp)
		if !resp.GetCreated() {
			c.tell("%s: run %s is open already (%s); nothing was added", resp.GetIntegration(), resp.GetRun().GetId(), resp.GetRun().GetState())
		}
	}
	good := true
	if wait {
		for _, resp := range started {
			run, err := c.watch(ctx, d, resp.GetRun().GetId(), nil)
			if err != nil {
				return err
			}
			resp.Run = run
			good = good && run.GetState() == "processed"
		}
	}
	if err := c.printSyncs(started, wait); err != nil {
		return err
	}
	if !good {
		return silent(exitFailed)
	}
	return nil
}

// printSyncs writes one document: the answer itself, or for several
// integrations a list of them.
func (c *cli) printSyncs(started []*hostv1.SyncIntegrationResponse, waited bool) error {
	switch {
	case c.output == "table":
		return c.printTable(func(t *table) {
			for _, resp := range started {
				syncLine(t, resp, waited)
			}
		})
	case c.output == "jsonl":
		for _, resp := range started {
			if err := c.printValue(document(resp)); err != nil {
				return err
			}
		}
		return nil
	case len(started) == 1:
		return c.printValue(document(started[0]))
	default:
		list := make([]any, len(started))
		for i, resp := range started {
			list[i] = document(resp)
		}
		return c.printValue(object{{"syncs", list}})
	}
}

func syncLine(t *table, resp *hostv1.SyncIntegrationResponse, waited bool) {
	run := resp.GetRun()
	if !waited {
		t.line(fmt.Sprintf("%s: run %s is %s. Watch: jackfield run watch %s", resp.GetIntegration(), run.GetId(), run.GetState(), run.GetId()))
		return
	}
	t.line(fmt.Sprintf("%s: run %s %s: %s. Show: jackfield run show %s", resp.GetIntegration(), run.GetId(), becameText(run), runSummary(run), run.GetId()))
	failureLines(t, run.GetFailure())
}

// tell writes a line for a person beside the result.
func (c *cli) tell(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintln(c.stderr, clean(fmt.Sprintf(format, args...)))
	}
}

var errRunGone = errors.New("the daemon ended the watch before the run")
