package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

func (c *cli) endpointCommand() *cobra.Command {
	return group("endpoint", "Show, render and call the endpoints of templates",
		c.endpointListCommand(), c.endpointShowCommand(), c.endpointRenderCommand(), c.endpointCallCommand())
}

func (c *cli) endpointListCommand() *cobra.Command {
	req := &hostv1.ListEndpointsRequest{}
	cmd := &cobra.Command{
		Use:     "list [INTEGRATION|TEMPLATE]",
		Aliases: []string{"ls"},
		Short:   "List endpoints, of all templates or of one",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				req.Template, req.Integration = templateOrIntegration(args[0])
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewEndpointServiceClient(d).ListEndpoints(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "endpoints", func(t *table) {
					t.head("TEMPLATE", "ENDPOINT", "TYPE", "METHOD", "URL", "TRIGGER")
					for _, e := range resp.GetEndpoints() {
						t.row(e.GetTemplate(), e.GetName(), e.GetType(), e.GetMethod(), e.GetUrl(), e.GetTrigger())
					}
				})
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	return cmd
}

// templateOrIntegration tells what a person named: an integration is tenant/name.
func templateOrIntegration(name string) (template, integration string) {
	if strings.Contains(name, "/") {
		return "", name
	}
	return name, ""
}

func (c *cli) endpointShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show INTEGRATION|TEMPLATE ENDPOINT",
		Short: "Show what an endpoint sends and how its answer is read",
		Args:  exactArgs("INTEGRATION|TEMPLATE", "ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hostv1.GetEndpointRequest{Endpoint: args[1]}
			req.Template, req.Integration = templateOrIntegration(args[0])
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewEndpointServiceClient(d).GetEndpoint(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { endpointFacts(t, resp.GetEndpoint()) })
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
}

func endpointFacts(t *table, e *hostv1.Endpoint) {
	t.fact("endpoint", e.GetName())
	t.fact("template", e.GetTemplate())
	t.fact("label", e.GetLabel())
	t.fact("description", e.GetDescription())
	t.fact("type", e.GetType())
	t.fact("request", e.GetMethod()+" "+e.GetUrl())
	t.fact("trigger", e.GetTrigger())
	var parameters []store.EndpointParameter
	if json.Unmarshal(e.GetParameters(), &parameters) == nil && len(parameters) > 0 {
		t.section("Parameters")
		t.head("NAME", "IN", "FROM", "REQUIRED")
		for _, p := range parameters {
			from := orElse(p.Value, strings.TrimSpace(string(p.From)+" "+p.Key))
			t.row(p.Name, string(p.In), strings.TrimSpace(from+" "+p.Format), p.Required)
		}
	}
	var hard []store.HardParameter
	if json.Unmarshal(e.GetHardParams(), &hard) == nil && len(hard) > 0 {
		t.section("Constants")
		for _, h := range hard {
			t.row(h.Name, string(h.In), fmt.Sprint(h.Value))
		}
	}
	if response := string(e.GetResponse()); response != "" && response != "{}" {
		t.section("Answer")
		t.line("  " + response)
	}
}

// calling are what an endpoint is called with.
type calling struct{ body, call, context string }

func (g *calling) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.body, "body", "", "JSON file of what a client gives, - for stdin")
	cmd.Flags().StringVar(&g.call, "call", "", "JSON file of the call that is going on")
	cmd.Flags().StringVar(&g.context, "context", "", "JSON file of what earlier endpoints answered, by object name")
}

