package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) integrationHistoryCommand() *cobra.Command {
	req := &hostv1.ListConnectorStatusesRequest{}
	var since, until string
	cmd := &cobra.Command{
		Use:   "history [INTEGRATION]",
		Short: "List how connectors' parts of runs ended, the newest first",
		Example: `  jackfield integration history acme/team-slack --connector channels
  jackfield integration history --code failed --since 24h`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if req.Since, err = parseTime("since", since, time.Now()); err != nil {
				return err
			}
			if req.Until, err = parseTime("until", until, time.Now()); err != nil {
				return err
			}
			if len(args) == 1 {
				req.Integration = args[0]
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewRunServiceClient(d).ListConnectorStatuses(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "statuses", func(t *table) {
					historyTable(t, resp.GetStatuses())
					more(t, resp.GetNext())
				})
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	f := cmd.Flags()
	f.StringVarP(&req.Tenant, "tenant", "t", "", "only those of this tenant")
	f.StringVar(&req.Connector, "connector", "", "only those of this connector")
	f.StringVar(&req.Code, "code", "", "only these: completed, partial, failed, skipped or cancelled")
	f.StringVar(&since, "since", "", "ended at or after: 24h ago, a date, or a time in RFC 3339")
	f.StringVar(&until, "until", "", "ended before, likewise")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func historyTable(t *table, list []*hostv1.ConnectorStatus) {
	t.head("RUN", "INTEGRATION", "CONNECTOR", "CODE", "STREAMS", "READ", "ADDED", "UPDATED", "DELETED", "ENDED", "TOOK", "MESSAGE")
	for _, s := range list {
		n := s.GetStats()
		t.row(s.GetRunId(), s.GetIntegration(), s.GetConnector(), s.GetCode(), s.GetProcessed()+s.GetFailed()+s.GetCancelled(),
			n.GetRead(), n.GetAdded(), n.GetUpdated(), n.GetDeleted(), s.GetEndedAt(), partTook(s), s.GetMessage())
	}
}

// connectorTable is historyTable on the page of a run.
func connectorTable(t *table, list []*hostv1.ConnectorStatus) {
	t.head("CONNECTOR", "CODE", "STREAMS", "FAILED", "READ", "ADDED", "UPDATED", "DELETED", "UNCHANGED", "TOOK", "MESSAGE")
	for _, s := range list {
		n := s.GetStats()
		t.row(s.GetConnector(), s.GetCode(), s.GetProcessed()+s.GetFailed()+s.GetCancelled(), s.GetFailed(),
			n.GetRead(), n.GetAdded(), n.GetUpdated(), n.GetDeleted(), n.GetUnchanged(), partTook(s), s.GetMessage())
	}
}

func partTook(s *hostv1.ConnectorStatus) string {
	if s.GetStartedAt() == nil {
		return ""
	}
	return shortDuration(time.Duration(s.GetDurationMs()) * time.Millisecond)
}

// parseTime reads a moment: how long ago, a date, or a time.
func parseTime(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no bound
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(now.Add(-ago)), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return timestamppb.New(at), nil
		}
	}
	return nil, usageError(fmt.Errorf("--%s: %q is no time", flag, text), "such as 24h, 2026-01-31 or 2026-01-31T08:00:00Z")
}
