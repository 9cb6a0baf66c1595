package screen

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// infoJSON is what an integration says of pages, as the API tells it.
func infoJSON(t *testing.T) string {
	t.Helper()
	raw, err := json.Marshal(store.TemplateInfo{
		RenderTooltip: []store.Tooltip{
			{Path: "/contacts/", Element: ".phone"},
			{Path: "/contacts/", Element: "a[href^='tel:']"},
			{Path: "/leads/", Element: "h1"},
			{Path: "/", Element: "]["},
		},
		UserInfo: []store.UserInfo{
			{Field: "contact", Path: "/contacts/", Element: "#id"},
			{Field: "note", Path: "/contacts/", Element: "textarea"},
			{Field: "elsewhere", Path: "/leads/", Element: "#id"},
			{Field: "missing", Path: "/", Element: "#none"},
		},
	})
	require.NoError(t, err)
	return string(raw)
}

// numbers returns what the buttons of a page call.
const numbers = `[...document.querySelectorAll("button.jackfield-call")].map((b) => b.getAttribute("aria-label"))`

// rows: G31, G33
func testButtons(t *testing.T, c *chromium) {
	w := newBrowserWorld(t, ringing())
	s := crmSite(t, w, map[string]string{
		"/jackfield.json": infoJSON(t),
		"/contacts/7": `<p id="id"> c-7 </p><h1>1234567</h1><p><span class="phone">+49 (30) 123-456</span></p><p class="phone">ask at the desk</p>` +
			`<p class="phone"><img src=x onerror=pwned(1)>030 1</p><a href="tel:+49170555">Mobile</a><textarea>call "later"</textarea>`,
		"/leads/1": `<h1>0800 123</h1><p id="id">l-1</p><span class="phone">+49 30 1</span>`,
		"/help":    `<span class="phone">+49 30 1</span>`,
	})
	tab := c.tab(t, "")
	do(t, tab, chromedp.Navigate(s.origin+"/contacts/7"))
	holds(t, tab, numbers+`.length === 3`)
	require.Equal(t, []string{"Call +4930123456", "Call 0301", "Call +49170555"}, eval[[]string](t, tab, numbers))
	do(t, tab, chromedp.Click(`span.phone + button.jackfield-call`, chromedp.ByQuery))
	holds(t, tab, `log.length === 1`)
	require.Equal(t, []string{`call +4930123456 {"contact":"c-7","note":"call \"later\""}`}, eval[[]string](t, tab, `log`))
	eval[bool](t, tab, `document.querySelector("button.jackfield-call").click(), true`)
	require.Equal(t, 1, eval[int](t, tab, `log.length`), "a script of the page calls nobody")

	// The page becomes another without being loaded again.
	eval[bool](t, tab, `document.querySelector("span.phone").textContent = "+49 30 777", true`)
	holds(t, tab, numbers+`.includes("Call +4930777")`)
	require.Len(t, eval[[]string](t, tab, numbers), 3)
	eval[bool](t, tab, `history.pushState({}, "", "/leads/2"), document.body.firstElementChild.remove(), true`)
	holds(t, tab, `JSON.stringify(`+numbers+`) === '["Call 1234567"]'`)
	eval[bool](t, tab, `history.back(), true`)
	holds(t, tab, numbers+`.length === 3`)
	require.Empty(t, eval[[]any](t, tab, `hit`))
	// The image is the page's own; the buttons add nothing to what its policy refuses.
	require.Empty(t, eval[[]string](t, tab, `refused.filter((r) => !r.startsWith("img-src"))  .filter((r) => !r.startsWith("script-src-attr"))`))
	for path, want := range map[string][]string{"/leads/1": {"Call 0800123"}, "/help": {}} {
		do(t, tab, chromedp.Navigate(s.origin+path))
		holds(t, tab, numbers+`.length === `+fmt.Sprint(len(want)))
		require.Equal(t, want, eval[[]string](t, tab, numbers), path)
	}
}

// rows: G31
func testHugePage(t *testing.T, c *chromium) {
	w := newBrowserWorld(t, ringing())
	s := crmSite(t, w, map[string]string{"/contacts/": strings.Repeat(`<p class="phone">+49 30 123</p>`, 5000)})
	tab := c.tab(t, "")
	do(t, tab, chromedp.Navigate(s.origin+"/contacts/"))
	holds(t, tab, `typeof Jackfield === "object"`)
	eval[bool](t, tab, `window.h = Jackfield.start({info: `+infoJSON(t)+`}), true`)
	require.Len(t, eval[[]string](t, tab, numbers), 200, "of a rule")
	// A page that changes at every moment is looked at now and then.
	got := eval[[]int](t, tab, `new Promise(async (done) => {
		const before = h.scans(), began = performance.now();
		let changes = 0;
		while (performance.now() - began < 400) {
			for (let i = 0; i < 20; i++, changes++) document.body.append(document.createElement("i"));
			await new Promise((r) => setTimeout(r, 0));
		}
		done([h.scans() - before, changes, Math.ceil((performance.now() - began) / 250)]);
	})`)
	require.Greater(t, got[1], got[0]*10, "%v", got)
	require.LessOrEqual(t, got[0], got[2], "%v", got)
	eval[bool](t, tab, `h.stop(), true`)
	require.Empty(t, eval[[]string](t, tab, numbers), "who stops takes the buttons away")
}
