package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/explain"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) runCommand() *cobra.Command {
	return group("run", "Show, watch, continue and cancel runs",
		c.runListCommand(), c.runShowCommand(), c.runWatchCommand(), c.runContinueCommand(), c.runCancelCommand())
}

func (c *cli) runListCommand() *cobra.Command {
	req := &hostv1.ListRunsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List runs, the newest first",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewRunServiceClient(d).ListRuns(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "runs", func(t *table) {
					runTable(t, resp.GetRuns())
					more(t, resp.GetNext())
				})
			})
		},
	}
	cmd.Flags().StringVarP(&req.Tenant, "tenant", "t", "", "only those of this tenant")
	cmd.Flags().StringVarP(&req.Integration, "integration", "i", "", "only those of this integration")
	cmd.Flags().StringVar(&req.State, "state", "", "only those in this state")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func runTable(t *table, runs []*hostv1.Run) {
	t.head("RUN", "INTEGRATION", "KIND", "STATE", "STREAMS", "READ", "ADDED", "UPDATED", "DELETED", "STARTED", "TOOK")
	for _, r := range runs {
		s := r.GetStats()
		t.row(r.GetId(), r.GetIntegration(), r.GetKind(), r.GetState(), r.GetStreams().GetTotal(),
			s.GetRead(), s.GetAdded(), s.GetUpdated(), s.GetDeleted(), r.GetStartedAt(), tookText(r))
	}
}

func tookText(r *hostv1.Run) string {
	if r.GetStartedAt() == nil {
		return ""
	}
	return shortDuration(time.Duration(r.GetDurationMs()) * time.Millisecond)
}

func (c *cli) runShowCommand() *cobra.Command {
	var tree bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: what it waits for, why it failed, what it stored",
		Args:  exactArgs("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewRunServiceClient(d).GetRun(ctx, &hostv1.GetRunRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if !tree {
					return c.print(resp, func(t *table) { runFacts(t, resp) })
				}
				streams, more, err := c.tree(ctx, d, args[0])
				if err != nil {
					return err
				}
				return c.printTree(resp, streams, more)
			})
		},
		ValidArgsFunction: c.complete(completeRuns),
	}
	cmd.Flags().BoolVar(&tree, "tree", false, "with its streams below those that made them, 5,000 at most")
	return cmd
}

func runFacts(t *table, resp *hostv1.GetRunResponse) {
	r, s := resp.GetRun(), resp.GetRun().GetStats()
	t.fact("run", r.GetId())
	t.fact("integration", r.GetIntegration())
	t.fact("plugin", r.GetPlugin())
	t.fact("kind", r.GetKind())
	t.fact("state", r.GetState())
	why, _ := splitHint(resp.GetWhy())
	t.fact("why", why)
	t.fact("stuck since", r.GetStuckSince())
	t.fact("delayed until", r.GetDelayedUntil())
	t.fact("next attempt", resp.GetNextAttemptAt())
	t.fact("connectors", r.GetConnectors())
	for _, key := range sortedKeys(r.GetParams()) {
		t.fact("parameter "+key, r.GetParams()[key])
	}
	t.fact("created", r.GetCreatedAt())
	t.fact("started", r.GetStartedAt())
	t.fact("ended", r.GetEndedAt())
	t.fact("took", tookText(r))
	t.fact("streams", streamsText(r.GetStreams()))
	t.fact("records read", s.GetRead())
	t.fact("  added", s.GetAdded())
	t.fact("  updated", s.GetUpdated())
	t.fact("  deleted", s.GetDeleted())
	t.fact("  unchanged", s.GetUnchanged())
	t.fact("  stale", s.GetStale())
	t.fact("warnings", s.GetWarnings())
	failureFacts(t, r.GetFailure())
	t.fact("next", resp.GetNext())
	if len(resp.GetConnectors()) > 0 {
		t.section("Connectors")
		connectorTable(t, resp.GetConnectors())
	}
	if len(resp.GetTroubled()) > 0 {
		t.section("Streams that failed or wait")
		streamTable(t, resp.GetTroubled())
	}
	if len(resp.GetWarnings()) > 0 {
		t.section("Warnings")
		for _, w := range resp.GetWarnings() {
			t.line("  " + orElse(w.GetRecordId(), "-") + ": " + w.GetMessage())
		}
	}
}

// runSummary says in a few words what a run did.
func runSummary(r *hostv1.Run) string {
	s := r.GetStats()
	return fmt.Sprintf("%s, %s in %s", counted(r.GetStreams().GetTotal(), "stream"), statsText(s), orElse(tookText(r), "0s"))
}

// becameText goes on after the name of a run.
func becameText(r *hostv1.Run) string {
	if r.GetState() == "error" {
		return "failed"
	}
	return "is " + r.GetState()
}

