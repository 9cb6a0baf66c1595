package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) recordCommand() *cobra.Command {
	return group("record", "Read what was imported", c.recordListCommand(), c.recordTailCommand())
}

func (c *cli) recordListCommand() *cobra.Command {
	req := &hostv1.ListRecordsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List records in the order they changed",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewRecordServiceClient(d).ListRecords(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "records", func(t *table) {
					head := []string{"POSITION", "CHANGE", "INTEGRATION", "KIND", "ID", "OCCURRED", "WHAT"}
					if req.GetParents() {
						head = append(head, "PARENT")
					}
					t.head(head...)
					for _, r := range resp.GetRecords() {
						cells := []any{r.GetPosition(), r.GetChange(), r.GetIntegration(), r.GetKind(), r.GetExternalId(), r.GetOccurredAt(), recordText(r, 80)}
						if req.GetParents() {
							cells = append(cells, parentText(r))
						}
						t.row(cells...)
					}
					if resp.GetNext() != "" {
						t.line("there is more: --from " + resp.GetNext())
					}
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&req.Tenant, "tenant", "t", "", "only those of this tenant")
	f.StringVarP(&req.Integration, "integration", "i", "", "only those of this integration")
	f.StringVarP(&req.Kind, "kind", "k", "", "only those of this kind")
	f.StringVar(&req.ExternalId, "id", "", "only the one that the remote system names so")
	f.BoolVar(&req.Deleted, "deleted", false, "with the deleted ones")
	f.Uint32Var(&req.PageSize, "limit", 100, "at most so many, 1,000 at most")
	f.StringVar(&req.From, "from", "", "only what comes after this position")
	f.BoolVar(&req.Parents, "parents", false, "tell of each record whether its parent is there")
	return cmd
}

// parentText names the parent of a record and says so if it is not there.
func parentText(r *hostv1.Record) string {
	switch {
	case r.GetParentId() == "":
		return ""
	case r.GetParentFound():
		return r.GetParentKind() + " " + r.GetParentId()
	default:
		return r.GetParentKind() + " " + r.GetParentId() + " (not there)"
	}
}

// recordText says what a record is, cut for a table: its title or name, or else
// its data.
func recordText(r *hostv1.Record, width int) string {
	if r.GetDeleted() {
		return "(deleted)"
	}
	text := []rune(clean(orElse(recordTitle(r.GetData()), string(r.GetData()))))
	if len(text) > width {
		return string(text[:width-1]) + "…"
	}
	return string(text)
}

// recordTitle returns what people would call the record, with its type; empty if
// its data has no such word.
func recordTitle(data []byte) string {
	var words map[string]json.RawMessage
	if json.Unmarshal(data, &words) != nil {
		return ""
	}
	title := ""
	for _, key := range []string{"display_name", "title", "subject", "name", "body", "text"} {
		if json.Unmarshal(words[key], &title) == nil && title != "" {
			break
		}
	}
	var kind string
	if json.Unmarshal(words["type"], &kind) != nil || kind == "" {
		return title
	}
	if title == "" {
		return kind
	}
	return kind + ": " + title
}

func (c *cli) recordTailCommand() *cobra.Command {
	req := &hostv1.TailRecordsRequest{Deleted: new(true)}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print records as they change, until interrupted",
		Example: `  jackfield record tail -o jsonl --kind activity
  jackfield record tail --from 0-e2h -o jsonl      # go on after a position`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				return c.tail(ctx, d, req)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&req.Tenant, "tenant", "t", "", "only those of this tenant")
	f.StringVarP(&req.Integration, "integration", "i", "", "only those of this integration")
	f.StringVarP(&req.Kind, "kind", "k", "", "only those of this kind")
	f.BoolVar(req.Deleted, "deleted", true, "with the deleted ones; --deleted=false leaves them out")
	f.StringVar(&req.From, "from", "now", `what comes after this position; "now" for new changes only, "0" for all`)
	return cmd
}

func (c *cli) tail(ctx context.Context, d *daemon, req *hostv1.TailRecordsRequest) error {
	stream, err := hostv1.NewRecordServiceClient(d).TailRecords(ctx, req)
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r := resp.GetRecord()
		line := fmt.Sprintf("%s  %-7s  %s  %s  %s", r.GetPosition(), r.GetChange(), r.GetIntegration(), r.GetKind(), clean(r.GetExternalId()))
		if at := r.GetOccurredAt(); at != nil {
			line += "  " + at.AsTime().Local().Format(time.DateTime)
		}
		if err := c.printItem(r, line+"  "+recordText(r, 120)); err != nil {
			return err
		}
	}
}
