package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// complete offers names that the daemon knows to the shell, quickly or not at
// all.
func (c *cli) complete(names func(context.Context, *daemon) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if err := c.fromEnvironment(cmd.Flags()); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c.timeout = time.Second
		var found []cobra.Completion
		err := c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
			var err error
			found, err = names(ctx, d)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func completePlugins(ctx context.Context, d *daemon) ([]cobra.Completion, error) {
	resp, err := hostv1.NewPluginServiceClient(d).ListPlugins(ctx, &hostv1.ListPluginsRequest{})
	if err != nil {
		return nil, err
	}
	var names []cobra.Completion
	for _, p := range resp.GetPlugins() {
		if p.GetName() != "" {
			names = append(names, cobra.CompletionWithDesc(p.GetName(), p.GetVersion()))
		}
	}
	return names, nil
}

func completeTenants(ctx context.Context, d *daemon) ([]cobra.Completion, error) {
	resp, err := hostv1.NewTenantServiceClient(d).ListTenants(ctx, &hostv1.ListTenantsRequest{})
	if err != nil {
		return nil, err
	}
	var names []cobra.Completion
	for _, t := range resp.GetTenants() {
		names = append(names, t.GetName())
	}
	return names, nil
}

func completeIntegrations(ctx context.Context, d *daemon) ([]cobra.Completion, error) {
	resp, err := hostv1.NewIntegrationServiceClient(d).ListIntegrations(ctx, &hostv1.ListIntegrationsRequest{PageSize: 1000})
	if err != nil {
		return nil, err
	}
	var names []cobra.Completion
	for _, i := range resp.GetIntegrations() {
		names = append(names, cobra.CompletionWithDesc(i.GetId(), i.GetPlugin()+", "+i.GetState()))
	}
	return names, nil
}

func completeRuns(ctx context.Context, d *daemon) ([]cobra.Completion, error) {
	resp, err := hostv1.NewRunServiceClient(d).ListRuns(ctx, &hostv1.ListRunsRequest{PageSize: 20})
	if err != nil {
		return nil, err
	}
	var names []cobra.Completion
	for _, r := range resp.GetRuns() {
		names = append(names, cobra.CompletionWithDesc(r.GetId(), r.GetIntegration()+" "+r.GetKind()+", "+r.GetState()))
	}
	return names, nil
}
