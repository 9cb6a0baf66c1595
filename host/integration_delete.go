package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) integrationDeleteCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete INTEGRATION",
		Short: "Delete an integration that left its file, with all that was imported",
		Long: `Delete takes an integration that no file declares any more away for good, before its thirty days
are over: its secrets at once, its records in portions beside other work. It asks for the name
to be typed, unless --yes is given.`,
		Args: exactArgs("INTEGRATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if err := c.typed(args[0]); err != nil {
					return err
				}
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewIntegrationServiceClient(d).DeleteIntegration(ctx, &hostv1.DeleteIntegrationRequest{Integration: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { t.line(resp.GetIntegration().GetId() + ": deleted") })
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// typed asks a person to type the name of what is about to go.
func (c *cli) typed(name string) error {
	c.tell("This cannot be undone. Type %s to delete it:", name)
	line, err := bufio.NewReader(c.stdin).ReadString('\n')
	if err != nil && line == "" || strings.TrimSpace(line) != name {
		return usageError(fmt.Errorf("%s: not confirmed, nothing was deleted", name), "type its name, or pass --yes")
	}
	return nil
}
