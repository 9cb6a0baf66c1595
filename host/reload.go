package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) reloadCommand() *cobra.Command {
	var confirm bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the daemon read its configuration files now",
		Long: `Make the daemon read its configuration files now, without waiting for it to notice.

What a file with errors declares stays as it was. Exits with 2 if there is one.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewConfigServiceClient(d).Reload(ctx, &hostv1.ReloadRequest{Confirm: confirm})
				if err != nil {
					return err
				}
				err = c.print(resp, func(t *table) { changeTable(t, resp.GetChanges(), resp.GetProblems(), "nothing changed") })
				if err == nil && hasErrors(resp.GetProblems()) {
					return silent(exitUsage)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "remove an integration although another of its plugin appears (without moved_from:)")
	return cmd
}

func (c *cli) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff",
		Short: "Tell what a reload would change",
		Args:  noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewConfigServiceClient(d).Diff(ctx, &hostv1.DiffRequest{})
				if err != nil {
					return err
				}
				err = c.print(resp, func(t *table) { changeTable(t, resp.GetChanges(), resp.GetProblems(), "nothing would change") })
				if err == nil && hasErrors(resp.GetProblems()) {
					return silent(exitUsage)
				}
				return err
			})
		},
	}
}

func changeTable(t *table, changes []*hostv1.Change, problems []*hostv1.Problem, none string) {
	switch {
	case len(changes) > 0:
		t.head("CHANGE", "INTEGRATION", "PLUGIN", "FIELDS", "FILE")
		for _, ch := range changes {
			t.row(ch.GetOp(), ch.GetIntegration(), ch.GetPlugin(), ch.GetFields(), place(ch.GetFile(), ch.GetLine()))
		}
	case !hasErrors(problems):
		t.line(none)
	}
	if text := problemText(problems); text != "" {
		t.end()
		t.text.WriteString(text + "\n")
	}
}

func hasErrors(problems []*hostv1.Problem) bool {
	for _, p := range problems {
		if p.GetSeverity() == "error" {
			return true
		}
	}
	return false
}

// problemText writes problems one below the other: what, where, the line with a
// caret, and the cure.
func problemText(problems []*hostv1.Problem) string {
	list := make(config.Problems, len(problems))
	for i, p := range problems {
		list[i] = config.Problem{
			Severity: config.Severity(p.GetSeverity()),
			Code:     p.GetCode(),
			Message:  p.GetMessage(),
			File:     p.GetFile(),
			Line:     int(p.GetLine()),
			Col:      int(p.GetColumn()),
			Source:   p.GetSource(),
			Caret:    int(p.GetCaret()),
			Help:     p.GetHelp(),
		}
	}
	var b strings.Builder
	_ = list.Render(&b, false) // into memory
	return cleanLines(strings.TrimRight(b.String(), "\n"))
}

// place writes file:line as far as it is known.
func place(file string, line uint32) string {
	if file == "" || line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
