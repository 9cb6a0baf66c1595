package screen

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// shownIn opens a screen in a tab of its own.
func shownIn(t *testing.T, c *chromium, w *world, script string) (tab context.Context) {
	t.Helper()
	tab = c.tab(t, script)
	do(t, tab, chromedp.Navigate(w.ticket(scopeFor(""))))
	holds(t, tab, `document.readyState === "complete" && document.getElementById("status") !== null`)
	return tab
}

func testLive(t *testing.T, c *chromium) {
	w := newBrowserWorld(t, ringing())
	tab := shownIn(t, c, w, "")
	holds(t, tab, `document.getElementById("status").textContent === "Ringing"`)
	do(t, tab, chromedp.SendKeys(`input[name="f.subject"]`, "The relay", chromedp.ByQuery))
	w.calls.set(func(c *Call) {
		c.State, c.ConnectedAt = StateConnected, c.StartedAt.Add(7e9)
		c.Screen.Title = "Rear Admiral Hopper"
		c.Screen.Components[5].Rows = append(c.Screen.Components[5].Rows, []sdk.ScreenValue{{Text: "T-9"}})
		c.Events = append(c.Events, Event{At: c.ConnectedAt, Text: "Answered by ada"})
	})
	holds(t, tab, `document.getElementById("status").textContent === "Connected" && document.body.innerText.includes("Answered by ada") && document.body.innerText.includes("T-9")`)
	require.Equal(t, "Rear Admiral Hopper", eval[string](t, tab, `document.title`))
	require.Equal(t, "The relay", eval[string](t, tab, `document.querySelector("input[name='f.subject']").value`), "what is typed stays")
	require.True(t, eval[bool](t, tab, `document.activeElement.name === "f.subject"`), "and so does the focus")

	w.calls.mu.Lock()
	w.calls.answer = func(Act) (Outcome, error) {
		return Outcome{State: OutcomeRefused, Message: "The CRM did not create the ticket.", Fields: map[string]string{"email": "Nobody has this address.", "priority": "Choose one."}}, nil
	}
	w.calls.mu.Unlock()
	do(t, tab, chromedp.Click(`form[data-form] button`, chromedp.ByQuery))
	holds(t, tab, `document.querySelectorAll("[aria-invalid]").length === 2`)
	require.Equal(t, "f.email", eval[string](t, tab, `document.activeElement.name`), "the first that is wrong is at hand")
	require.Equal(t, "The relay", eval[string](t, tab, `document.querySelector("input[name='f.subject']").value`))
	shot(t, tab, "form-with-errors")
	w.calls.set(func(c *Call) { c.State = StateHeld })
	holds(t, tab, `document.getElementById("status").textContent === "On hold"`)
	require.Equal(t, 2, eval[int](t, tab, `document.querySelectorAll("[aria-invalid]").length`), "a change takes no error away")
	require.Contains(t, eval[string](t, tab, `document.getElementById("told").textContent`), "did not create")

	w.calls.mu.Lock()
	w.calls.answer = func(Act) (Outcome, error) {
		return Outcome{State: OutcomeDone, ID: "T-10", URL: "https://crm.acme.example/t/10"}, nil
	}
	w.calls.mu.Unlock()
	do(t, tab, chromedp.Click(`form[data-form] button`, chromedp.ByQuery))
	holds(t, tab, `document.querySelector("#told .good a")?.textContent === "Open T-10"`)
	w.calls.set(func(c *Call) { c.State, c.EndedAt, c.Disposition = StateEnded, c.StartedAt.Add(60e9), "NO_ANSWER" })
	holds(t, tab, `document.getElementById("status").textContent === "Ended: no answer"`)
	require.Equal(t, "Open T-10", eval[string](t, tab, `document.querySelector("#told .good a").textContent`))
	w.screens.Revoke(Scope{Tenant: "acme"})
	holds(t, tab, `document.getElementById("told").textContent === "This screen is over." && [...document.querySelectorAll("button")].every((b) => b.disabled)`)
	require.Empty(t, eval[[]string](t, tab, `refused`))
}

