package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

func (c *cli) hookCommand() *cobra.Command {
	return group("hook", "Show what runs at the events of calls, send events, and settle those whose outcome nobody knows",
		c.hookListCommand(), c.hookFireCommand(), c.hookResolveCommand())
}

func (c *cli) hookListCommand() *cobra.Command {
	req := &hostv1.ListHooksRequest{}
	return &cobra.Command{
		Use:     "list [INTEGRATION]",
		Aliases: []string{"ls"},
		Short:   "List what runs at which event",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				req.Integration = args[0]
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewCallServiceClient(d).ListHooks(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "hooks", func(t *table) {
					t.head("INTEGRATION", "EVENT", "HOOK", "WAY", "RUNS")
					for _, h := range resp.GetHooks() {
						t.row(h.GetIntegration(), h.GetEvent(), h.GetHook(), h.GetWay(), strings.Join(h.GetRuns(), ", "))
					}
				})
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
}

// firing are the flags of an event.
type firing struct {
	event          hostv1.CallEvent
	at, fields     string
	duration, wait time.Duration
	user           map[string]string
	key            string
	screen         bool
	origin         string
}

func (f *firing) flags(cmd *cobra.Command) {
	s, e := cmd.Flags(), &f.event
	s.StringVar(&e.CallId, "call", "", "the id that the sender knows the call by; required")
	s.StringVar(&e.LegId, "leg", "", "id of the leg")
	s.StringVar(&e.Agent, "agent", "", "who takes or makes the call")
	s.StringVar(&e.Direction, "direction", "", "in or out; in for call.started and sms.sent if it is left out")
	s.StringVar(&e.From, "from", "", "number that calls")
	s.StringVar(&e.To, "to", "", "number that is called")
	s.StringVar(&f.at, "at", "", "when it happened, as 2026-01-31T09:30:00Z; now if it is left out")
	s.StringVar(&e.Result, "result", "", "how the call ended: COMPLETED, BUSY, NO_ANSWER, CANCELED, FAILED, REJECTED or MISSED")
	s.DurationVar(&f.duration, "duration", 0, "how long people spoke")
	s.StringVar(&e.Recording, "recording", "", "address of the recording")
	s.StringVar(&e.Disposition, "disposition", "", "what came of the call")
	s.StringVar(&e.Update, "update", "", "of call.updated: hold, resume, transfer, note or contact")
	s.StringVar(&e.TransferTo, "transfer-to", "", "of a transfer")
	s.StringVar(&e.Text, "text", "", "of a note or a message")
	s.StringVar(&f.fields, "fields", "", "JSON file of the form, - for stdin")
	s.StringToStringVar(&f.user, "user", nil, "what was read from the page of the CRM: FIELD=VALUE")
	s.StringVar(&f.key, "key", "", "idempotency key: the same event with the same key has one effect")
	s.BoolVar(&f.screen, "screen", false, "print the address that opens the screen of the call for --agent, once and for a minute")
	s.StringVar(&f.origin, "origin", "", "with --screen: the page that embeds it, such as https://crm.acme.example")
	s.DurationVar(&f.wait, "wait", 5*time.Second, "how long to wait for the hook")
}

// request puts flags and NAME=VALUE arguments together.
func (f *firing) request(c *cli, cmd *cobra.Command, args []string) (*hostv1.SendEventRequest, error) {
	e := &f.event
	e.Type = args[0]
	typ := store.CallEventType(e.GetType())
	if e.GetDirection() == "" && (typ == store.CallStarted || typ == store.SMSSent) {
		e.Direction = "in"
		if typ == store.SMSSent {
			e.Direction = "out"
		}
	}
	if f.at != "" {
		at, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return nil, usageError(fmt.Errorf("--at: %q is not a time", f.at), "such as 2026-01-31T09:30:00Z")
		}
		e.At = timestamppb.New(at)
	}
	if f.duration > 0 {
		e.Duration = durationpb.New(f.duration)
	}
	e.UserInfo = f.user
	form := calling{body: f.fields}
	var err error
	if e.Fields, _, _, err = form.read(c, cmd, args[2:]); err != nil {
		return nil, err
	}
	return &hostv1.SendEventRequest{
		Integration: args[1], Event: e, IdempotencyKey: f.key, Wait: durationpb.New(f.wait), Screen: f.screen, ScreenOrigin: f.origin,
	}, nil
}

