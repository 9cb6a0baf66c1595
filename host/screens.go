package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/callbox"
	"github.com/jackfield/jackfield/host/internal/screen"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// wireScreens makes what shows calls to agents.
func (h *Host) wireScreens(c *calls) (err error) {
	h.screens, err = screen.New(&shownCalls{calls: c, integration: h.db.IntegrationByName, redact: h.redactor.Redact}, screen.Options{
		Base: h.base, Origins: h.files.ScreenOrigins, Streams: max(1, h.descriptors.httpConnections()/2), Log: h.log.Named("screen"),
	})
	return err
}

// base returns where browsers reach the host; empty while they do not. A name in hosts:
// without a certificate is that of a proxy, which has one.
func (h *Host) base() string {
	addr, err := h.listening()
	if addr == nil || err != nil {
		return ""
	}
	if len(h.config.Hosts) == 0 {
		return h.scheme() + "://" + addr.String()
	}
	name := h.config.Hosts[0]
	if _, port, err := net.SplitHostPort(addr.String()); err == nil && h.config.TLS.Cert != "" && port != "443" {
		name = net.JoinHostPort(name, port)
	}
	return "https://" + name
}

func (h *Host) scheme() string {
	if h.config.TLS.Cert != "" {
		return "https"
	}
	return "http"
}

// screens are those of the host as the API knows them.
type screens struct {
	*screen.Server
	base func() string
}

var _ api.Screens = screens{}

// Open implements api.Screens.
func (s screens) Open(ctx context.Context, in store.Integration, r api.ScreenRequest) (string, time.Time, error) {
	if s.base() == "" {
		return "", time.Time{}, store.Hint(fmt.Errorf("there is no HTTP listener that shows a screen: %w", store.ErrConflict), "jackfield status says why; listen: in host.yaml")
	}
	t, err := s.Issue(ctx, screen.Scope{Tenant: in.Tenant, Integration: in.Name, Call: r.Call, Agent: r.Agent, Origin: r.Origin})
	switch {
	case errors.Is(err, screen.ErrGone):
		err = store.Hint(fmt.Errorf("call %s of %s: %w", r.Call, in.FullName(), store.ErrNotFound), "jackfield call list -i "+in.FullName())
	case errors.Is(err, screen.ErrMoved):
		err = store.Hint(fmt.Errorf("call %s was %s's: %w: %w", r.Call, r.Agent, err, store.ErrConflict), "jackfield call show -i "+in.FullName()+" "+r.Call)
	}
	return t.URL, t.ExpiresAt, err
}

// Close implements api.Screens.
func (s screens) Close(in store.Integration, call, agent string) int {
	return s.Revoke(screen.Scope{Tenant: in.Tenant, Integration: in.Name, Call: call, Agent: agent})
}

// shownCalls are the calls as screens show them.
type shownCalls struct {
	calls       *calls
	integration func(ctx context.Context, tenant, name string) (store.Integration, error)
	redact      func(string) string
}

var _ screen.Calls = (*shownCalls)(nil)

// find returns what a screen is for.
func (s *shownCalls) find(ctx context.Context, of screen.Scope) (store.Integration, store.Call, error) {
	in, err := s.integration(ctx, of.Tenant, of.Integration)
	if err == nil && (!in.RemovedAt.IsZero() || in.State == store.IntegrationDisabled) {
		err = store.ErrNotFound
	}
	var c store.Call
	if err == nil {
		c, err = s.calls.CallByExternal(ctx, in.UID, of.Call)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = screen.ErrGone
	}
	return in, c, err
}

