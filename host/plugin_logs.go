package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) pluginLogsCommand() *cobra.Command {
	req := &hostv1.StreamPluginLogsRequest{}
	cmd := &cobra.Command{
		Use:   "logs PLUGIN",
		Short: "Print what a plugin logged",
		Long: `Print the last lines that a plugin logged, and with -f those that come. The host
keeps a thousand lines of each plugin. A line of a call has the tenant, the
integration and the run that it is about; --tenant, --integration and --run leave
out the others, and those that belong to no call.`,
		Args: exactArgs("PLUGIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				req.Name = args[0]
				stream, err := hostv1.NewPluginServiceClient(d).StreamPluginLogs(ctx, req)
				if err != nil {
					return err
				}
				for n := 0; ; n++ {
					line, err := stream.Recv()
					if errors.Is(err, io.EOF) {
						if n == 0 {
							c.tell("plugin %s has logged nothing of that since the daemon started", args[0])
						}
						return nil
					}
					if err != nil {
						return err
					}
					if err := c.printItem(line, logLineText(line)); err != nil {
						return err
					}
				}
			})
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
	cmd.Flags().Uint32VarP(&req.Lines, "lines", "n", 100, "of those there are already")
	cmd.Flags().BoolVarP(&req.Follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "only lines about this tenant")
	cmd.Flags().StringVar(&req.Integration, "integration", "", "only lines about TENANT/NAME")
	cmd.Flags().StringVar(&req.Run, "run", "", "only lines about this run")
	cmd.Flags().StringVar(&req.Level, "level", "", "only lines of this level or a graver one: trace, debug, info, warn, error")
	return cmd
}

func logLineText(l *hostv1.StreamPluginLogsResponse) string {
	var b strings.Builder
	if l.GetAt() != nil {
		b.WriteString(l.GetAt().AsTime().Local().Format("2006-01-02T15:04:05.000 "))
	}
	fmt.Fprintf(&b, "%-5s %s", strings.ToUpper(l.GetLevel()), l.GetMessage())
	for _, name := range slices.Sorted(maps.Keys(l.GetFields())) {
		fmt.Fprintf(&b, " %s=%q", name, l.GetFields()[name])
	}
	return clean(b.String())
}