func (c *cli) hookFireCommand() *cobra.Command {
	var f firing
	cmd := &cobra.Command{
		Use:   "fire EVENT INTEGRATION --call ID [NAME=VALUE...]",
		Short: "Send an event of a call, and show what its hook answers",
		Long: `Send an event of a call: call.started, call.connected, call.updated, call.ended, call.wrapup, sms.sent,
ticket.create or contact.create. A NAME is a field of the form. The event is stored before it is answered and goes on
when the wait is over. Exits with 1 when the event failed, or nobody knows whether its write arrived.`,
		Example: `  jackfield hook fire call.started acme/crm --call 4711 --from +4930123456 --to 200 --agent ann
  jackfield hook fire call.started acme/crm --call 4711 --from +4930123456 --to 200 --agent ann --screen
  jackfield hook fire call.ended acme/crm --call 4711 --result COMPLETED --duration 93s
  jackfield hook fire ticket.create acme/crm --call 4711 subject="Wants a refund"`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := f.request(c, cmd, args)
			if err != nil {
				return err
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewCallServiceClient(d).SendEvent(ctx, req)
				if err != nil {
					return err
				}
				if err := c.print(resp, func(t *table) { sentFacts(t, resp) }); err != nil {
					return err
				}
				if state := store.EventState(resp.GetResult().GetState()); state == store.EventFailed || state == store.EventUnknown {
					return silent(exitFailed)
				}
				return nil
			})
		},
		ValidArgsFunction: completeEvents,
	}
	f.flags(cmd)
	return cmd
}

// completeEvents completes the first argument.
func completeEvents(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return store.Triggers(), cobra.ShellCompDirectiveNoFileComp
}

func sentFacts(t *table, resp *hostv1.SendEventResponse) {
	state := resp.GetResult().GetState()
	if resp.GetReplayed() {
		state += " (the event was known)"
	}
	t.fact("event", resp.GetEventId())
	t.fact("call", resp.GetId())
	t.fact("state", state)
	t.fact("screen", orElse(resp.GetScreen().GetUrl(), resp.GetScreen().GetProblem()))
	faultFacts(t, resp.GetResult().GetError())
	answerFacts(t, resp.GetResult().GetAnswer())
}

func faultFacts(t *table, e *hostv1.HookFault) {
	if e == nil {
		return
	}
	t.fact("why", e.GetMessage()+" ("+e.GetCode()+")")
	t.fact("outcome", e.GetOutcome())
	t.fact("hint", e.GetHint())
	for _, name := range sortedKeys(e.GetFields()) {
		t.fact("  "+name, e.GetFields()[name])
	}
}

func answerFacts(t *table, a *hostv1.CallAnswer) {
	t.fact("id", a.GetId())
	t.fact("url", a.GetUrl())
	t.fact("route", a.GetRoute())
	if a.GetReject() {
		t.fact("reject", orElse(a.GetRejectReason(), "yes"))
	}
	if len(a.GetContacts()) > 0 {
		t.section("Contacts")
		t.head("ID", "NAME", "COMPANY", "PHONE", "EMAIL")
		for _, p := range a.GetContacts() {
			t.row(p.GetId(), p.GetName(), p.GetCompany(), p.GetPhone(), p.GetEmail())
		}
	}
	screenFacts(t, a.GetIframe())
}

func (c *cli) hookResolveCommand() *cobra.Command {
	var retry, drop bool
	req := &hostv1.ResolveEventRequest{}
	cmd := &cobra.Command{
		Use:   "resolve EVENT --made ID | --retry | --drop",
		Short: "Say what became of an event whose outcome nobody knows, or that failed",
		Long: `Say what became of an event. A write whose answer was lost is never sent again by itself: look in the remote
system whether it arrived. The events of the call behind it go on then.`,
		Args: exactArgs("EVENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.EventId = args[0]
			made := cmd.Flags().Changed("made")
			switch {
			case made && !retry && !drop:
				req.Action = string(store.ResolveMade)
			case retry && !made && !drop:
				req.Action = string(store.ResolveRetry)
			case drop && !made && !retry:
				req.Action = string(store.ResolveDrop)
			default:
				return usageError(errors.New("one of --made, --retry and --drop is needed"), usageHint(cmd))
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewCallServiceClient(d).ResolveEvent(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.fact("event", resp.GetEvent().GetId())
					t.fact("state", resp.GetEvent().GetResult().GetState())
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.ExternalId, "made", "", "it arrived: what the remote system knows it by, or nothing: --made=")
	f.StringVar(&req.Url, "url", "", "with --made: where it is")
	f.BoolVar(&retry, "retry", false, "it did not arrive: send it again")
	f.BoolVar(&drop, "drop", false, "do nothing more for it")
	return cmd
}