// Call implements screen.Calls.
func (s *shownCalls) Call(ctx context.Context, of screen.Scope) (screen.Call, error) {
	_, c, err := s.find(ctx, of)
	if err != nil {
		return screen.Call{}, err
	}
	events, err := s.calls.CallEvents(ctx, c.ID)
	if err != nil {
		return screen.Call{}, err
	}
	out := screen.Call{
		State: screen.State(c.State), Direction: c.Direction, From: c.From, To: c.To, Disposition: c.Result,
		StartedAt: c.StartedAt, ConnectedAt: c.ConnectedAt, EndedAt: c.EndedAt, WrapupAt: c.ClosedAt, Chosen: c.Contact,
	}
	var who holders
	for _, e := range events {
		var body sdk.CallEvent
		if json.Unmarshal(e.Body, &body) != nil { // it was checked when it was stored
			continue
		}
		s.shown(&out, e, body)
		who.take(body)
	}
	if who.without(of.Agent) {
		return screen.Call{}, screen.ErrMoved
	}
	if len(c.Screen) > 0 {
		s.answered(&out, c.Screen)
	}
	return out, nil
}

// shown adds to a call what an event tells of it.
func (s *shownCalls) shown(out *screen.Call, e store.CallEvent, body sdk.CallEvent) {
	switch e.Type {
	case store.CallStarted:
		out.Looking = e.State == store.EventQueued || e.State == store.EventRunning
		out.Notice = ""
		if e.Error != nil && !out.Looking {
			out.Notice = s.excuse(e.Error)
		}
	case store.CallWrapup:
		if out.WrapupAt.IsZero() || body.At.Before(out.WrapupAt) {
			out.WrapupAt = body.At
		}
	case store.CallUpdated, store.CallConnected, store.CallEnded, store.SMSSent, store.TicketCreate, store.ContactCreate:
	}
	out.Events = append(out.Events, screen.Event{At: body.At, Text: eventText(e, body)})
}

// excuse tells an agent why the CRM has nothing to show.
func (s *shownCalls) excuse(e *store.HookError) string {
	if e.Code == callbox.CodeLookupTimeout {
		return "The CRM did not answer in time."
	}
	return "The CRM could not be asked: " + s.redact(e.Message)
}

// eventText tells an agent of an event.
func eventText(e store.CallEvent, body sdk.CallEvent) string {
	text := map[store.CallEventType]string{
		store.CallStarted: "Ringing", store.CallConnected: "Answered", store.CallEnded: "Ended", store.CallWrapup: "Wrapped up",
		store.SMSSent: "Message sent", store.TicketCreate: "Ticket", store.ContactCreate: "Contact",
	}[e.Type]
	if e.Type == store.CallUpdated {
		text = map[string]string{
			"hold": "On hold", "resume": "Taken up again", "transfer": "Transferred to " + body.TransferTo, "note": "Note: " + body.Text,
			callbox.UpdateContact: "Contact chosen",
		}[body.Update]
	}
	if body.Agent != "" {
		text += ", " + body.Agent
	}
	switch e.State {
	case store.EventQueued, store.EventRunning:
		if e.Type != store.CallStarted {
			text += " (waits for the CRM)"
		}
	case store.EventFailed:
		text += " (not in the CRM)"
	case store.EventUnknown:
		text += " (perhaps in the CRM: look there)"
	case store.EventDone, store.EventSkipped:
	}
	return text
}

// answered adds what the newest lookup answered. A screen that breaks the rules is
// not shown.
func (s *shownCalls) answered(out *screen.Call, raw json.RawMessage) {
	var a sdk.CallAnswer
	if json.Unmarshal(raw, &a) != nil {
		return
	}
	for _, c := range a.Contacts {
		out.Matches = append(out.Matches, screen.Match{ID: c.ID, Name: c.Name, Phone: c.Phone, Email: c.Email, Company: c.Company, URL: c.URL})
	}
	if len(a.Iframe) == 0 {
		return
	}
	var shown sdk.Screen
	err := json.Unmarshal(a.Iframe, &shown)
	if err == nil {
		err = shown.Validate()
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		out.Notice = "The integration's screen cannot be shown: " + s.redact(first)
		return
	}
	out.Screen = shown
}

