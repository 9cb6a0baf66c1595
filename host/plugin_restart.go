package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) pluginRestartCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restart PLUGIN",
		Short: "Start a plugin's process anew; one that rests after a crash loop too",
		Long: `Start a new process of the plugin and give it the work. The old one ends when
its calls have; those that take too long are cut off at their last checkpoint and
go on in the new one. If the new process does not start, the old one stays.
A plugin that crashed again and again, and rests, is started at once.`,
		Args: exactArgs("PLUGIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewPluginServiceClient(d).RestartPlugin(ctx, &hostv1.RestartPluginRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					p := resp.GetPlugin()
					t.line(fmt.Sprintf("plugin %s %s was restarted; its process is %d", p.GetName(), p.GetVersion(), p.GetPid()))
				})
			})
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
}