// statsText says what became of the records of a run.
func statsText(s *hostv1.RunStats) string {
	if s.GetRead() == 0 {
		return "no records"
	}
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{
		{s.GetAdded(), "new"},
		{s.GetUpdated(), "changed"},
		{s.GetDeleted(), "deleted"},
		{s.GetUnchanged(), "as before"},
		{s.GetStale(), "repeated or older"},
	} {
		if p.n > 0 {
			parts = append(parts, thousands(p.n)+" "+p.what)
		}
	}
	return counted(s.GetRead(), "record") + " read: " + strings.Join(parts, ", ")
}

// failureFacts tells what went wrong and, if the plugin knows, how to cure it.
func failureFacts(t *table, f *hostv1.Failure) {
	if f == nil {
		return
	}
	t.fact("failure", failureText(f))
	t.fact("request", requestText(f.GetRequest()))
	for _, name := range sortedKeys(f.GetDetails()) {
		t.fact("  "+name, f.GetDetails()[name])
	}
	_, hint := splitHint(f.GetMessage())
	t.fact("hint", hint)
	if found, err := explain.Lookup(f.GetCode()); err == nil && len(found) > 0 {
		t.fact("explain", t.c.command("explain "+f.GetCode()))
	}
}

// requestText says which request failed, how, and how long it took.
func requestText(r *hostv1.RequestFacts) string {
	if r == nil {
		return ""
	}
	answer := "no answer"
	if r.GetStatus() != 0 {
		answer = fmt.Sprintf("status %d", r.GetStatus())
	}
	return fmt.Sprintf("%s %s: %s after %v", r.GetMethod(), r.GetUrl(), answer, r.GetDuration().AsDuration().Round(time.Millisecond))
}

// failureLines is failureFacts below a line that tells of the run.
func failureLines(t *table, f *hostv1.Failure) {
	if f == nil {
		return
	}
	t.line("  " + failureText(f))
	if _, hint := splitHint(f.GetMessage()); hint != "" {
		t.line("  hint: " + hint)
	}
}

// failureText says what went wrong, and in parentheses in which call, of which
// class, and at which attempt.
func failureText(f *hostv1.Failure) string {
	text, _ := splitHint(f.GetMessage())
	if f.GetCode() != "" && !strings.HasPrefix(text, f.GetCode()+":") {
		text = f.GetCode() + ": " + text
	}
	where := make([]string, 0, 3)
	for _, part := range []string{f.GetPoint(), f.GetClass()} {
		if part != "" {
			where = append(where, part)
		}
	}
	if f.GetAttempt() > 0 {
		where = append(where, fmt.Sprintf("attempt %d", f.GetAttempt()))
	}
	if len(where) == 0 {
		return text
	}
	return text + " (" + strings.Join(where, ", ") + ")"
}

func (c *cli) runWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch RUN",
		Short: "Follow a run until it has ended; exit with 1 if that is not a good end",
		Args:  exactArgs("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				var each func(*hostv1.WatchRunResponse) error
				if c.output == "jsonl" {
					each = func(resp *hostv1.WatchRunResponse) error { return c.printItem(resp, "") }
				}
				run, err := c.watch(ctx, d, args[0], each)
				if err != nil {
					return err
				}
				if each == nil {
					err = c.print(&hostv1.WatchRunResponse{Run: run}, func(t *table) {
						t.line(fmt.Sprintf("run %s %s %s: %s", run.GetId(), run.GetIntegration(), becameText(run), runSummary(run)))
						failureLines(t, run.GetFailure())
					})
				}
				if err == nil && run.GetState() != "processed" {
					return silent(exitFailed)
				}
				return err
			})
		},
		ValidArgsFunction: c.complete(completeRuns),
	}
}

func (c *cli) runContinueCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "continue RUN",
		Short: "Go on with a run that failed or waits: what is done stays done",
		Args:  exactArgs("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewRunServiceClient(d).ContinueRun(ctx, &hostv1.ContinueRunRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.line(fmt.Sprintf("run %s goes on. Watch: jackfield run watch %s", resp.GetRun().GetId(), resp.GetRun().GetId()))
				})
			})
		},
		ValidArgsFunction: c.complete(completeRuns),
	}
}

func (c *cli) runCancelCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Cancel a run: what it stored stays",
		Args:  exactArgs("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewRunServiceClient(d).CancelRun(ctx, &hostv1.CancelRunRequest{Id: args[0], Reason: reason})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.line(fmt.Sprintf("run %s is %s", resp.GetRun().GetId(), resp.GetRun().GetState()))
				})
			})
		},
		ValidArgsFunction: c.complete(completeRuns),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for those who read of it later")
	return cmd
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// shortDuration writes a duration without digits that nobody needs.
func shortDuration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Minute)
	}
	text := d.String()
	if d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