// Watch implements screen.Calls.
func (s *shownCalls) Watch(ctx context.Context, of screen.Scope) (<-chan struct{}, error) {
	_, c, err := s.find(ctx, of)
	if err != nil {
		return nil, err
	}
	out := make(chan struct{}, 1)
	changed, stop := s.calls.WatchCall(c.ID)
	go func() {
		defer close(out)
		defer stop()
		again := time.NewTicker(screenLook)
		defer again.Stop()
		last := c.Version
		for {
			_, now, err := s.find(ctx, of)
			if err != nil || now.Version != last {
				last = now.Version
				nudge(out)
			}
			select {
			case <-changed:
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// screenLook is how often a screen looks whether its integration is still there: nobody
// tells it of that, since every import would.
const screenLook = 10 * time.Second

// Act implements screen.Calls.
func (s *shownCalls) Act(ctx context.Context, of screen.Scope, a screen.Act) (screen.Outcome, error) {
	in, _, err := s.find(ctx, of)
	if err != nil {
		return screen.Outcome{}, err
	}
	call, err := s.Call(ctx, of) // it may have become another agent's
	if err != nil {
		return screen.Outcome{}, err
	}
	e := sdk.CallEvent{CallID: of.Call, Agent: of.Agent}
	switch a.Kind {
	case sdk.ActionTicket, sdk.ActionContact:
		e.Type, e.Fields = string(a.Kind), map[string]any{}
		for name, value := range a.Values {
			e.Fields[name] = value
		}
		if a.Kind == sdk.ActionTicket {
			addContact(e.Fields, call)
		}
	case sdk.ActionNote:
		e.Type, e.Update, e.Text = string(store.CallUpdated), "note", a.Values["text"]
	case screen.ChooseMatch:
		e.Type, e.Update, e.Fields = string(store.CallUpdated), callbox.UpdateContact, map[string]any{callbox.ContactField: a.Values["id"]}
	}
	sent, err := s.calls.Send(ctx, in, api.CallRequest{Event: e, Key: "screen-" + a.Key})
	if wrong, ok := errors.AsType[*callbox.InvalidError](err); ok {
		return screen.Outcome{State: screen.OutcomeRefused, Message: "This cannot be sent.", Fields: wrong.Fields}, nil
	}
	if err != nil {
		return screen.Outcome{}, err
	}
	return s.outcome(sent.Event, a), nil
}

// addContact says whose ticket it is, if that is known and the form does not say it.
func addContact(fields map[string]any, c screen.Call) {
	id := c.Chosen
	if id == "" && len(c.Matches) == 1 {
		id = c.Matches[0].ID
	}
	known := slices.ContainsFunc(c.Matches, func(m screen.Match) bool { return m.ID == id })
	if _, said := fields[callbox.ContactField]; known && !said {
		fields[callbox.ContactField] = id
	}
}

// outcome tells what became of an event.
func (s *shownCalls) outcome(e store.CallEvent, a screen.Act) screen.Outcome {
	var answer sdk.CallAnswer
	_ = json.Unmarshal(e.Answer, &answer) // none, or the host's own
	out := screen.Outcome{State: screen.OutcomeQueued, ID: answer.ID, URL: answer.URL}
	switch e.State {
	case store.EventDone, store.EventSkipped:
		out.State = screen.OutcomeDone
		if e.State == store.EventSkipped && (a.Kind == sdk.ActionTicket || a.Kind == sdk.ActionContact) {
			out = screen.Outcome{State: screen.OutcomeRefused, Message: "The integration does not know how to make one."}
		}
	case store.EventUnknown:
		out.State = screen.OutcomeUnknown
	case store.EventFailed:
		out = screen.Outcome{State: screen.OutcomeRefused}
		if e.Error != nil {
			out.Message, out.Fields = "The CRM refused it: "+s.redact(e.Error.Message), e.Error.Fields
		}
	case store.EventQueued, store.EventRunning:
		if a.Kind == sdk.ActionNote || a.Kind == screen.ChooseMatch {
			out.State = screen.OutcomeDone // it stands in the call
		}
	}
	if len(answer.FieldErrors) > 0 {
		out = screen.Outcome{State: screen.OutcomeRefused, Message: out.Message, Fields: answer.FieldErrors}
	}
	return out
}
