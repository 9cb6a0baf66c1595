package main

import (
	"context"
	"os/user"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) integrationDisableCommand() *cobra.Command {
	var finish bool
	cmd := &cobra.Command{
		Use:   "disable INTEGRATION",
		Short: "Disable an integration until it is enabled again",
		Long: `Disable stops an integration at once, whatever its file says, until integration enable: reloads
and restarts change nothing about it. Its data stays. The run that is under way is cancelled; with
--finish it goes on to its end, and nothing new begins.`,
		Args: exactArgs("INTEGRATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewIntegrationServiceClient(d).DisableIntegration(ctx,
					&hostv1.DisableIntegrationRequest{Integration: args[0], Finish: finish, By: userName()})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { t.line(resp.GetIntegration().GetId() + ": disabled") })
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	cmd.Flags().BoolVar(&finish, "finish", false, "let the run that has begun go on to its end")
	return cmd
}

func (c *cli) integrationEnableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "enable INTEGRATION",
		Short: "Enable an integration that was disabled by the command",
		Long: `Enable lets an integration be what it was before integration disable; it is checked at once if it has
a schedule. One that its file disables is enabled there.`,
		Args: exactArgs("INTEGRATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewIntegrationServiceClient(d).EnableIntegration(ctx,
					&hostv1.EnableIntegrationRequest{Integration: args[0], By: userName()})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { t.line(resp.GetIntegration().GetId() + ": " + resp.GetIntegration().GetState()) })
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
}

// userName returns who types, as the system knows them; empty if it does not.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
