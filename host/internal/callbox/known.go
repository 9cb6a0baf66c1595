package callbox

import (
	"encoding/json"
	"slices"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// known returns an answer with what earlier attempts of its event got and it does not
// tell: one that sent nothing knows of nothing that was made before, and a question
// what became of a write replaces nothing.
func known(claimed store.ClaimedEvent, a sdk.CallAnswer) sdk.CallAnswer {
	var had sdk.CallAnswer
	if len(claimed.Event.Answer) == 0 || json.Unmarshal(claimed.Event.Answer, &had) != nil {
		return a
	}
	if had.ID != "" && (a.ID == "" || claimed.Ask) {
		a.ID, a.URL = had.ID, had.URL
	}
	if a.URL == "" && a.ID == had.ID {
		a.URL = had.URL
	}
	if len(a.Contacts) == 0 || claimed.Ask && len(had.Contacts) > 0 {
		a.Contacts = had.Contacts
	}
	if len(a.Iframe) == 0 {
		a.Iframe = had.Iframe
	}
	if len(a.Context) == 0 {
		a.Context = had.Context
	}
	return a
}

// made reports whether the hook wrote something that arrived.
func made(steps []store.HookStep) bool {
	return slices.ContainsFunc(steps, func(s store.HookStep) bool { return s.Write && s.Way != store.WayTrigger && s.Arrived() })
}

// Lost returns the writes whose answers were lost and that must not be sent again: of
// each what was known last.
func Lost(steps []store.HookStep) (out []store.HookStep) {
	seen := map[string]bool{}
	for _, s := range slices.Backward(steps) {
		if id := string(s.Way) + " " + s.Key; s.Write && s.Skipped == "" && !seen[id] {
			seen[id] = true
			if isLost(s) {
				out = append(out, s)
			}
		}
	}
	slices.Reverse(out)
	return out
}

func isLost(s store.HookStep) bool {
	return s.Way != store.WayPlugin && s.Write && s.Error != nil && s.Error.Outcome == store.OutcomeUnknown && !s.Error.Again
}

// arrive notes of steps whose answers were lost that they arrived, so that they are
// not done again. It returns false if there are none: a plugin's function is done as a
// whole.
func arrive(steps []store.HookStep) bool {
	some := false
	for i := range steps {
		s := &steps[i]
		if !isLost(*s) {
			continue
		}
		s.Error, some = nil, true
		s.Warnings = append(slices.Clone(s.Warnings), "its answer was lost: the remote system was asked")
	}
	return some
}
