package main

import (
	"context"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) eventCommand() *cobra.Command {
	return group("event", "Show what happened once: ends of runs, onboardings, alerts", c.eventListCommand())
}

func (c *cli) eventListCommand() *cobra.Command {
	req := &hostv1.ListEventsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List events, the newest first",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewEventServiceClient(d).ListEvents(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "events", func(t *table) {
					t.head("EVENT", "AT", "KIND", "INTEGRATION", "RUN", "DATA")
					for _, e := range resp.GetEvents() {
						t.row(e.GetId(), e.GetAt(), e.GetKind(), e.GetIntegration(), e.GetRunId(), string(e.GetData()))
					}
					more(t, resp.GetNext())
				})
			})
		},
	}
	cmd.Flags().StringVarP(&req.Integration, "integration", "i", "", "only those of this integration")
	cmd.Flags().StringVar(&req.Kind, "kind", "", "only these, such as run.error, or run for all that begin so")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}
