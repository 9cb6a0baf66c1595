package screen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: K25, X05
func TestAnActionNeedsTheTokenOfItsScreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b, other := w.browser(), w.browser()
	path := b.open()
	form := formOf(t, b.get(path).text, "Create ticket")
	form.Set("f.subject", "Relay")
	theirs := formOf(t, other.get(other.open()).text, "Create ticket")
	for name, c := range map[string]struct {
		token   string
		headers []string
	}{
		"none": {"", nil}, "wrong": {strings.Repeat("0", 32), nil}, "of another screen": {theirs.Get("csrf"), nil},
		"another site":    {form.Get("csrf"), []string{"Sec-Fetch-Site", "cross-site"}},
		"a sibling":       {form.Get("csrf"), []string{"Sec-Fetch-Site", "same-site"}},
		"another origin":  {form.Get("csrf"), []string{"Origin", crm}},
		"a hidden origin": {form.Get("csrf"), []string{"Origin", "null"}},
	} {
		sent := url.Values{"form": form["form"], "once": form["once"], "csrf": {c.token}, "f.subject": {"x"}}
		require.Equal(t, http.StatusForbidden, b.do(http.MethodPost, path+"/act", sent, c.headers...).code, name)
	}
	require.Equal(t, http.StatusUnauthorized, w.browser().do(http.MethodPost, path+"/act", form).code, "without the cookie")
	require.Equal(t, http.StatusNotFound, b.get(path+"/act").code)
	require.Empty(t, w.calls.acts())
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", form, "Sec-Fetch-Site", "same-origin", "Origin", w.http.URL).code)
	require.Len(t, w.calls.acts(), 1)
	require.Equal(t, testScope(), w.calls.scopes[0], "the action is of the session's agent, whatever the form says")
}

// rows: K25, G27
func TestOnlyWhatAFormHasIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b := w.browser()
	path := b.open()
	form := formOf(t, b.get(path).text, "Create ticket")
	for name, value := range map[string]string{"f.subject": "Relay", "f.email": "a@b.example", "f.priority": "high", "f.urgent": "true", "f.admin": "true", "kind": "contact.create", "action": "delete"} {
		form.Set(name, value)
	}
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", form).code)
	require.Equal(t, sdk.ActionTicket, w.calls.acts()[0].Kind)
	require.Equal(t, map[string]string{"subject": "Relay", "email": "a@b.example", "priority": "high", "urgent": "true", "text": ""}, w.calls.acts()[0].Values)

	form.Set("form", "part-0-000000000000")
	require.Equal(t, http.StatusConflict, b.do(http.MethodPost, path+"/act", form).code, "a form that is not there")
	button := formOf(t, b.get(path).text, "Not a customer")
	button.Set("f.text", "something else")
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", button).code)
	require.Equal(t, map[string]string{"text": "not a customer"}, w.calls.acts()[1].Values, "a button sends what the screen says")
	require.Equal(t, sdk.ActionNote, w.calls.acts()[1].Kind)
	form.Set("f.text", strings.Repeat("x", maxForm))
	require.Equal(t, http.StatusRequestEntityTooLarge, b.do(http.MethodPost, path+"/act", form).code)
	require.Len(t, w.calls.acts(), 2)
}

