package screen

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestInChromium has one browser for all that only a browser can tell.
func TestInChromium(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser takes seconds, and tells the race detector nothing")
	}
	c := startChromium(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *chromium)
	}{
		{"a page of the tenant embeds a screen, and a foreign one does not", testEmbedded},
		{"a screen on this machine needs no encryption", testLoopback},
		{"messages count from one window, one origin and with one number", testMessages},
		{"a screen follows its call and keeps what is typed", testLive},
		{"no payload runs", testPayloads},
		{"a screen is read without scripts", testWithoutScripts},
		{"a screen is legible in the light, in the dark and when it is narrow", testLegible},
		{"buttons stand where the info says", testButtons},
		{"a huge page costs bounded work", testHugePage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c) })
	}
}

// opener is the script of a page that shows the screen its address names.
const opener = `
window.log = [];
document.addEventListener("jackfield:call", (e) => log.push("call " + e.detail.number + " " + JSON.stringify(e.detail.userInfo)));
addEventListener("message", (e) => { // a frame of this page speaks to another one
  if (e.source === parent && e.data && e.data.relay) parent.frames[0].postMessage(e.data.relay, e.data.to);
});
const url = new URL(location.href).searchParams.get("screen");
if (url) window.shown = Jackfield.open({ url, into: document.body, on: (type, m) => log.push(type + (m.state ? " " + m.state : "")) });
`

// crmSite serves pages of the CRM that the tenant names.
func crmSite(t *testing.T, w *world, pages map[string]string) *site {
	t.Helper()
	s := newSite(t, "crm.acme.example", named(t, w.http.URL, "calls.host.example"), pages, opener)
	w.allow(s.origin)
	return s
}

func scopeFor(origin string) Scope {
	s := testScope()
	s.Origin = origin
	return s
}

// rows: X02, K25
func testEmbedded(t *testing.T, c *chromium) {
	w := newBrowserWorld(t, ringing())
	crmPage := crmSite(t, w, map[string]string{"/": "<h1>Contact 7</h1>"})
	foreign := newSite(t, "evil.example", named(t, w.http.URL, "calls.host.example"), map[string]string{"/": ""}, opener)
	tab := c.tab(t, "")
	do(t, tab, chromedp.Navigate(crmPage.origin+"/?screen="+url.QueryEscape(w.ticket(scopeFor(crmPage.origin)))))
	holds(t, tab, `log.includes("ready ringing")`)
	frame := c.frame(t, tab, "/screen/c/")
	holds(t, frame, `document.getElementById("status")?.textContent === "Ringing"`)
	require.Empty(t, eval[[]string](t, tab, `refused`), "the CRM's policy allows it")
	require.Empty(t, eval[string](t, frame, `document.cookie`), "scripts do not see the cookie")
	var cookies []*network.Cookie
	do(t, frame, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		cookies, err = network.GetCookies().WithURLs([]string{named(t, w.http.URL, "calls.host.example")}).Do(ctx)
		return err
	}))
	require.Len(t, cookies, 1)
	require.True(t, strings.HasPrefix(cookies[0].Name, "__Host-jackfield-screen-"))
	require.True(t, cookies[0].Secure && cookies[0].HTTPOnly && cookies[0].SameSite == network.CookieSameSiteNone)
	require.NotNil(t, cookies[0].PartitionKey, "another site that embeds the host is not sent it")
	require.Equal(t, "https://acme.example", cookies[0].PartitionKey.TopLevelSite)
	shot(t, tab, "embedded")

	for name, policy := range map[string]string{"says who it is": "unsafe-url", "says nothing": "no-referrer"} {
		foreign.extra.Set("Referrer-Policy", policy)
		tab := c.tab(t, "")
		do(t, tab, chromedp.Navigate(foreign.origin+"/?screen="+url.QueryEscape(w.ticket(scopeFor(crmPage.origin)))))
		frame := c.frame(t, tab, "")
		holds(t, frame, `location.href.startsWith("chrome-error://")`)
		require.NotContains(t, eval[string](t, frame, `document.documentElement.outerHTML`), "Grace", name)
		require.Empty(t, eval[[]string](t, tab, `log`), name)
	}
}

// rows: K25
func testLoopback(t *testing.T, c *chromium) {
	w := newWorld(t, ringing(), false, nil)
	w.allow("http://127.0.0.1:1")
	tab := c.tab(t, "")
	do(t, tab, chromedp.Navigate(w.ticket(scopeFor(""))))
	holds(t, tab, `document.getElementById("status")?.textContent === "Ringing"`)
	require.True(t, strings.HasPrefix(eval[string](t, tab, `location.pathname`), "/screen/c/"))
	w.calls.set(func(c *Call) { c.State = StateConnected })
	holds(t, tab, `document.getElementById("status").textContent === "Connected"`)
}

