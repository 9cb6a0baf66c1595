package main

import (
	"context"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) tenantCommand() *cobra.Command {
	return group("tenant", "Show and delete tenants", c.tenantListCommand(), c.tenantShowCommand(), c.tenantDeleteCommand())
}

func (c *cli) tenantListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List tenants",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTenantServiceClient(d).ListTenants(ctx, &hostv1.ListTenantsRequest{})
				if err != nil {
					return err
				}
				return c.printList(resp, "tenants", func(t *table) {
					t.head("NAME", "INTEGRATIONS", "CREATED")
					for _, tenant := range resp.GetTenants() {
						t.row(tenant.GetName(), tenant.GetIntegrations(), tenant.GetCreatedAt())
					}
				})
			})
		},
	}
}

func (c *cli) tenantShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show TENANT",
		Short: "Show a tenant and its integrations",
		Args:  exactArgs("TENANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTenantServiceClient(d).GetTenant(ctx, &hostv1.GetTenantRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.fact("name", resp.GetTenant().GetName())
					t.fact("created", resp.GetTenant().GetCreatedAt())
					t.section("Integrations")
					integrationTable(t, resp.GetIntegrations())
				})
			})
		},
		ValidArgsFunction: c.complete(completeTenants),
	}
}
