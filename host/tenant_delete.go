package main

import (
	"context"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) tenantDeleteCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete TENANT",
		Short: "Delete a tenant that left the files, with all that was imported",
		Long: `Delete takes a tenant, of which no file declares an integration any more, away for good with all
of its integrations: their secrets at once, their records in portions beside other work. It asks
for the name to be typed, unless --yes is given.`,
		Args: exactArgs("TENANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if err := c.typed(args[0]); err != nil {
					return err
				}
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTenantServiceClient(d).DeleteTenant(ctx, &hostv1.DeleteTenantRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { t.line(resp.GetTenant().GetName() + ": deleted") })
			})
		},
		ValidArgsFunction: c.complete(completeTenants),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
