package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) callScreenCommand() *cobra.Command {
	var shut bool
	req := &hostv1.OpenScreenRequest{}
	cmd := &cobra.Command{
		Use:   "screen CALL",
		Short: "Print the address that opens the screen of a call, once and for a minute",
		Long: `Print an address that opens the screen of a call in a browser, once and for a minute. CALL is the id that the
sender of its events knows. With --origin the screen can be embedded by that page, which has to stand under
screens: {origins: [...]} in the tenant's file; without it, by none. --close ends the screens of the call that are
open.`,
		Example: `  jackfield call screen 4711 -i acme/crm --agent ann
  jackfield call screen 4711 -i acme/crm --agent ann --origin https://crm.acme.example
  jackfield call screen 4711 -i acme/crm --close`,
		Args: exactArgs("CALL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.CallId = args[0]
			switch {
			case req.GetIntegration() == "":
				return usageError(fmt.Errorf("%s: missing --integration", cmd.CommandPath()), "jackfield integration list")
			case !shut && req.GetAgent() == "":
				return usageError(fmt.Errorf("%s: missing --agent", cmd.CommandPath()), "a screen is for one person")
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				if shut {
					return c.closeScreens(ctx, d, req)
				}
				resp, err := hostv1.NewScreenServiceClient(d).OpenScreen(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { t.line(resp.GetUrl()) })
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&req.Integration, "integration", "i", "", "the integration whose call it is")
	f.StringVar(&req.Agent, "agent", "", "who looks at it")
	f.StringVar(&req.Origin, "origin", "", "the page that embeds it, such as https://crm.acme.example")
	f.BoolVar(&shut, "close", false, "end the open screens of the call, or those of --agent alone")
	return cmd
}

// closeScreens ends the screens of a call.
func (c *cli) closeScreens(ctx context.Context, d *daemon, of *hostv1.OpenScreenRequest) error {
	resp, err := hostv1.NewScreenServiceClient(d).CloseScreens(ctx, &hostv1.CloseScreensRequest{Integration: of.GetIntegration(), CallId: of.GetCallId(), Agent: of.GetAgent()})
	if err != nil {
		return err
	}
	return c.print(resp, func(t *table) { t.line(fmt.Sprintf("closed %d", resp.GetClosed())) })
}
