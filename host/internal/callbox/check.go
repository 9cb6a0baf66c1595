package callbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// InvalidError says what is wrong with an event, by field.
type InvalidError struct{ Fields map[string]string }

// Error returns the fields in their order.
func (e *InvalidError) Error() string {
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
		lines = append(lines, field+": "+e.Fields[field])
	}
	return "event: " + strings.Join(lines, "; ")
}

// Is reports that the event is what store.ErrInvalid stands for.
func (*InvalidError) Is(target error) bool { return target == store.ErrInvalid }

// Bounds of the fields of an event.
const (
	maxText    = 16 << 10
	maxName    = 256
	maxUser    = 64
	maxFuture  = 5 * time.Minute // a clock that is ahead
	maxPast    = 30 * 24 * time.Hour
	maxSpeech  = 7 * 24 * time.Hour
	maxAddress = 4 << 10
)

// checker collects what is wrong.
type checker map[string]string

func (c checker) wrong(field, format string, args ...any) {
	if _, told := c[field]; !told {
		c[field] = fmt.Sprintf(format, args...)
	}
}

// text looks at a text of at most so many bytes.
func (c checker) text(field, value string, most int, needed bool) {
	switch {
	case value == "" && needed:
		c.wrong(field, "is required")
	case len(value) > most:
		c.wrong(field, "has %d bytes, %d are allowed", len(value), most)
	case !utf8.ValidString(value):
		c.wrong(field, "is no UTF-8")
	case most <= maxName && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.wrong(field, "has control characters")
	}
}

// oneOf looks at a word.
func (c checker) oneOf(field, value string, needed bool, words ...string) {
	if value == "" && !needed || slices.Contains(words, value) {
		return
	}
	c.wrong(field, "is one of %s", strings.Join(words, ", "))
}

// only refuses a field that another type of event has.
func (c checker) only(field string, given bool, typ string, types ...store.CallEventType) {
	if given && !slices.Contains(types, store.CallEventType(typ)) {
		c.wrong(field, "is not of %s", typ)
	}
}

// UpdateContact is the update that says which of several contacts the other side is:
// the field ContactField has its id.
const UpdateContact = "contact"

// UpdateTransfer is the update that gives the call to another agent: transfer_to is who.
const UpdateTransfer = "transfer"

// ContactField has the id of a contact: in UpdateContact, and in forms.
const ContactField = "contact_id"

// Results returns how calls can end.
func Results() []string {
	return []string{"COMPLETED", "BUSY", "NO_ANSWER", "CANCELED", "FAILED", "REJECTED", "MISSED"}
}

// check returns what is wrong with an event, as *InvalidError.
func check(e sdk.CallEvent, now time.Time) error {
	c := checker{}
	c.oneOf("type", e.Type, true, store.Triggers()...)
	c.text("call_id", e.CallID, store.MaxExternalCallID, true)
	for field, value := range map[string]string{
		"leg_id": e.LegID, "agent": e.Agent, "from": e.From, "to": e.To, "disposition": e.Disposition, "transfer_to": e.TransferTo,
	} {
		c.text(field, value, maxName, false)
	}
	typ := store.CallEventType(e.Type)
	c.oneOf("direction", e.Direction, typ == store.CallStarted || typ == store.SMSSent, "in", "out")
	c.oneOf("result", e.Result, typ == store.CallEnded, Results()...)
	c.oneOf("update", e.Update, typ == store.CallUpdated, "hold", "resume", UpdateTransfer, "note", UpdateContact)
	c.text("text", e.Text, maxText, typ == store.SMSSent || e.Update == "note")
	c.text("transfer_to", e.TransferTo, maxName, e.Update == UpdateTransfer)
	if e.Update == UpdateContact {
		id, _ := e.Fields[ContactField].(string)
		c.text("fields", id, maxName, true)
	}
	c.only("result", e.Result != "", e.Type, store.CallEnded)
	c.only("update", e.Update != "", e.Type, store.CallUpdated)
	c.only("duration", e.Duration != 0, e.Type, store.CallEnded, store.CallWrapup)
	c.only("recording", e.Recording != "", e.Type, store.CallEnded, store.CallWrapup, store.CallUpdated)
	if typ == store.CallStarted || typ == store.SMSSent {
		side, number := "to", e.To
		if e.Direction == "in" {
			side, number = "from", e.From
		}
		c.text(side, number, maxName, true)
	}
	if e.Duration < 0 || time.Duration(e.Duration)*time.Second > maxSpeech {
		c.wrong("duration", "is not between 0 and 7 days")
	}
	c.times(e, now)
	c.loose(e)
	if len(c) > 0 {
		return &InvalidError{c}
	}
	return nil
}