// read puts files and NAME=VALUE arguments together. What begins with call. or
// context. goes there, the rest into the body.
func (g *calling) read(c *cli, cmd *cobra.Command, args []string) (body, call, chain []byte, err error) {
	parts := map[string]map[string]any{}
	for name, file := range map[string]string{"body": g.body, "call": g.call, "context": g.context} {
		parts[name] = map[string]any{}
		if file == "" {
			continue
		}
		raw, err := c.readFile(file, maxSettings)
		if err != nil {
			return nil, nil, nil, err
		}
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.UseNumber()
		object := map[string]any{}
		if dec.Decode(&object) != nil || object == nil {
			return nil, nil, nil, usageError(fmt.Errorf("%s: not a JSON object", file), "")
		}
		parts[name] = object
	}
	for _, arg := range args {
		path, value, ok := strings.Cut(arg, "=")
		if !ok || path == "" {
			return nil, nil, nil, usageError(fmt.Errorf("%s: %q is not NAME=VALUE", cmd.CommandPath(), arg), usageHint(cmd))
		}
		names := strings.Split(path, ".")
		to := parts["body"]
		if part, ok := parts[names[0]]; ok && len(names) > 1 {
			to, names = part, names[1:]
		}
		for _, name := range names[:len(names)-1] {
			next, ok := to[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				to[name] = next
			}
			to = next
		}
		to[names[len(names)-1]] = value
	}
	var out [3][]byte
	for i, name := range []string{"body", "call", "context"} {
		if len(parts[name]) > 0 {
			if out[i], err = json.Marshal(parts[name]); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	return out[0], out[1], out[2], nil
}

func (c *cli) endpointRenderCommand() *cobra.Command {
	var g calling
	cmd := &cobra.Command{
		Use:   "render INTEGRATION ENDPOINT [NAME=VALUE...]",
		Short: "Show the exact request that an endpoint sends, without its secrets",
		Long: `Show the exact request that an endpoint sends, with *** for secrets. Nothing is sent. A NAME is of what a
client gives; call.NAME is of the call, context.NAME of what earlier endpoints answered.`,
		Example: "  jackfield endpoint render acme/crm find-contact call.number=+84912345678",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hostv1.RenderEndpointRequest{Integration: args[0], Endpoint: args[1]}
			var err error
			if req.Body, req.Call, req.Context, err = g.read(c, cmd, args[2:]); err != nil {
				return err
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewEndpointServiceClient(d).RenderEndpoint(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.line(resp.GetMethod() + " " + resp.GetUrl())
					for _, name := range sortedKeys(resp.GetHeaders()) {
						t.line(name + ": " + resp.GetHeaders()[name])
					}
					if resp.GetBody() != "" {
						t.line("")
						t.line(resp.GetBody())
					}
				})
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	g.flags(cmd)
	return cmd
}

func (c *cli) endpointCallCommand() *cobra.Command {
	var g calling
	cmd := &cobra.Command{
		Use:   "call INTEGRATION ENDPOINT [NAME=VALUE...]",
		Short: "Call the remote system and show what it answers",
		Long: `Call the remote system. A NAME is of what a client gives; call.NAME is of the call, context.NAME of what
earlier endpoints answered. Exits with 1 when the call fails; "outcome: unknown" means that it may have arrived.`,
		Example: "  jackfield endpoint call acme/crm create-contact name=Ann phone=0912345678",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hostv1.CallEndpointRequest{Integration: args[0], Endpoint: args[1]}
			var err error
			if req.Body, req.Call, req.Context, err = g.read(c, cmd, args[2:]); err != nil {
				return err
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewEndpointServiceClient(d).CallEndpoint(ctx, req)
				if err != nil {
					return err
				}
				if err := c.print(resp, func(t *table) { callFacts(t, resp) }); err != nil {
					return err
				}
				if resp.GetError() != nil {
					return silent(exitFailed)
				}
				return nil
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	g.flags(cmd)
	return cmd
}

func callFacts(t *table, resp *hostv1.CallEndpointResponse) {
	if resp.GetStatus() > 0 {
		t.fact("status", fmt.Sprint(resp.GetStatus()))
	}
	t.fact("took", fmt.Sprintf("%d ms", resp.GetTookMs()))
	if e := resp.GetError(); e != nil {
		t.fact("failed", e.GetMessage()+" ("+e.GetCode()+")")
		t.fact("outcome", e.GetOutcome())
		t.fact("hint", e.GetHint())
		for _, name := range sortedKeys(e.GetFields()) {
			t.fact("  "+name, e.GetFields()[name])
		}
		if e.GetBody() != "" {
			t.section("Answer")
			t.line(e.GetBody())
		}
		return
	}
	for _, i := range resp.GetItems() {
		t.section(i.GetShape())
		for _, name := range sortedKeys(i.GetValues()) {
			t.fact("  "+name, i.GetValues()[name])
		}
		if len(i.GetExtra()) > 0 {
			t.fact("  extra", string(i.GetExtra()))
		}
	}
	if len(resp.GetItems()) == 0 && len(resp.GetBody()) > 0 {
		t.section("Answer")
		t.line(string(resp.GetBody()))
	}
}
