package screen

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackfield/jackfield/sdk"
)

// The bounds of what a form may send.
const (
	maxForm  = 128 << 10
	maxValue = 16 << 10
	maxOnce  = 64
)

// fieldPrefix stands before the names of a form's fields, which are the template's.
const fieldPrefix = "f."

// act does what a form or a button asks for.
func (s *Server) act(w http.ResponseWriter, r *http.Request, o *session, call Call) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.problem(w, http.StatusRequestEntityTooLarge, "That is too much for a form", "")
		return
	}
	token := r.PostForm.Get("csrf")
	if !sameOrigin(r, s.opts.Base()) || subtle.ConstantTimeCompare([]byte(token), []byte(o.csrf())) != 1 {
		s.problem(w, http.StatusForbidden, "This form is not of this screen", "Open the screen anew.")
		return
	}
	form := r.PostForm.Get("form")
	asked, typed, wrong := read(call, form, r.PostForm)
	once := r.PostForm.Get("once")
	switch {
	case asked == nil || once == "" || len(once) > maxOnce:
		s.again(w, r, o, call, http.StatusConflict, attempt{note: "The screen has changed meanwhile. Look at it again."})
		return
	case len(wrong) > 0:
		s.again(w, r, o, call, http.StatusUnprocessableEntity, attempt{form, typed, wrong, "Some fields are not right."})
		return
	}
	asked.Key = o.actKey(form, once, asked.Values)
	out, err := o.once(r.Context(), asked.Key, func(ctx context.Context) (Outcome, error) { return s.calls.Act(ctx, o.scope, *asked) })
	if err != nil {
		s.opts.Log.Warn("an action of a screen failed", "tenant", o.scope.Tenant, "integration", o.scope.Integration, "call", o.scope.Call, "action", asked.Kind, "error", err)
		s.again(w, r, o, call, http.StatusBadGateway, attempt{form, typed, nil, "It could not be done now. What you typed is still here: try again."})
		return
	}
	if out.State == OutcomeRefused {
		s.again(w, r, o, call, http.StatusUnprocessableEntity, attempt{form, typed, out.Fields, or(out.Message, "The CRM refused it.")})
		return
	}
	o.remember(out, time.Now())
	w.Header().Set("Location", "/screen/c/"+o.id)
	w.WriteHeader(http.StatusSeeOther)
}

// again shows the page with what was typed, and what is wrong with it.
func (s *Server) again(w http.ResponseWriter, r *http.Request, o *session, call Call, code int, a attempt) {
	if now, err := s.calls.Call(r.Context(), o.scope); err == nil {
		call = now // it may have changed
	}
	s.render(w, code, s.view(o, call, a))
}

// attempt is a form that was not done.
type attempt struct {
	form  string
	typed map[string]string
	wrong map[string]string // by the name of the field
	note  string
}

// read returns what a form asks for: only fields that the form has count. It is nil if
// the screen has no such form.
func read(call Call, form string, posted map[string][]string) (asked *Act, typed, wrong map[string]string) {
	if form == matchForm {
		return readMatch(call, posted)
	}
	for i, c := range call.Screen.Components {
		if (c.Type != sdk.ComponentForm && c.Type != sdk.ComponentButton) || partID(i, c) != form {
			continue
		}
		if c.Type == sdk.ComponentButton {
			return &Act{Kind: c.Action, Values: c.Values}, nil, nil
		}
		typed, wrong = map[string]string{}, map[string]string{}
		for _, f := range c.Fields {
			value := first(posted[fieldPrefix+f.Name])
			typed[f.Name] = value
			if problem := checkField(f, value); problem != "" {
				wrong[f.Name] = problem
			}
		}
		return &Act{Kind: c.Action, Values: typed}, typed, wrong
	}
	return nil, nil, nil
}

// readMatch returns the choice of one of the call's matches.
func readMatch(call Call, posted map[string][]string) (asked *Act, typed, wrong map[string]string) {
	id := first(posted[fieldPrefix+"match"])
	for _, m := range call.Matches {
		if m.ID == id {
			return &Act{Kind: ChooseMatch, Values: map[string]string{"id": id}}, nil, nil
		}
	}
	return nil, nil, nil
}

// checkField says what is wrong with a value before the CRM is asked.
func checkField(f sdk.ScreenField, value string) string {
	switch {
	case f.Required && strings.TrimSpace(value) == "":
		return "This is needed."
	case len(value) > maxValue:
		return fmt.Sprintf("This is too long: at most %d KiB.", maxValue>>10)
	case !utf8.ValidString(value):
		return "This is not text."
	case f.Kind == sdk.FieldSelect && value != "" && !offers(f, value):
		return "This is not one of the choices."
	}
	return ""
}

func offers(f sdk.ScreenField, value string) bool {
	for _, o := range f.Options {
		if o.Value == value {
			return true
		}
	}
	return false
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
