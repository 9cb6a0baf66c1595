package screen

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// page is what the template shows.
type page struct {
	Title   string
	ID      string // of the session; empty for a page that only says what is wrong
	Origin  string // that messages go to and come from
	CSRF    string
	Once    string // tells the forms of this page from those of any other
	Live    bool   // the call goes on
	Status  string // such as "Connected", read out when it changes
	State   string // for the looks
	Lines   []line // who calls whom, and when
	Notice  string
	Alert   string // what did not work
	Done    *done
	Looking bool
	Matches []match
	Parts   []part
	Events  []moment

	Head, Text string // of a page that only says what is wrong
}

type line struct {
	Label, Text string
	Phone       template.URL
	At          *moment
}

type moment struct {
	Machine, Human, Text string
}

type done struct {
	Text, Href, ID string
}

type match struct {
	ID, FieldID, Name, Detail, Href string
	Chosen                          bool
}

// parsePage reads the page's template, which names the assets.
func parsePage(a assets) (*template.Template, error) {
	text, err := files.ReadFile("assets/page.html")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	t, err := template.New("page").Funcs(template.FuncMap{"asset": a.path}).Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return t, nil
}

// show answers with the page of a call.
func (s *Server) show(w http.ResponseWriter, _ *http.Request, o *session, call Call) {
	v := s.view(o, call, attempt{})
	if told := o.tell(time.Now()); told != nil {
		v.Done, v.Alert = tellOutcome(*told)
	}
	s.render(w, http.StatusOK, v)
}

// problem answers with a page that says what is wrong.
func (s *Server) problem(w http.ResponseWriter, code int, head, text string) {
	s.render(w, code, page{Title: head, Head: head, Text: text})
}

func (s *Server) render(w http.ResponseWriter, code int, p page) {
	var out bytes.Buffer
	if err := s.page.Execute(&out, p); err != nil {
		s.opts.Log.Error("a screen cannot be made", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = out.WriteTo(w) // who has gone reads nothing
}

// view makes the page of a call, with what was typed in a form that was not done.
func (s *Server) view(o *session, call Call, a attempt) page {
	p := page{
		ID: o.id, Origin: o.scope.Origin, CSRF: o.csrf(), Once: rand.Text(), Alert: a.note, Notice: call.Notice, Looking: call.Looking,
		State: string(call.State), Status: status(call), Live: true, Lines: lines(call),
		Title: or(call.Screen.Title, or(chosenName(call), or(remote(call), "Call"))),
	}
	if len(call.Matches) > 0 {
		p.Matches = matches(call)
	}
	for i, c := range call.Screen.Components {
		if i < maxParts {
			p.Parts = append(p.Parts, viewPart(partID(i, c), c, a))
		}
	}
	for _, e := range call.Events[max(0, len(call.Events)-maxEvents):] {
		p.Events = append(p.Events, *at(e.At, e.Text))
	}
	return p
}

const (
	matchForm  = "match"
	maxMatches = 50
	maxEvents  = 100
)

// status says how far a call is.
func status(c Call) string {
	switch c.State {
	case StateRinging:
		if c.Direction == "out" {
			return "Dialling"
		}
		return "Ringing"
	case StateConnected:
		return "Connected"
	case StateHeld:
		return "On hold"
	case StateEnded, StateClosed:
		if how := strings.ToLower(strings.ReplaceAll(c.Disposition, "_", " ")); how != "" && how != "completed" {
			return "Ended: " + how
		}
		return "Ended"
	}
	return "Unknown"
}

// remote returns the number on the other side.
func remote(c Call) string {
	if c.Direction == "out" {
		return c.To
	}
	return c.From
}

// lines tells who calls whom and when.
func lines(c Call) []line {
	var out []line
	for _, n := range [][2]string{{"From", c.From}, {"To", c.To}} {
		if n[1] != "" {
			out = append(out, line{Label: n[0], Text: n[1], Phone: phoneAddress(n[1])})
		}
	}
	for _, t := range []struct {
		label string
		at    time.Time
	}{{"Began", c.StartedAt}, {"Answered", c.ConnectedAt}, {"Ended", c.EndedAt}} {
		if !t.at.IsZero() {
			out = append(out, line{Label: t.label, At: at(t.at, "")})
		}
	}
	return out
}

func at(t time.Time, text string) *moment {
	t = t.UTC()
	return &moment{Machine: t.Format(time.RFC3339), Human: t.Format("15:04:05") + " UTC", Text: text}
}

func chosenName(c Call) string {
	for _, m := range c.Matches {
		if m.ID == c.Chosen || len(c.Matches) == 1 {
			return m.Name
		}
	}
	return ""
}

// matches returns who it may be.
func matches(c Call) []match {
	var out []match
	for i, m := range c.Matches[:min(len(c.Matches), maxMatches)] {
		var detail []string
		for _, s := range []string{m.Company, m.Phone, m.Email} {
			if s != "" {
				detail = append(detail, s)
			}
		}
		out = append(out, match{
			ID: m.ID, FieldID: fmt.Sprintf("match-%d", i), Name: or(m.Name, or(m.Phone, m.ID)), Detail: strings.Join(detail, " · "),
			Href: webAddress(m.URL), Chosen: m.ID == c.Chosen || len(c.Matches) == 1,
		})
	}
	return out
}

// tellOutcome says what became of an act.
func tellOutcome(o Outcome) (*done, string) {
	switch o.State {
	case OutcomeQueued:
		return &done{Text: or(o.Message, "It is kept, and will be sent when the CRM answers.")}, ""
	case OutcomeUnknown:
		return nil, or(o.Message, "It may have been done, or not: the CRM did not answer. Look there before you do it again.")
	case OutcomeDone, OutcomeRefused:
	}
	return &done{Text: or(o.Message, "Done."), Href: webAddress(o.URL), ID: o.ID}, ""
}
