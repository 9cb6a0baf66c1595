package api

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

func callInfo(c store.Call) *hostv1.CallInfo {
	out := &hostv1.CallInfo{
		Id: idText(c.ID), Integration: c.Tenant + "/" + c.Name, CallId: c.External, State: string(c.State), LegId: c.LegID, Agent: c.Agent,
		Direction: c.Direction, From: c.From, To: c.To, Number: c.Number, Result: c.Result, Disposition: c.Disposition, Recording: c.Recording,
		StartedAt: timestamp(c.StartedAt), ConnectedAt: timestamp(c.ConnectedAt), EndedAt: timestamp(c.EndedAt),
		CreatedAt: timestamp(c.CreatedAt), UpdatedAt: timestamp(c.UpdatedAt), ClosedAt: timestamp(c.ClosedAt),
		LogId: c.Log.ID, LogUrl: c.Log.URL, Events: count(c.Events), Open: count(c.Open), Unknown: count(c.Unknown), Version: c.Version, ContactId: c.Contact,
	}
	if c.Duration > 0 {
		out.Duration = durationpb.New(time.Duration(c.Duration) * time.Second)
	}
	return out
}

// eventInfo converts an event with what was done for it.
func (s *Server) eventInfo(e store.CallEvent) *hostv1.CallEventInfo {
	var body sdk.CallEvent
	_ = json.Unmarshal(e.Body, &body) // it was written from one
	out := &hostv1.CallEventInfo{
		Id: idText(e.ID), Seq: count(e.Seq), Event: eventView(body), Result: s.eventResult(e), Attempts: count(e.Attempts),
		ReceivedAt: timestamp(e.ReceivedAt), FinishedAt: timestamp(e.FinishedAt), DueAt: timestamp(e.DueAt), Hint: eventHint(e),
	}
	for _, step := range e.Steps {
		view := &hostv1.HookStep{
			Way: string(step.Way), Name: step.Name, Attempt: count(step.Attempt), Skipped: step.Skipped, Status: count(step.Status),
			TookMs: count(int(step.Took.Milliseconds())), Error: s.hookFault(step.Error), Cached: step.Cached,
		}
		for _, text := range step.Warnings {
			view.Warnings = append(view.Warnings, s.opts.Redact(text))
		}
		out.Steps = append(out.Steps, view)
	}
	return out
}

// eventHint says what a person can do about an event.
func eventHint(e store.CallEvent) string {
	id := idText(e.ID)
	switch {
	case e.State == store.EventUnknown && e.DueAt.IsZero():
		return "look in the remote system whether it arrived; then: jackfield hook resolve " + id + " --made ID, or --retry if it did not"
	case e.State == store.EventFailed && e.Type.Writes():
		return "cure it, then: jackfield hook resolve " + id + " --retry"
	}
	return ""
}

func eventView(e sdk.CallEvent) *hostv1.CallEvent {
	out := &hostv1.CallEvent{
		Type: e.Type, CallId: e.CallID, LegId: e.LegID, Agent: e.Agent, Direction: e.Direction, From: e.From, To: e.To, At: timestamp(e.At),
		Result: e.Result, Recording: e.Recording, Disposition: e.Disposition, Update: e.Update, TransferTo: e.TransferTo, Text: e.Text, UserInfo: e.UserInfo,
	}
	if e.Duration > 0 {
		out.Duration = durationpb.New(time.Duration(e.Duration) * time.Second)
	}
	if len(e.Fields) > 0 {
		out.Fields = rawOf(e.Fields)
	}
	return out
}

// eventResult tells how far an event has got.
func (s *Server) eventResult(e store.CallEvent) *hostv1.EventResult {
	out := &hostv1.EventResult{State: string(e.State), Error: s.hookFault(e.Error)}
	if len(e.Answer) > 0 {
		out.Answer = s.callAnswer(e.Answer)
	}
	return out
}

func (s *Server) hookFault(e *store.HookError) *hostv1.HookFault {
	if e == nil {
		return nil
	}
	return &hostv1.HookFault{
		Class: e.Class, Code: e.Code, Message: s.opts.Redact(e.Message), Hint: s.opts.Redact(e.Hint), Outcome: e.Outcome, Status: count(e.Status),
		Fields: s.details(e.Fields),
	}
}

// callAnswer reads what a hook answered.
func (s *Server) callAnswer(raw json.RawMessage) *hostv1.CallAnswer {
	var a sdk.CallAnswer
	_ = json.Unmarshal(raw, &a) // it was written from one
	out := &hostv1.CallAnswer{Iframe: []byte(s.opts.Redact(string(a.Iframe))), Id: a.ID, Url: a.URL, FieldErrors: s.details(a.FieldErrors)}
	for _, contact := range a.Contacts {
		c := &hostv1.CallContact{
			Id: contact.ID, Name: contact.Name, Company: contact.Company, Title: contact.Title, Phone: contact.Phone, Email: contact.Email,
			Url: contact.URL, Kind: contact.Kind,
		}
		if len(contact.Extra) > 0 {
			c.Extra = rawOf(contact.Extra)
		}
		out.Contacts = append(out.Contacts, c)
	}
	if a.Route != nil {
		out.Route = a.Route.To
	}
	if a.Reject != nil {
		out.Reject, out.RejectReason = true, a.Reject.Reason
	}
	return out
}
