package main

import (
	"context"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) pluginRescanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rescan",
		Short: "Look at the plugin directory now, and list what is in it",
		Long: `Make the daemon look at the plugin directory and plugins.lock now. It does so by
itself when something changes there, and every half a minute; some file systems,
such as those of a network, tell of no change.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewPluginServiceClient(d).RescanPlugins(ctx, &hostv1.RescanPluginsRequest{})
				if err != nil {
					return err
				}
				return c.printList(resp, "plugins", func(t *table) { pluginTable(t, resp.GetPlugins()) })
			})
		},
	}
}