// everything is a call that has all payloads in each kind of component.
func everything(list []string) Call {
	c := poisoned(list[0])
	parts := c.Screen.Components
	n := 0
	next := func() string { n++; return list[n%len(list)] }
	var values []sdk.ScreenValue
	var rows [][]sdk.ScreenValue
	var options []sdk.ScreenOption
	c.Matches, c.Events = nil, nil
	for i, p := range list {
		values = append(values, sdk.ScreenValue{Label: p, Text: p, URL: p})
		rows = append(rows, []sdk.ScreenValue{{Text: p, URL: p}, {Label: p, Text: p}})
		options = append(options, sdk.ScreenOption{Value: p, Label: p})
		c.Matches = append(c.Matches, Match{ID: p + string(rune('a'+i)), Name: p, Phone: p, Email: p, Company: p, URL: p})
		c.Events = append(c.Events, Event{At: c.StartedAt, Text: p})
	}
	c.Screen.Components = nil
	for i := range 3 * len(parts) {
		part := parts[i%len(parts)]
		part.Label, part.Text, part.URL, part.Submit = next(), next(), next(), next()
		part.Items, part.Columns, part.Rows = values, []string{next(), next()}, rows
		part.Fields = nil
		for _, f := range poisonedFields(next()) {
			f.Label, f.Help, f.Value, f.Options = next(), next(), next(), options
			part.Fields = append(part.Fields, f)
		}
		c.Screen.Components = append(c.Screen.Components, part)
	}
	return c
}

// rows: X04
func testPayloads(t *testing.T, c *chromium) {
	list := payloads(t)
	w := newBrowserWorld(t, everything(list))
	tab := shownIn(t, c, w, "")
	const foreign = `[...document.querySelectorAll("*")].flatMap((e) => [
		...(["HTML","HEAD","META","TITLE","LINK","SCRIPT","BODY","HEADER","H1","P","SPAN","DL","DIV","DT","DD","BDI","TIME","MAIN","SECTION","H2","FORM","INPUT","FIELDSET","LEGEND","LABEL","B","BUTTON","UL","LI","TABLE","THEAD","TBODY","TR","TH","TD","TEXTAREA","SELECT","OPTION","OL","FOOTER","NOSCRIPT","A"].includes(e.tagName) ? [] : [e.outerHTML.slice(0, 200)]),
		...[...e.attributes].filter((a) => a.name.startsWith("on") || a.name === "style" || a.name === "srcdoc").map((a) => a.name),
		...(e.tagName === "A" && !["https:", "http:", "tel:", "mailto:"].includes(e.protocol) ? [e.href] : []),
		...(e.autofocus || e.formAction && !e.formAction.startsWith(location.origin) ? ["does more than it should: " + e.outerHTML.slice(0, 200)] : []),
	])`
	check := func() {
		t.Helper()
		require.Empty(t, eval[[]string](t, tab, foreign))
		require.Equal(t, 1, eval[int](t, tab, `document.scripts.length`))
		require.Equal(t, []int{1, 1}, eval[[]int](t, tab, `["link", "main"].map((n) => document.querySelectorAll(n).length)`))
		eval[bool](t, tab, `[...document.querySelectorAll("a, input, button, td")].every((e) => (e.focus(), e.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}))))`)
		require.Empty(t, eval[[]any](t, tab, `hit`), "a payload ran")
		require.Empty(t, eval[[]string](t, tab, `refused`), "a payload tried")
	}
	check()
	text := eval[string](t, tab, `document.body.textContent`)
	for _, p := range list {
		require.Contains(t, text, p)
	}
	// The same by the way that changes take.
	w.calls.set(func(c *Call) {
		*c = everything(append(append([]string{}, list[7:]...), list[:7]...))
		c.State = StateEnded
	})
	holds(t, tab, `document.getElementById("call").dataset.state === "ended"`)
	check()
}