// rows: G27
func TestWhatTheCRMRefusesStandsBesideItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	w.calls.answer = func(Act) (Outcome, error) {
		return Outcome{State: OutcomeRefused, Message: "The ticket was not created.", Fields: map[string]string{"email": "This address is blocked."}}, nil
	}
	b := w.browser()
	path := b.open()
	form := formOf(t, b.get(path).text, "Create ticket")
	a := b.do(http.MethodPost, path+"/act", form)
	require.Equal(t, http.StatusUnprocessableEntity, a.code)
	require.Contains(t, a.text, "This is needed.")
	require.Empty(t, w.calls.acts(), "what is missing is said before the CRM is asked")

	for name, value := range map[string]string{"f.subject": "Relay <70>", "f.email": "x@blocked.example", "f.priority": "high", "f.text": "\nIt \"clicks\".", "f.urgent": "true"} {
		form.Set(name, value)
	}
	a = b.do(http.MethodPost, path+"/act", form)
	require.Equal(t, http.StatusUnprocessableEntity, a.code)
	require.Contains(t, a.text, `<p class="bad" role="alert">The ticket was not created.</p>`)
	require.Regexp(t, `<input type="email" id="(part-6-\w+-1)" name="f.email" value="x@blocked.example"[^>]* aria-invalid="true" aria-describedby="part-6-\w+-1-help part-6-\w+-1-error">`, a.text)
	require.Regexp(t, `<p class="error" dir="auto" id="part-6-\w+-1-error">This address is blocked.</p>`, a.text)
	require.Contains(t, a.text, `value="Relay &lt;70&gt;"`)
	require.Contains(t, a.text, `<option value="high" selected>High</option>`)
	require.Contains(t, a.text, ">\n\nIt &#34;clicks&#34;.</textarea>", "a line break at the beginning is kept")
	require.Contains(t, a.text, `value="true" checked`)
	require.Equal(t, 1, strings.Count(a.text, `aria-invalid`))
	require.NotContains(t, b.get(path).text, "blocked", "nobody else's page has it")

	w.calls.answer = func(Act) (Outcome, error) { return Outcome{}, errors.New("the store is full") }
	form.Set("once", formOf(t, a.text, "Create ticket").Get("once"))
	a = b.do(http.MethodPost, path+"/act", form)
	require.Equal(t, http.StatusBadGateway, a.code)
	require.Contains(t, a.text, `value="x@blocked.example"`, "what was typed is kept")
	require.NotContains(t, a.text, "the store is full")
}

// A form that is posted again, by a double click or a reload, has one effect and shows
// what came of the first; the form of a page that was shown after it is another.
//
// rows: F22, G27
func TestAFormThatIsPostedTwiceHasOneEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b := w.browser()
	path := b.open()
	page := b.get(path).text
	form := formOf(t, page, "Create ticket")
	form.Set("f.subject", "Relay")
	answers := func(out Outcome, err error) {
		w.calls.mu.Lock()
		defer w.calls.mu.Unlock()
		w.calls.answer = func(Act) (Outcome, error) { return out, err }
	}
	answers(Outcome{}, errors.New("no answer"))
	for range 2 {
		require.Equal(t, http.StatusBadGateway, b.do(http.MethodPost, path+"/act", form).code)
	}
	answers(Outcome{State: OutcomeDone, ID: "T-3", URL: "https://crm.acme.example/t/3"}, nil)
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", form).code)
	acts := w.calls.acts()
	require.Len(t, acts, 3, "what came to nothing is done again")
	require.Equal(t, acts[0].Key, acts[1].Key)
	require.Equal(t, acts[0].Key, acts[2].Key, "and is the same request")

	answers(Outcome{State: OutcomeDone, ID: "T-4"}, nil)
	b.do(http.MethodPost, path+"/act", formOf(t, page, "Not a customer"))
	require.Contains(t, b.get(path).text, "T-4", "another form of the page")
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", form).code)
	shown := b.get(path).text
	require.Contains(t, shown, `<a href="https://crm.acme.example/t/3" target="_blank" rel="noopener noreferrer">Open T-3</a>`, "what came of the first")
	require.Len(t, w.calls.acts(), 4)

	form.Set("f.subject", "Moth")
	b.do(http.MethodPost, path+"/act", form)
	fresh := formOf(t, shown, "Create ticket")
	fresh.Set("f.subject", "Relay")
	answers(Outcome{State: OutcomeRefused, Message: "Not this one."}, nil)
	for range 2 {
		require.Contains(t, b.do(http.MethodPost, path+"/act", fresh).text, "Not this one.")
	}
	again := formOf(t, b.do(http.MethodPost, path+"/act", fresh).text, "Create ticket")
	again.Set("f.subject", "Relay")
	b.do(http.MethodPost, path+"/act", again)
	acts = w.calls.acts()
	require.Len(t, acts, 7)
	keys := map[string]bool{}
	for _, a := range acts[2:] {
		keys[a.Key] = true
	}
	require.Len(t, keys, 5, "other values, another page, and what is sent again after it was refused are others")

	form.Del("once")
	require.Equal(t, http.StatusConflict, b.do(http.MethodPost, path+"/act", form).code, "a form of no page")
	require.Len(t, w.calls.acts(), 7)
}

