package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/jackfield/jackfield/host/internal/config"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// quickstartConfig is what the quick start serves if -c says nothing else.
const quickstartConfig = "examples/quickstart/host.yaml"

// The variables that the example's tenant refers to.
const (
	quickstartRepo = "JACKFIELD_QUICKSTART_REPO" // of the git repository that is read
	quickstartCRM  = "JACKFIELD_QUICKSTART_CRM"  // host and port of the CRM
)

func (c *cli) quickstartCommand() *cobra.Command {
	var from, crm string
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "Run the example: plugins, daemon, a first sync",
		Long: `Quickstart installs and approves the plugins that the example's tenants use,
exactly as they stand in the --plugins directory, starts the daemon, syncs every
integration, prints what was stored, and goes on serving until Ctrl-C. With --crm it
starts that program as the remote system of the example's calls, too.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("config") && c.getenv("JACKFIELD_CONFIG") == "" {
				c.config = quickstartConfig
			}
			return c.quickstart(cmd.Context(), from, crm)
		},
	}
	cmd.Flags().StringVar(&from, "plugins", "bin/plugins", "the directory of the built plugins")
	cmd.Flags().StringVar(&crm, "crm", "", "the CRM of the example, such as bin/fakecrm; it ends with the daemon")
	return cmd
}

func (c *cli) quickstart(ctx context.Context, from, program string) error {
	if err := c.servable(); err != nil { // before anything is installed
		return err
	}
	path, err := c.configPath()
	if err != nil {
		return err
	}
	crm, err := c.startCRM(ctx, path, program)
	if err != nil {
		return err
	}
	defer crm.stop()
	if !c.named.logLevel { // what goes well is told in other words
		c.logLevel, c.named.logLevel = "warn", true
	}
	snap := config.Load(path, config.Options{LookupEnv: c.lookupEnv})
	if err := snap.Problems.Err(); err != nil {
		c.tell("the example needs %s and %s, which make run sets", quickstartRepo, quickstartCRM)
		return err
	}
	began := time.Now()
	names, err := c.installPlugins(ctx, snap, from)
	if err != nil {
		return err
	}
	h, err := c.openHost(ctx, false)
	if err != nil {
		return err
	}
	serveCtx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- h.Run(serveCtx) }()
	select {
	case <-h.Ready():
	case err := <-served:
		return environmentOf(err)
	}
	err = c.withDaemon(ctx, func(ctx context.Context, d *daemon) error {
		for _, name := range names {
			if err := c.quickSync(ctx, d, name, began); err != nil {
				return err
			}
		}
		if err := c.showCalls(ctx, d, h, snap, crm); err != nil {
			return err
		}
		c.tell("serving until Ctrl-C, on the socket in %s", h.config.Data)
		return nil
	})
	if err != nil {
		stop()
		return errors.Join(err, <-served)
	}
	return environmentOf(<-served)
}

// lookupEnv is getenv for what tells unset from empty.
func (c *cli) lookupEnv(name string) (string, bool) {
	v := c.getenv(name)
	return v, v != ""
}

// installPlugins puts the plugins that the tenants use into the plugin directory
// and approves them: these files, no others (K21). It returns the integrations.
func (c *cli) installPlugins(ctx context.Context, snap config.Snapshot, from string) ([]string, error) {
	var names []string
	installed := map[string]bool{}
	for _, in := range snap.Integrations() {
		if in.Spec.Template != "" { // nothing to install and nothing to import
			continue
		}
		names = append(names, in.Spec.Tenant+"/"+in.Spec.Name)
		plugin := in.Spec.Plugin
		if installed[plugin] {
			continue
		}
		installed[plugin] = true
		to := filepath.Join(snap.Host.Plugins.Dir, plugin)
		if err := install(filepath.Join(from, plugin), to); err != nil {
			return nil, environmentError(fmt.Errorf("install plugin %s: %w", plugin, err), "make plugins")
		}
		if err := c.approve(ctx, []string{to}, true); err != nil {
			return nil, err
		}
		c.tell("plugin %s is installed and approved, as it was built", plugin)
	}
	return names, nil
}

// install copies a program so that it appears whole.
func install(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return err
	}
	in, err := os.Open(from) //nolint:gosec // the caller's own build
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(to), ".install-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}

// quickSync syncs one integration and says what there is now.
func (c *cli) quickSync(ctx context.Context, d *daemon, name string, began time.Time) error {
	api := hostv1.NewIntegrationServiceClient(d)
	resp, err := startSync(ctx, api, name)
	if err != nil {
		return err
	}
	run, err := c.watch(ctx, d, resp.GetRun().GetId(), nil)
	if err != nil {
		return err
	}
	got, err := api.GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: name})
	if err != nil {
		return err
	}
	err = c.printTable(func(t *table) {
		t.line("")
		t.line(fmt.Sprintf("%s: %s run %s %s after %.1f s (%.1f s since the start)", name, run.GetKind(), run.GetId(), becameText(run),
			float64(run.GetDurationMs())/1000, time.Since(began).Seconds()))
		t.fact("  streams", streamsText(run.GetStreams()))
		found := statsText(run.GetStats())
		if run.GetStats().GetRead() == 0 && run.GetState() == "processed" {
			found = "nothing new"
		}
		t.fact("  found", found)
		t.fact("  stored", fmt.Sprintf("%s, %s", counted(got.GetRecords()["member"], "member"), activities(got.GetRecords()["activity"])))
		failureFacts(t, run.GetFailure())
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, `
look at it from another terminal:
  bin/jackfield -c %[1]s status
  bin/jackfield -c %[1]s integration show %[2]s
  bin/jackfield -c %[1]s run show %[3]s
  bin/jackfield -c %[1]s record list --integration %[2]s
  bin/jackfield -c %[1]s record tail --integration %[2]s
`, c.config, name, run.GetId())
	return nil
}

func activities(n int64) string {
	if n == 1 {
		return "1 activity"
	}
	return thousands(n) + " activities"
}

// startSync asks for a run, as soon as the daemon has read the file that declares
// the integration.
func startSync(ctx context.Context, api hostv1.IntegrationServiceClient, name string) (*hostv1.SyncIntegrationResponse, error) {
	return onceRead(ctx, func() (*hostv1.SyncIntegrationResponse, error) {
		return api.SyncIntegration(ctx, &hostv1.SyncIntegrationRequest{Integration: name})
	})
}

// onceRead asks again until the daemon has read the files, so that it knows what is
// asked about and that is ready.
func onceRead[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := ask()
		code := status.Code(err)
		if err == nil || (code != codes.NotFound && code != codes.FailedPrecondition) || time.Now().After(deadline) {
			return resp, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return resp, err
		}
	}
}
