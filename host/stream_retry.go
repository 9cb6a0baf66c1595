package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// retryMany is streams to try again, a page after the other.
type retryMany struct {
	req     *hostv1.RetryStreamsRequest
	most    int64 // open streams, above which the next page waits
	retried int64
	refused int64
	reason  string
}

func (c *cli) streamRetryCommand() *cobra.Command {
	many := &retryMany{req: &hostv1.RetryStreamsRequest{PageSize: 100}}
	var state string
	cmd := &cobra.Command{
		Use:   "retry [STREAM]",
		Short: "Try streams again that failed for good; their runs go on",
		Long: `Try a stream again that failed for good; its run goes on. With --plugin or --integration, all of
them, but for those of a run that a newer one has overtaken: a page at a time, and the next one when
few enough are left to be worked on.`,
		Example: `  jackfield stream retry 4711
  jackfield stream retry --plugin slack
  jackfield stream retry --integration acme/team-slack`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bulk := many.req.GetPlugin() != "" || many.req.GetIntegration() != ""
			switch {
			case bulk == (len(args) == 1):
				return usageError(fmt.Errorf("%s: name a STREAM, or --plugin or --integration", cmd.CommandPath()), c.command("stream list --state error --run RUN"))
			case state != "error":
				return usageError(fmt.Errorf("--state %s: only streams in error are tried again", state), "for one that waits: jackfield stream process STREAM")
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				if bulk {
					return c.retryMany(ctx, d, many)
				}
				resp, err := hostv1.NewStreamServiceClient(d).RetryStream(ctx, &hostv1.RetryStreamRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { streamLine(t, resp.GetStream()) })
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&many.req.Plugin, "plugin", "", "all of this plugin")
	f.StringVarP(&many.req.Integration, "integration", "i", "", "all of this integration")
	f.StringVar(&state, "state", "error", "in this state")
	f.Int64Var(&many.most, "most-open", 1000, "wait before the next page while more streams are open")
	return cmd
}

// retryMany retries page after page, and waits while many are left to be worked
// on: what is retried must not push what is new aside.
func (c *cli) retryMany(ctx context.Context, d *daemon, m *retryMany) error {
	api := hostv1.NewStreamServiceClient(d)
	ask := time.NewTicker(time.Second)
	defer ask.Stop()
	for {
		resp, err := api.RetryStreams(ctx, m.req)
		if err != nil {
			return errors.Join(err, c.printRetried(m))
		}
		m.retried += int64(resp.GetRetried())
		m.refused += int64(resp.GetRefused())
		m.reason = orElse(resp.GetReason(), m.reason)
		if resp.GetNext() == "" {
			return c.printRetried(m)
		}
		m.req.PageToken = resp.GetNext()
		for open := resp.GetOpen(); open > m.most; {
			c.tell("%s tried again so far; waiting, %s are open", thousands(m.retried), thousands(open))
			select {
			case <-ctx.Done():
				return errors.Join(ctx.Err(), c.printRetried(m))
			case <-ask.C:
			}
			if open, err = c.openStreams(ctx, d, m.req); err != nil {
				return errors.Join(err, c.printRetried(m))
			}
		}
	}
}

// openStreams counts what is open, without trying anything again.
func (c *cli) openStreams(ctx context.Context, d *daemon, req *hostv1.RetryStreamsRequest) (int64, error) {
	resp, err := hostv1.NewStreamServiceClient(d).RetryStreams(ctx, &hostv1.RetryStreamsRequest{
		Plugin: req.GetPlugin(), Integration: req.GetIntegration(), PageToken: lastPage, PageSize: 1,
	})
	return resp.GetOpen(), err
}

// lastPage is where every list has ended.
const lastPage = "9223372036854775807"

func (c *cli) printRetried(m *retryMany) error {
	if c.output != "table" {
		return c.printValue(object{{"retried", m.retried}, {"refused", m.refused}, {"reason", m.reason}})
	}
	return c.printTable(func(t *table) {
		t.line(counted(m.retried, "stream") + " tried again")
		if m.refused > 0 {
			t.line(fmt.Sprintf("%s refused, the last because: %s", counted(m.refused, "stream"), m.reason))
		}
	})
}

func (c *cli) streamProcessCommand() *cobra.Command {
	req := &hostv1.ProcessStreamRequest{}
	cmd := &cobra.Command{
		Use:   "process STREAM",
		Short: "Have a stream worked on now, whatever it waits for",
		Long: `Have a stream worked on now: one that waits, or that failed. With --force also one that is done or
was skipped: from its first page, and from the cursor that its partition has. Its run goes on until
it is done again.`,
		Args: exactArgs("STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Id = args[0]
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewStreamServiceClient(d).ProcessStream(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { streamLine(t, resp.GetStream()) })
			})
		},
	}
	cmd.Flags().BoolVar(&req.Force, "force", false, "also one that is processed or was skipped")
	return cmd
}