// A double click sends the second request while the first is under way.
//
// rows: F22
func TestADoubleClickHasOneEffect(t *testing.T) {
	t.Parallel()
	o := &session{id: "s", key: []byte("k")}
	key := o.actKey("form", "once", map[string]string{"subject": "Relay"})
	began, release, answers := make(chan struct{}), make(chan struct{}), make(chan string, 3)
	acts := 0
	click := func() {
		out, err := o.once(t.Context(), key, func(context.Context) (Outcome, error) {
			acts++
			close(began)
			<-release
			return Outcome{ID: "T-3"}, nil
		})
		answers <- fmt.Sprint(out.ID, err)
	}
	go click()
	<-began
	go click()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := o.once(gone, key, func(context.Context) (Outcome, error) { return Outcome{}, errors.New("somebody does it") })
	require.ErrorIs(t, err, context.Canceled, "who has gone waits no more")
	close(release)
	for range 2 {
		require.Equal(t, "T-3<nil>", <-answers)
	}
	require.Equal(t, 1, acts)

	for i := range maxActs {
		_, err := o.once(t.Context(), fmt.Sprint(i), func(context.Context) (Outcome, error) { return Outcome{}, nil })
		require.NoError(t, err)
	}
	require.Len(t, o.acts, maxActs)
	require.Len(t, o.recent, maxActs)
	require.NotContains(t, o.acts, key, "the oldest is forgotten")
}

func TestAnAgentIsToldWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b := w.browser()
	path := b.open()
	for _, c := range []struct {
		out  Outcome
		want string
	}{
		{Outcome{State: OutcomeQueued}, `<p class="good">It is kept, and will be sent when the CRM answers.`},
		{Outcome{State: OutcomeUnknown}, `<p class="bad" role="alert">It may have been done, or not`},
		{Outcome{State: OutcomeDone, ID: "7"}, `Its number is <b>7</b>.`},
		{Outcome{State: OutcomeDone, ID: "7", URL: "javascript:alert(1)"}, `Its number is <b>7</b>.`},
	} {
		w.calls.answer = func(Act) (Outcome, error) { return c.out, nil }
		require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", formOf(t, b.get(path).text, "Not a customer")).code)
		require.Contains(t, b.get(path).text, c.want)
	}
}

func TestOneOfSeveralMatchesIsChosen(t *testing.T) {
	t.Parallel()
	c := ringing()
	c.Matches = append(c.Matches, Match{ID: "8", Name: "Howard Aiken", Company: "Harvard"}, Match{ID: "9", Phone: "+49 30 1234567"})
	w := newWorld(t, c, true, nil)
	b := w.browser()
	path := b.open()
	page := b.get(path).text
	require.Contains(t, page, "3 contacts have this number")
	form := formOf(t, page, "f.match")
	require.Equal(t, http.StatusConflict, b.do(http.MethodPost, path+"/act", form).code, "nobody was chosen")
	form.Set("f.match", "70")
	require.Equal(t, http.StatusConflict, b.do(http.MethodPost, path+"/act", form).code, "somebody else")
	form.Set("f.match", "8")
	require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, path+"/act", form).code)
	require.Equal(t, []Act{{Kind: ChooseMatch, Values: map[string]string{"id": "8"}, Key: w.calls.acts()[0].Key}}, w.calls.acts())
	w.calls.set(func(c *Call) { c.Chosen = "8" })
	require.Regexp(t, `id="match-1" value="8" required checked`, b.get(path).text)
}
