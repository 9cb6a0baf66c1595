package chain

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// normal returns the event as a template sees it: numbers in one form, and of what
// pages told what the template asks for.
func normal(e sdk.CallEvent, f Flow, t Target) sdk.CallEvent {
	if e.Number == "" {
		e.Number = e.To
		if e.Direction == "in" {
			e.Number = e.From
		}
	}
	for _, n := range []*string{&e.Number, &e.From, &e.To} {
		if *n != "" {
			*n = t.Number(*n)
		}
	}
	user := map[string]string{}
	for name, v := range e.UserInfo {
		if slices.Contains(f.User, name) {
			user[name] = v
		}
	}
	e.UserInfo = user
	return e
}

// callOf returns what expressions see of a call, by the names of its JSON. What is
// not known is not there.
func callOf(h sdk.CallHook, f Flow) map[string]any {
	e := h.Event
	options := f.Options
	if h.Options != nil {
		options = h.Options
	}
	out := map[string]any{
		"type": e.Type, "options": anyOf(options), "user_info": anyOf(e.UserInfo), "fields": orEmpty(e.Fields), "log": map[string]any{},
	}
	if h.Log != nil {
		out["log"] = map[string]any{"id": h.Log.ID, "url": h.Log.URL}
	}
	if h.Contact != nil {
		out["contact"], out["contact_id"] = asList([]sdk.CallContact{*h.Contact})[0], h.Contact.ID
	}
	for name, v := range map[string]string{
		"call_id": e.CallID, "leg_id": e.LegID, "agent": e.Agent, "direction": e.Direction, "from": e.From, "to": e.To, "number": e.Number,
		"result": e.Result, "recording": e.Recording, "disposition": e.Disposition, "update": e.Update, "transfer_to": e.TransferTo,
		"text": e.Text, "hook": h.Hook, "idempotency_key": h.IdempotencyKey,
	} {
		if v != "" {
			out[name] = v
		}
	}
	for name, at := range map[string]time.Time{"at": e.At, "started_at": e.StartedAt, "connected_at": e.ConnectedAt, "ended_at": e.EndedAt} {
		if !at.IsZero() {
			out[name] = at.UTC().Format(time.RFC3339)
		}
	}
	if e.Duration > 0 || !e.EndedAt.IsZero() {
		out["duration"] = e.Duration
	}
	return out
}

func anyOf[V any](m map[string]V) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		out[name] = v
	}
	return out
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// contextOf decodes what hooks left. What cannot be read is not there.
func contextOf(parts ...map[string]json.RawMessage) map[string]any {
	out := map[string]any{}
	for _, part := range parts {
		for name, raw := range part {
			v, err := decode(raw)
			if err != nil || v == nil {
				delete(out, name)
				continue
			}
			out[name] = v
		}
	}
	return out
}