// times looks at when it happened.
func (c checker) times(e sdk.CallEvent, now time.Time) {
	if !e.At.IsZero() && (e.At.After(now.Add(maxFuture)) || e.At.Before(now.Add(-maxPast))) {
		c.wrong("at", "is not within the last 30 days")
	}
	if e.Recording == "" {
		return
	}
	c.text("recording", e.Recording, maxAddress, false)
	if u, err := url.Parse(e.Recording); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		c.wrong("recording", "is no address of http or https")
	}
}

// loose looks at what the sender is free to add.
func (c checker) loose(e sdk.CallEvent) {
	if len(e.UserInfo) > maxUser {
		c.wrong("user_info", "has %d entries, %d are allowed", len(e.UserInfo), maxUser)
	}
	for name, value := range e.UserInfo {
		c.text("user_info", name, maxName, true)
		c.text("user_info", value, maxText, false)
	}
	form := store.CallEventType(e.Type) == store.TicketCreate || store.CallEventType(e.Type) == store.ContactCreate
	if form && len(e.Fields) == 0 {
		c.wrong("fields", "a form is required")
	}
	if raw, err := json.Marshal(e); err != nil || len(raw) > store.MaxCallEventBytes {
		c.wrong("fields", "the event has more than %d bytes", store.MaxCallEventBytes)
	}
}

// complete returns an event with what follows from it.
func complete(e sdk.CallEvent, now time.Time) sdk.CallEvent {
	if e.At.IsZero() {
		e.At = now
	}
	e.At = e.At.UTC()
	if e.Number == "" {
		switch e.Direction {
		case "in":
			e.Number = e.From
		case "out":
			e.Number = e.To
		}
	}
	return e
}

// details returns what an event tells of its call, and the state that the call has
// then; no state leaves it.
func details(e sdk.CallEvent) (store.CallDetails, store.CallState) {
	d := store.CallDetails{
		LegID: e.LegID, Agent: e.Agent, Direction: e.Direction, From: e.From, To: e.To, Number: e.Number,
		Result: e.Result, Disposition: e.Disposition, Recording: e.Recording, Duration: e.Duration,
	}
	switch store.CallEventType(e.Type) {
	case store.CallStarted:
		d.StartedAt = e.At
	case store.CallConnected:
		d.ConnectedAt = e.At
		return d, store.CallTalking
	case store.CallEnded:
		d.EndedAt = e.At
		return d, store.CallOver
	case store.CallUpdated:
		switch e.Update {
		case "hold":
			return d, store.CallHeld
		case "resume":
			return d, store.CallTalking
		case UpdateContact:
			d.Contact, _ = e.Fields[ContactField].(string)
		}
	case store.CallWrapup:
		return d, store.CallOver
	case store.SMSSent, store.TicketCreate, store.ContactCreate: // they may come when a call is over
		d = store.CallDetails{Agent: e.Agent}
		if store.CallEventType(e.Type) == store.SMSSent {
			d.Direction, d.From, d.To, d.Number = e.Direction, e.From, e.To, e.Number
		}
	}
	return d, ""
}

// told returns an event with what others told of its call.
func told(e sdk.CallEvent, c store.Call) sdk.CallEvent {
	for _, v := range []struct {
		to   *string
		from string
	}{
		{&e.LegID, c.LegID},
		{&e.Agent, c.Agent},
		{&e.Direction, c.Direction},
		{&e.From, c.From},
		{&e.To, c.To},
		{&e.Number, c.Number},
		{&e.Disposition, c.Disposition},
		{&e.Recording, c.Recording},
	} {
		if *v.to == "" {
			*v.to = v.from
		}
	}
	e.StartedAt, e.ConnectedAt, e.EndedAt = c.StartedAt, c.ConnectedAt, c.EndedAt
	if store.CallEventType(e.Type) == store.CallWrapup { // what the end told, which a wrap-up may correct
		e.Result, e.Duration = cmp.Or(e.Result, c.Result), cmp.Or(e.Duration, c.Duration)
	}
	return e
}