// rows: X03
func testMessages(t *testing.T, c *chromium) {
	w := newBrowserWorld(t, ringing())
	crmPage := crmSite(t, w, map[string]string{"/": "<h1>Contact 7</h1>", "/raw": "", "/child": ""})
	host := named(t, w.http.URL, "calls.host.example")
	tab := c.tab(t, "")
	do(t, tab, chromedp.Navigate(crmPage.origin+"/?screen="+url.QueryEscape(w.ticket(scopeFor(crmPage.origin)))))
	holds(t, tab, `log.includes("ready ringing")`)
	frame := c.frame(t, tab, "/screen/c/")
	nonce := eval[string](t, tab, `new URL(shown.frame.src).hash.slice(1)`)
	require.Len(t, nonce, 32)
	require.Equal(t, "#"+nonce, eval[string](t, frame, `location.hash`))

	// To the page: what is not from the frame's window, its origin, with its number and in
	// the schema does not count. The last one does.
	eval[bool](t, tab, `log.length = 0, postMessage({schema: "jackfield.screen.v1", nonce: "`+nonce+`", type: "call", number: "+491"}, "*"), true`)
	// Another screen has the origin, and even the number, but is another window.
	eval[bool](t, tab, `window.second = Jackfield.open({url: "`+w.ticket(scopeFor(crmPage.origin))+`", into: document.body, on: (type) => log.push("second " + type)}), true`)
	holds(t, tab, `log.includes("second ready")`)
	second := c.otherFrame(t, tab, frame, "/screen/c/")
	before := eval[int](t, tab, `heard`)
	eval[bool](t, second, `parent.postMessage({schema: "jackfield.screen.v1", nonce: "`+nonce+`", type: "call", number: "+498888"}, "*"), true`)
	holds(t, tab, fmt.Sprintf(`heard > %d`, before))
	for _, m := range []string{
		`{schema: "jackfield.screen.v1", nonce: "00000000000000000000000000000000", type: "call", number: "+492222"}`,
		`{schema: "jackfield.screen.v1", type: "call", number: "+493333"}`,
		`{schema: "other", nonce: "` + nonce + `", type: "call", number: "+494444"}`,
		`{schema: "jackfield.screen.v1", nonce: "` + nonce + `", type: "call", number: "javascript:1"}`,
		`{schema: "jackfield.screen.v1", nonce: "` + nonce + `", type: "eval", number: "+495555"}`,
		`"text"`, `null`, `42`,
		`{schema: "jackfield.screen.v1", nonce: "` + nonce + `", type: "call", number: "+499999"}`,
	} {
		eval[bool](t, frame, `parent.postMessage(`+m+`, "*"), true`)
	}
	holds(t, tab, `log.includes("call +499999 {}")`)
	require.Empty(t, eval[[]string](t, tab, `log.filter((l) => l.startsWith("call ") && l !== "call +499999 {}")`))
	// The screen tells how high it is.
	holds(t, tab, `/^\d+px$/.test(shown.frame.style.height) && shown.frame.style.height !== "420px"`)

	// To the screen: until the page that it is for has answered in the same terms, a
	// number is not handed to it.
	raw := c.tab(t, "")
	do(t, raw, chromedp.Navigate(crmPage.origin+"/raw"))
	open := strings.Repeat("ab", 16)
	eval[bool](t, raw, `window.got = [], addEventListener("message", (e) => got.push(e.origin + " " + e.data.type + " " + (e.data.number || ""))), window.f = document.createElement("iframe"), f.src = "`+
		w.ticket(scopeFor(crmPage.origin))+`#`+open+`", document.body.append(f), true`)
	holds(t, raw, `got.includes("`+host+` ready ")`)
	inner := c.frame(t, raw, "/screen/c/")
	// click has the agent call a number; a browser of its own would not know what to do with it.
	click := func(number string) {
		eval[bool](t, inner, `((a) => { a.dataset.dial = "`+number+`"; addEventListener("click", (e) => e.preventDefault(), {once: true}); a.click(); return true; })(document.querySelector("a[data-dial]"))`)
	}
	eval[bool](t, inner, `window.heard = 0, addEventListener("message", () => heard++), true`)
	for _, m := range []string{
		`{schema: "jackfield.screen.v1", nonce: "` + nonce + `", type: "hello"}`, `{schema: "other", nonce: "` + open + `", type: "hello"}`, `{nonce: "` + open + `", type: "hello"}`,
		`null`, `"hello"`,
	} {
		eval[bool](t, raw, `f.contentWindow.postMessage(`+m+`, "`+host+`"), true`)
	}
	// From its own window: not the page that embeds it.
	eval[bool](t, inner, `postMessage({schema: "jackfield.screen.v1", nonce: "`+open+`", type: "hello"}, "*"), true`)
	// From a page of the right origin that is not the one around the screen.
	eval[bool](t, raw, `window.child = document.createElement("iframe"), new Promise((done) => {
		child.onload = () => done(true);
		child.src = "/child";
		document.body.append(child);
	})`)
	eval[bool](t, raw, `child.contentWindow.postMessage({relay: {schema: "jackfield.screen.v1", nonce: "`+open+`", type: "hello"}, to: "`+host+`"}, "*"), true`)
	holds(t, inner, `heard >= 7`)
	click("1111")
	eval[bool](t, raw, `f.contentWindow.postMessage({schema: "jackfield.screen.v1", nonce: "`+open+`", type: "hello"}, "`+host+`"), true`)
	require.Eventually(t, func() bool {
		click("2222")
		return eval[bool](t, raw, `got.includes("`+host+` call 2222")`)
	}, time.Minute, 20*time.Millisecond)
	// Messages arrive in their order: the first one would be there.
	require.False(t, eval[bool](t, raw, `got.includes("`+host+` call 1111")`))
}
