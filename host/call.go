package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) callCommand() *cobra.Command {
	return group("call", "Show calls, their events and what was done for each", c.callListCommand(), c.callShowCommand(), c.callScreenCommand())
}

func (c *cli) callListCommand() *cobra.Command {
	req := &hostv1.ListCallsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List calls, the newest first",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewCallServiceClient(d).ListCalls(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "calls", func(t *table) {
					t.head("CALL", "INTEGRATION", "CALL ID", "STATE", "NUMBER", "AGENT", "LOG", "EVENTS", "OPEN", "UNKNOWN", "CREATED")
					for _, i := range resp.GetCalls() {
						t.row(i.GetId(), i.GetIntegration(), i.GetCallId(), i.GetState(), i.GetNumber(), i.GetAgent(), i.GetLogId(),
							fmt.Sprint(i.GetEvents()), fmt.Sprint(i.GetOpen()), fmt.Sprint(i.GetUnknown()), i.GetCreatedAt())
					}
					more(t, resp.GetNext())
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&req.Integration, "integration", "i", "", "only those of this integration")
	f.StringVar(&req.Tenant, "tenant", "", "only this tenant's")
	f.BoolVar(&req.Open, "open", false, "only those of which something is still to be done")
	f.BoolVar(&req.Unknown, "unknown", false, "only those of which something waits for a person")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.complete(completeTenants)) // the flag is there
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func (c *cli) callShowCommand() *cobra.Command {
	req := &hostv1.GetCallRequest{}
	cmd := &cobra.Command{
		Use:   "show CALL",
		Short: "Show a call: its events, what was done for each, and what waits for a person",
		Long: `Show a call by its number, or with -i by the id that the sender of its events knows. What hooks left for
later ones stands in the context, without secrets.`,
		Example: "  jackfield call show 12\n  jackfield call show -i acme/crm 4711",
		Args:    exactArgs("CALL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Id = args[0]
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewCallServiceClient(d).GetCall(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { callPage(t, resp) })
			})
		},
	}
	cmd.Flags().StringVarP(&req.Integration, "integration", "i", "", "CALL is the id that the sender of this integration's events knows")
	return cmd
}

// callPage tells a call as it went.
func callPage(t *table, resp *hostv1.GetCallResponse) {
	i := resp.GetCall()
	t.fact("call", i.GetId())
	t.fact("integration", i.GetIntegration())
	t.fact("call id", i.GetCallId())
	t.fact("state", i.GetState())
	t.fact("direction", i.GetDirection())
	t.fact("number", i.GetNumber())
	t.fact("contact", i.GetContactId())
	t.fact("agent", i.GetAgent())
	t.fact("result", i.GetResult())
	if i.GetDuration() != nil {
		t.fact("duration", shortDuration(i.GetDuration().AsDuration()))
	}
	t.fact("disposition", i.GetDisposition())
	t.fact("recording", i.GetRecording())
	t.fact("log", i.GetLogId())
	t.fact("log url", i.GetLogUrl())
	t.section("Events")
	t.head("EVENT", "TYPE", "AGENT", "AT", "STATE", "ATTEMPTS", "NEXT", "ANSWER")
	for _, e := range resp.GetEvents() {
		answer := e.GetResult().GetAnswer().GetId()
		if n := len(e.GetResult().GetAnswer().GetContacts()); n > 0 {
			answer = fmt.Sprintf("%d contacts", n)
		}
		t.row(e.GetId(), eventName(e.GetEvent()), e.GetEvent().GetAgent(), e.GetEvent().GetAt(), e.GetResult().GetState(), fmt.Sprint(e.GetAttempts()), e.GetDueAt(), answer)
	}
	for _, e := range resp.GetEvents() {
		eventSteps(t, e)
	}
	if len(resp.GetScreen().GetContacts()) > 0 || len(resp.GetScreen().GetIframe()) > 0 {
		answerFacts(t, resp.GetScreen())
	}
	if text := string(resp.GetContext()); text != "" && text != "{}" {
		t.section("Context")
		t.line("  " + text)
	}
}

// eventName tells what an event is of: its type and, of an update, which.
func eventName(e *hostv1.CallEvent) string {
	switch {
	case e.GetTransferTo() != "":
		return e.GetType() + " (" + e.GetUpdate() + " to " + e.GetTransferTo() + ")"
	case e.GetUpdate() != "":
		return e.GetType() + " (" + e.GetUpdate() + ")"
	}
	return e.GetType()
}

// eventSteps tells what was done for an event.
func eventSteps(t *table, e *hostv1.CallEventInfo) {
	if len(e.GetSteps()) == 0 && e.GetResult().GetError() == nil {
		return
	}
	t.section("Event " + e.GetId() + ", " + e.GetEvent().GetType())
	for _, s := range e.GetSteps() {
		what := "done"
		switch {
		case s.GetCached():
			what = "known from a moment ago"
		case s.GetSkipped() != "":
			what = "left out: " + s.GetSkipped()
		case s.GetError() != nil:
			what = s.GetError().GetMessage() + " (" + s.GetError().GetCode() + ", " + s.GetError().GetOutcome() + ")"
		}
		status := ""
		if s.GetStatus() > 0 {
			status = fmt.Sprint(s.GetStatus())
		}
		t.row("  "+s.GetWay(), s.GetName(), status, shortDuration(time.Duration(s.GetTookMs())*time.Millisecond), what)
		for _, text := range s.GetWarnings() {
			t.row("", "", "", "", "warning: "+text)
		}
	}
	if why := e.GetResult().GetError(); why != nil {
		t.fact("  why", why.GetMessage()+" ("+why.GetCode()+")")
	}
	t.fact("  to do", e.GetHint())
}
