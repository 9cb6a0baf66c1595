package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) pluginCommand() *cobra.Command {
	return group("plugin", "Show plugins, install and approve them, choose versions, restart them, make and test new ones, read their logs",
		c.pluginListCommand(), c.pluginShowCommand(), c.pluginInstallCommand(), c.approveCommand(), c.pluginRejectCommand(),
		c.pluginUseCommand(), c.pluginRemoveCommand(), c.pluginRestartCommand(), c.pluginRescanCommand(), c.pluginLogsCommand(),
		c.pluginTestCommand(), c.pluginLintCommand(), c.pluginNewCommand(), c.pluginDevCommand())
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
	t.head("NAME", "KIND", "VERSION", "VERDICT", "STATE", "SANDBOX", "PID", "RESTARTS", "CALLS", "REASON")
	for _, p := range plugins {
		t.row(orElse(p.GetName(), p.GetFile()), p.GetKind(), p.GetVersion(), p.GetVerdict(), p.GetState(), p.GetSandbox(), pidText(p), p.GetRestarts(), p.GetCalls(), p.GetReason())
	}
}

// pidText writes a plugin's process, or how many there are; nothing without one.
func pidText(p *hostv1.Plugin) string {
	switch n := len(p.GetProcesses()); n {
	case 0:
	case 1:
		return "1 process"
	default:
		return fmt.Sprintf("%d processes", n)
	}
	if p.GetPid() == 0 {
		return ""
	}
	return fmt.Sprint(p.GetPid())
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
	t.fact("sandbox", p.GetSandbox())
	for _, reason := range p.GetSandboxReasons() {
		t.fact("  because", reason)
	}
	if p.GetUser() != "" {
		t.fact("user", personText(p.GetUser(), p.GetUserReason()))
	}
	t.fact("memory limit", memoryLimitText(p))
	t.fact("file", p.GetFile())
	t.fact("digest", p.GetDigest())
	if p.GetPid() != 0 {
		t.fact("pid", fmt.Sprint(p.GetPid()))
		t.fact("started", p.GetStartedAt())
	}
	if p.GetMemory() > 0 {
		t.fact("memory", bytesText(p.GetMemory()))
		t.fact("processors", (time.Duration(p.GetCpuMs()) * time.Millisecond).String())
	}
	t.fact("idle", idleText(p.GetIdleAfter().AsDuration()))
	t.fact("restarts", p.GetRestarts())
	t.fact("calls", p.GetCalls())
	t.fact("kind", p.GetKind())
	t.fact("capabilities", m.GetCapabilities())
	t.fact("hooks", m.GetHooks())
	t.fact("network", p.GetNetwork())
	t.fact("isolation", sharesText(p))
	t.fact("hosts", m.GetHosts())
	if len(m.GetConnectors()) > 0 {
		t.section("Connectors")
		t.head("NAME", "LABEL", "FORCE")
		for _, conn := range m.GetConnectors() {
			t.row(conn.GetName(), conn.GetLabel(), conn.GetForce())
		}
	}
	if len(p.GetProcesses()) > 0 {
		t.section("Processes")
		t.head("TENANT", "VERSION", "STATE", "PID", "USER", "RESTARTS", "CALLS", "MEMORY", "REASON")
		for _, one := range p.GetProcesses() {
			t.row(one.GetTenant(), one.GetVersion(), one.GetState(), numberText(one.GetPid()), one.GetUser(), one.GetRestarts(), one.GetCalls(), bytesText(one.GetMemory()), one.GetReason())
		}
	}
	if len(resp.GetStderr()) > 0 {
		t.section("Last words on stderr")
		for _, line := range resp.GetStderr() {
			t.line("  " + line)
		}
	}
}

// idleText says when a plugin is stopped that nothing calls.
func idleText(after time.Duration) string {
	if after <= 0 {
		return "never: it runs on without a call"
	}
	return "stopped after " + shortDuration(after) + " without a call"
}

// sharesText says who shares a process of the plugin.
func sharesText(p *hostv1.Plugin) string {
	if p.GetIsolation() == "tenant" {
		return "tenant: each tenant has a process of its own"
	}
	return p.GetIsolation()
}

// personText says whose rights a process has.
func personText(who, why string) string {
	if who == "daemon" && why != "" {
		return "the daemon's: " + why
	}
	return who
}

// memoryLimitText says how much memory each process may have, and what holds it.
func memoryLimitText(p *hostv1.Plugin) string {
	switch p.GetMemoryLimitBy() {
	case "cgroup-v2":
		return bytesText(p.GetMemoryLimit()) + " by its control group (cgroup v2)"
	case "rlimit-data":
		return bytesText(p.GetMemoryLimit()) + " of its own data (RLIMIT_DATA)"
	case "":
		return "none"
	default:
		return bytesText(p.GetMemoryLimit())
	}
}

// numberText writes a number that is a name, without marks between its digits; nothing
// for 0.
func numberText(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
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
