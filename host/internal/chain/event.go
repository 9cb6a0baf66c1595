package chain

import (
	"slices"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// normal returns the event as a hook sees it: numbers in one form, the options and
// values that are declared and no others.
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
	options := map[string]bool{}
	for name, on := range f.Options {
		options[name] = on
		if said, ok := e.Options[name]; ok {
			options[name] = said
		}
	}
	user := map[string]string{}
	for name, v := range e.User {
		if slices.Contains(f.User, name) {
			user[name] = v
		}
	}
	e.Options, e.User = options, user
	return e
}

// callOf returns what expressions see of an event, by the names of its JSON. What is
// not known is not there.
func callOf(e sdk.CallEvent) map[string]any {
	out := map[string]any{"type": e.Type, "id": e.Call, "call": e.Call, "options": anyOf(e.Options), "user": anyOf(e.User), "fields": orEmpty(e.Fields)}
	for name, v := range map[string]string{
		"leg": e.Leg, "agent": e.Agent, "direction": e.Direction, "from": e.From, "to": e.To, "number": e.Number, "status": e.Status,
		"disposition": e.Disposition, "recording": e.Recording, "text": e.Text, "log_id": e.LogID, "key": e.Key,
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
	if e.Type == "call.ended" || e.Seconds > 0 {
		out["seconds"] = e.Seconds
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
