package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) integrationCommand() *cobra.Command {
	return group("integration", "Show, check and sync integrations",
		c.integrationListCommand(), c.integrationShowCommand(), c.integrationCheckCommand(), c.integrationHistoryCommand(), c.syncCommand(), c.integrationDeleteCommand(),
		c.integrationDisableCommand(), c.integrationEnableCommand())
}

func (c *cli) integrationListCommand() *cobra.Command {
	req := &hostv1.ListIntegrationsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List integrations",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewIntegrationServiceClient(d).ListIntegrations(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "integrations", func(t *table) {
					integrationTable(t, resp.GetIntegrations())
					more(t, resp.GetNext())
				})
			})
		},
	}
	cmd.Flags().StringVarP(&req.Tenant, "tenant", "t", "", "only those of this tenant")
	cmd.Flags().StringVar(&req.Plugin, "plugin", "", "only those of this plugin")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func addPageFlags(cmd *cobra.Command, size *uint32, token *string) {
	cmd.Flags().Uint32Var(size, "limit", 100, "at most so many, 1,000 at most")
	cmd.Flags().StringVar(token, "page", "", "go on: next of the list before")
}

// more tells how to get the next page.
func more(t *table, next string) {
	if next != "" {
		t.line("there is more: --page " + next)
	}
}

func integrationTable(t *table, list []*hostv1.Integration) {
	t.head("INTEGRATION", "PLUGIN", "STATE", "EVERY", "LAST CHECK", "NEXT CHECK", "REASON")
	for _, i := range list {
		t.row(i.GetId(), orElse(i.GetPlugin(), i.GetTemplate()), i.GetState(), rhythm(i), i.GetLastCheckAt(), i.GetNextCheckAt(), i.GetReason())
	}
}

// rhythm writes a schedule for a column.
func rhythm(i *hostv1.Integration) string {
	if i.GetCron() != "" {
		return i.GetCron()
	}
	return everyText(i.GetEvery())
}

// everyText writes a schedule in ticks.
func everyText(ticks int32) string {
	switch {
	case ticks < 0:
		return "never"
	case ticks <= 1:
		return "1m"
	default:
		return shortDuration(time.Duration(ticks) * time.Minute)
	}
}

func (c *cli) integrationShowCommand() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show INTEGRATION",
		Short: "Show an integration: schedule, state, settings without secrets, records, runs",
		Args:  exactArgs("INTEGRATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewIntegrationServiceClient(d).GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { integrationFacts(t, resp, origin) })
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "tell which scope gave a value: integration, tenant, host, plugin or default")
	return cmd
}

func integrationFacts(t *table, resp *hostv1.GetIntegrationResponse, origin bool) {
	i, m := resp.GetIntegration(), resp.GetManifest()
	from := func(key, value string) string {
		if where := resp.GetOrigins()[key]; origin && where != "" {
			return value + " (from " + where + ")"
		}
		return value
	}
	t.fact("integration", i.GetId())
	t.fact("uid", i.GetUid())
	t.fact("label", i.GetLabel())
	t.fact("description", i.GetDescription())
	templated := i.GetTemplate() != ""
	if templated {
		t.fact("template", i.GetTemplate())
		t.fact("callcenter", i.GetCallcenter())
		t.fact("host", i.GetHost())
	} else {
		t.fact("plugin", i.GetPlugin()+" "+m.GetVersion())
	}
	t.fact("state", i.GetState())
	t.fact("reason", i.GetReason())
	if i.GetDisabledBy() != "" {
		t.fact("disabled by", i.GetDisabledBy())
		t.fact("disabled at", i.GetDisabledAt())
	}
	t.fact("connectors", i.GetConnectors())
	for _, name := range sortedKeys(resp.GetConnectors()) {
		switch resp.GetConnectors()[name] {
		case "parked":
			t.fact("  "+name, "parked: the plugin has it no more; its cursors are kept")
			t.fact("  hint", "jackfield plugin use "+i.GetPlugin()+"@VERSION goes back to one that has it; or name it no more in "+orElse(i.GetFile(), "its file"))
		case "new":
			t.fact("  "+name, "new, and disabled: name it in the file to have it")
		}
	}
	switch {
	case templated:
	case i.GetCron() != "":
		t.fact("schedule", from("cron", i.GetSchedule()))
		t.fact("timezone", from("timezone", orElse(i.GetTimezone(), "UTC")))
	default:
		t.fact("schedule", from("every", i.GetSchedule()))
	}
	if i.GetPageSize() != 0 {
		t.fact("page size", from("page_size", fmt.Sprint(i.GetPageSize())))
	}
	if !templated {
		t.fact("concurrency", from("concurrency", concurrencyText(i.GetConcurrency())))
	}
	if l := resp.GetLimit(); l != nil {
		t.fact("limit", from("limit", limitText(l)))
		t.fact("  used", thousands(l.GetUsed()))
		t.fact("  begins anew", l.GetReset_())
	}
	if i.GetLookup() != nil {
		t.fact("lookup", shortDuration(i.GetLookup().AsDuration()))
	}
	t.fact("last check", i.GetLastCheckAt())
	t.fact("next check", i.GetNextCheckAt())
	t.fact("onboarded", i.GetOnboardedAt())
	t.fact("created", i.GetCreatedAt())
	t.fact("removed", i.GetRemovedAt())
	t.fact("kept until", i.GetKeepUntil())
	t.fact("revision", i.GetRevision())
	t.fact("file", place(i.GetFile(), i.GetLine()))
	t.fact("records", counts(resp.GetRecords()))
	settingsFacts(t, resp.GetSettings())
	if len(resp.GetRuns()) > 0 {
		t.section("Runs")
		runTable(t, resp.GetRuns())
	}
}

