package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) streamCommand() *cobra.Command {
	return group("stream", "Show, process, retry and skip the units of work of a run",
		c.streamListCommand(), c.streamShowCommand(), c.streamProcessCommand(), c.streamRetryCommand(), c.streamSkipCommand())
}

func (c *cli) streamListCommand() *cobra.Command {
	req := &hostv1.ListStreamsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List streams in the order they were made",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.GetRunId() == "" && req.GetIntegration() == "" {
				return usageError(fmt.Errorf("%s: missing --run or --integration", cmd.CommandPath()), c.command("run list"))
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewStreamServiceClient(d).ListStreams(ctx, req)
				if err != nil {
					return err
				}
				if len(resp.GetStreams()) == 0 && !req.GetSystem() && c.output == "table" {
					c.tell("no streams; the host's own are shown with --system")
				}
				return c.printList(resp, "streams", func(t *table) {
					streamTable(t, resp.GetStreams())
					more(t, resp.GetNext())
				})
			})
		},
	}
	cmd.Flags().StringVarP(&req.RunId, "run", "r", "", "only those of this run")
	cmd.Flags().StringVarP(&req.Integration, "integration", "i", "", "only those of this integration")
	cmd.Flags().StringVar(&req.Connector, "connector", "", "only those of this connector")
	cmd.Flags().StringVar(&req.State, "state", "", "only those in this state")
	cmd.Flags().BoolVar(&req.System, "system", false, "with the host's own: preprocess, plan, postprocess")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func streamTable(t *table, streams []*hostv1.Stream) {
	t.head("STREAM", "RUN", "CONNECTOR", "IDENTIFIER", "STATE", "PAGES", "READ", "ATTEMPTS", "DUE", "FAILURE")
	for _, s := range streams {
		failure := ""
		if f := s.GetFailure(); f != nil && s.GetState() != "processed" {
			failure = failureText(f)
		}
		due := s.GetDueAt()
		if s.GetState() != "delayed" {
			due = nil
		}
		t.row(s.GetId(), s.GetRunId(), s.GetConnector(), orElse(s.GetIdentifier(), s.GetType()), s.GetState(), s.GetPages(),
			s.GetStats().GetRead(), s.GetAttempts(), due, failure)
	}
}

func (c *cli) streamShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show STREAM",
		Short: "Show a stream",
		Args:  exactArgs("STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewStreamServiceClient(d).GetStream(ctx, &hostv1.GetStreamRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { streamFacts(t, resp.GetStream()) })
			})
		},
	}
}

func streamFacts(t *table, s *hostv1.Stream) {
	t.fact("stream", s.GetId())
	t.fact("run", s.GetRunId())
	t.fact("parent", s.GetParentId())
	t.fact("type", s.GetType())
	t.fact("connector", s.GetConnector())
	t.fact("identifier", s.GetIdentifier())
	t.fact("state", s.GetState())
	if s.GetState() == "delayed" || s.GetState() == "pending" {
		t.fact("due", s.GetDueAt())
	}
	t.fact("pages", s.GetPages())
	t.fact("attempts", s.GetAttempts())
	t.fact("interrupts", s.GetInterrupts())
	t.fact("records read", s.GetStats().GetRead())
	t.fact("  added", s.GetStats().GetAdded())
	t.fact("  updated", s.GetStats().GetUpdated())
	t.fact("  deleted", s.GetStats().GetDeleted())
	t.fact("  unchanged", s.GetStats().GetUnchanged())
	t.fact("  stale", s.GetStats().GetStale())
	t.fact("last record", s.GetLastRecord())
	t.fact("last record at", s.GetLastRecordAt())
	t.fact("created", s.GetCreatedAt())
	t.fact("updated", s.GetUpdatedAt())
	t.fact("processed", s.GetProcessedAt())
	failureFacts(t, s.GetFailure())
}

func (c *cli) streamSkipCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "skip STREAM",
		Short: "Give up a stream that waits or failed",
		Args:  exactArgs("STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewStreamServiceClient(d).SkipStream(ctx, &hostv1.SkipStreamRequest{Id: args[0], Reason: reason})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { streamLine(t, resp.GetStream()) })
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for those who read of it later")
	return cmd
}

func streamLine(t *table, s *hostv1.Stream) {
	t.line(fmt.Sprintf("stream %s of run %s is %s", s.GetId(), s.GetRunId(), s.GetState()))
}