func testWithoutScripts(t *testing.T, c *chromium) {
	w := newBrowserWorld(t, ringing())
	tab := c.tab(t, "")
	do(t, tab, emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(w.ticket(scopeFor(""))),
		chromedp.WaitVisible(`noscript a`, chromedp.ByQuery), chromedp.SendKeys(`input[name="f.subject"]`, "By hand", chromedp.ByQuery),
		chromedp.Click(`form[data-form] button`, chromedp.ByQuery), chromedp.WaitVisible(`#told .good`, chromedp.ByQuery))
	require.Equal(t, "By hand", w.calls.acts()[0].Values["subject"])
	w.calls.set(func(c *Call) { c.State = StateConnected })
	do(t, tab, chromedp.Click(`noscript a`, chromedp.ByQuery), chromedp.WaitVisible(`[data-state="connected"]`, chromedp.ByQuery))
}

// faint lists the texts whose contrast with what is behind them is below what WCAG 2.2
// AA asks for.
const faint = `(() => {
	const lum = (c) => c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const parse = (s) => s.match(/[\d.]+/g).map(Number);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
	return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).flatMap((e) => {
		const a = lum(parse(getComputedStyle(e).color).slice(0, 3)), b = lum(behind(e).slice(0, 3));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		return ratio < 4.5 ? [e.textContent.trim().slice(0, 40) + " " + ratio.toFixed(2)] : [];
	});
})()`

func testLegible(t *testing.T, c *chromium) {
	call := ringing()
	call.Notice = "The CRM is slow today."
	call.Looking = true
	call.Screen.Components[5].Columns = append(call.Screen.Components[5].Columns, "Opened", "Owner", "Priority")
	call.Screen.Components[0].Text += "\nhttps://crm.acme.example/" + strings.Repeat("long", 60)
	several := call
	several.Matches = append([]Match{}, call.Matches[0], Match{ID: "8", Name: "Howard Aiken", Company: "Harvard", Phone: "+49 30 1234567"}, Match{ID: "9", Name: "خوارزمي", Email: "k@x.example", URL: "https://crm.acme.example/c/9"})
	w := newBrowserWorld(t, call)
	w.calls.answer = func(Act) (Outcome, error) {
		return Outcome{State: OutcomeRefused, Fields: map[string]string{"subject": "Too short."}}, nil
	}
	tab := shownIn(t, c, w, "")
	for _, scheme := range []string{"light", "dark"} {
		do(t, tab, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
		for _, kind := range []string{"one", "several"} {
			w.calls.set(func(c *Call) {
				c.Matches = call.Matches
				if kind == "several" {
					c.Matches = several.Matches
				}
			})
			holds(t, tab, `document.querySelectorAll("#match input[type=radio]").length === `+map[string]string{"one": "0", "several": "3"}[kind])
			for width, name := range map[int64]string{720: "wide", 320: "narrow"} {
				do(t, tab, chromedp.EmulateViewport(width, 900))
				require.Empty(t, eval[[]string](t, tab, faint), "%s %s", scheme, name)
				require.LessOrEqual(t, eval[int64](t, tab, `document.scrollingElement.scrollWidth`), width, "%s %s", scheme, name)
				shot(t, tab, scheme+"-"+kind+"-"+name)
			}
		}
	}
	do(t, tab, chromedp.SendKeys(`input[name="f.subject"]`, "x", chromedp.ByQuery), chromedp.Click(`form[data-form] button`, chromedp.ByQuery))
	holds(t, tab, `document.readyState === "complete" && document.querySelectorAll("[aria-invalid]").length === 1`)
	require.Empty(t, eval[[]string](t, tab, faint), "what is wrong is legible in the dark")
	// Everything that can be used is reached by the keyboard, and shows where it is.
	require.Empty(t, eval[[]string](t, tab, `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, .scroll")].filter((e) => (e.focus(), document.activeElement !== e)).map((e) => e.outerHTML)`))
}
