package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) pluginCommand() *cobra.Command {
	return group("plugin", "Show plugins, approve them, restart them, test them, read their logs",
		c.pluginListCommand(), c.pluginShowCommand(), c.approveCommand(), c.pluginRestartCommand(), c.pluginRescanCommand(),
		c.pluginLogsCommand(), c.pluginTestCommand())
}

func (c *cli) pluginListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the files of the plugin directory and their processes",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewPluginServiceClient(d).ListPlugins(ctx, &hostv1.ListPluginsRequest{})
				if err != nil {
					return err
				}
				return c.printList(resp, "plugins", func(t *table) { pluginTable(t, resp.GetPlugins()) })
			})
		},
	}
}

func pluginTable(t *table, plugins []*hostv1.Plugin) {
	t.head("NAME", "VERSION", "VERDICT", "STATE", "PID", "RESTARTS", "CALLS", "REASON")
	for _, p := range plugins {
		pid := ""
		if p.GetPid() != 0 {
			pid = fmt.Sprint(p.GetPid())
		}
		t.row(orElse(p.GetName(), p.GetFile()), p.GetVersion(), p.GetVerdict(), p.GetState(), pid, p.GetRestarts(), p.GetCalls(), p.GetReason())
	}
}

func (c *cli) pluginShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show PLUGIN",
		Short: "Show what a plugin says of itself and how its process is",
		Args:  exactArgs("PLUGIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewPluginServiceClient(d).GetPlugin(ctx, &hostv1.GetPluginRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { pluginFacts(t, resp) })
			})
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
}

func pluginFacts(t *table, resp *hostv1.GetPluginResponse) {
	p, m := resp.GetPlugin(), resp.GetManifest()
	t.fact("name", p.GetName())
	t.fact("label", m.GetLabel())
	t.fact("version", p.GetVersion())
	t.fact("description", m.GetDescription())
	t.fact("verdict", p.GetVerdict())
	t.fact("state", p.GetState())
	t.fact("reason", p.GetReason())
	t.fact("file", p.GetFile())
	t.fact("digest", p.GetDigest())
	if p.GetPid() != 0 {
		t.fact("pid", fmt.Sprint(p.GetPid()))
		t.fact("started", p.GetStartedAt())
	}
	t.fact("restarts", p.GetRestarts())
	t.fact("calls", p.GetCalls())
	t.fact("kind", m.GetKind())
	t.fact("capabilities", m.GetCapabilities())
	t.fact("hooks", m.GetHooks())
	if len(m.GetConnectors()) > 0 {
		t.section("Connectors")
		t.head("NAME", "LABEL", "FORCE")
		for _, conn := range m.GetConnectors() {
			t.row(conn.GetName(), conn.GetLabel(), conn.GetForce())
		}
	}
	if len(resp.GetStderr()) > 0 {
		t.section("Last words on stderr")
		for _, line := range resp.GetStderr() {
			t.line("  " + line)
		}
	}
}

func (c *cli) pluginLogsCommand() *cobra.Command {
	var lines uint32
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs PLUGIN",
		Short: "Print what a plugin logged",
		Args:  exactArgs("PLUGIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				stream, err := hostv1.NewPluginServiceClient(d).StreamPluginLogs(ctx,
					&hostv1.StreamPluginLogsRequest{Name: args[0], Lines: lines, Follow: follow})
				if err != nil {
					return err
				}
				for n := 0; ; n++ {
					line, err := stream.Recv()
					if errors.Is(err, io.EOF) {
						if n == 0 {
							c.tell("plugin %s has logged nothing since the daemon started", args[0])
						}
						return nil
					}
					if err != nil {
						return err
					}
					if err := c.printItem(line, logLineText(line)); err != nil {
						return err
					}
				}
			})
		},
		ValidArgsFunction: c.complete(completePlugins),
	}
	cmd.Flags().Uint32VarP(&lines, "lines", "n", 100, "of those there are already")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return cmd
}

func logLineText(l *hostv1.StreamPluginLogsResponse) string {
	var b strings.Builder
	if l.GetAt() != nil {
		b.WriteString(l.GetAt().AsTime().Local().Format("2006-01-02T15:04:05.000 "))
	}
	fmt.Fprintf(&b, "%-5s %s", strings.ToUpper(l.GetLevel()), l.GetMessage())
	for _, name := range slices.Sorted(maps.Keys(l.GetFields())) {
		fmt.Fprintf(&b, " %s=%q", name, l.GetFields()[name])
	}
	return clean(b.String())
}

// orElse returns the first that is not empty.
func orElse(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