// limitText says a limit as it is now.
func limitText(l *hostv1.LimitUse) string {
	text := thousands(l.GetRecords()) + " records"
	if per := l.GetPer().AsDuration(); per == 0 {
		text += " a run"
	} else {
		text += " in " + shortDuration(per)
	}
	if l.GetKey() != "" {
		text += ", shared by the key " + l.GetKey()
	}
	return text
}

func settingsFacts(t *table, settings []byte) {
	var values map[string]json.RawMessage
	if json.Unmarshal(settings, &values) != nil || len(values) == 0 {
		return
	}
	t.section("Settings")
	for _, name := range sortedKeys(values) {
		t.fact("  "+name, string(values[name]))
	}
}

func (c *cli) integrationCheckCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check INTEGRATION",
		Short: "Ask the plugin to reach the remote system",
		Long: `Ask the plugin to reach the remote system with the integration's settings, or with others that
are not kept (--settings). Exits with 1 when it does not work.`,
		Args: exactArgs("INTEGRATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := c.readSettings(file)
			if err != nil {
				return err
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewIntegrationServiceClient(d).CheckIntegration(ctx,
					&hostv1.CheckIntegrationRequest{Integration: args[0], Settings: settings})
				if err != nil {
					return err
				}
				err = c.print(resp, func(t *table) { checkFacts(t, resp) })
				if err == nil && !resp.GetOk() {
					return silent(exitFailed)
				}
				return err
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	cmd.Flags().StringVar(&file, "settings", "", "JSON file of settings to try, - for stdin")
	return cmd
}

func checkFacts(t *table, resp *hostv1.CheckIntegrationResponse) {
	took := ""
	if ms := resp.GetDurationMs(); ms > 0 {
		took = ", " + shortDuration(time.Duration(ms)*time.Millisecond)
	}
	if resp.GetOk() {
		t.line(resp.GetIntegration() + ": ok" + took)
		return
	}
	message, hint := splitHint(resp.GetMessage())
	t.line(fmt.Sprintf("%s: %s (%s%s)", resp.GetIntegration(), message, orElse(resp.GetCode(), resp.GetClass()), took))
	if hint != "" {
		t.line("  hint: " + hint)
	}
}

// maxSettings bounds a file of settings.
const maxSettings = 1 << 20

func (c *cli) readSettings(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	in := c.stdin
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the path is the operator's own
		if err != nil {
			return nil, usageError(fmt.Errorf("read settings: %w", err), "")
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSettings+1))
	switch {
	case err != nil:
		return nil, usageError(fmt.Errorf("read settings: %w", err), "")
	case len(text) > maxSettings:
		return nil, usageError(errors.New("read settings: more than 1 MiB"), "")
	case !json.Valid(text):
		return nil, usageError(errors.New("read settings: not JSON"), "")
	}
	return text, nil
}

// concurrencyText tells how many streams of a run are worked on at once.
func concurrencyText(n uint32) string {
	if n == 0 {
		return "as the plugin says"
	}
	return strconv.FormatUint(uint64(n), 10) + " streams at once"
}
