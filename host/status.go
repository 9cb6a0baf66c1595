package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell what runs and what needs you",
		Args:  noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewStatusServiceClient(d).GetStatus(ctx, &hostv1.GetStatusRequest{})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { statusTable(t, resp) })
			})
		},
	}
}

func statusTable(t *table, s *hostv1.GetStatusResponse) {
	t.fact("state", s.GetState())
	for _, reason := range s.GetReasons() {
		text, hint := splitHint(reason)
		t.fact("  because", text)
		t.fact("  hint", hint)
	}
	t.fact("version", s.GetVersion())
	t.fact("pid", fmt.Sprint(s.GetPid()))
	t.fact("started", s.GetStartedAt())
	t.fact("configuration", s.GetConfig().GetFile())
	t.fact("applied", s.GetConfig().GetAppliedAt())
	t.fact("store", s.GetStore().GetPath())
	t.fact("size", fmt.Sprintf("%s, and %s of write-ahead log", bytesText(s.GetStore().GetDatabaseBytes()), bytesText(s.GetStore().GetWalBytes())))
	t.fact("snapshots", snapshotText(s.GetStore().GetSnapshots()))
	t.fact("records", s.GetStore().GetRecords())
	t.fact("tenants", s.GetTenants())
	t.fact("integrations", counts(s.GetIntegrations()))
	t.fact("runs", counts(s.GetRuns()))
	t.fact("work due", counted(s.GetLanesDue(), "lane"))
	t.fact("http", s.GetHttp())
	t.fact("isolation", isolationText(s))
	for _, reason := range s.GetIsolationReasons() {
		t.fact("  because", reason)
	}
	if len(s.GetPlugins()) > 0 {
		t.section("Plugins")
		pluginTable(t, s.GetPlugins())
	}
	if text := problemText(s.GetConfig().GetProblems()); text != "" {
		t.section("Configuration")
		t.text.WriteString(text + "\n")
	}
}

// isolationText says what plugins are kept from.
func isolationText(s *hostv1.GetStatusResponse) string {
	switch s.GetIsolation() {
	case "none":
		return "none: plugins are trusted like the operator"
	case "partial":
		return "partial: plugins are kept from some of what is not theirs"
	default:
		return s.GetIsolation()
	}
}

// snapshotText tells of the newest one.
func snapshotText(s *hostv1.StatusSnapshots) string {
	switch {
	case !s.GetEnabled():
		return "off: snapshots.every is 0"
	case s.GetNewestAt() == nil:
		return "none yet"
	default:
		return fmt.Sprintf("%s, the newest %s", thousands(int64(s.GetKept())), cellText(s.GetNewestAt()))
	}
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n)/unit, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if value < unit {
			break
		}
		value, suffix = value/unit, next
	}
	return fmt.Sprintf("%.1f %s", value, suffix)
}
