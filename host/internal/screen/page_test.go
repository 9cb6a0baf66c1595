package screen

import (
	"bufio"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/jackfield/jackfield/sdk"
)

// rows: X02, K25
func TestEveryAnswerHasTheHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	b := w.browser()
	path := b.open()
	css := regexp.MustCompile(`/screen/assets/screen-[0-9a-f]{12}\.css`).FindString(b.get(path).text)
	s := testScope()
	s.Origin = ""
	alone := b.get(w.ticket(s)).header.Get("Location")
	for name, c := range map[string]struct {
		a         answer
		code      int
		ancestors string
	}{
		"page": {b.get(path), 200, crm}, "page that nobody embeds": {b.get(alone), 200, "'none'"}, "ticket": {b.get(w.ticket(testScope())), 303, "'none'"},
		"used ticket": {b.get("/screen/nothing"), 410, "'none'"}, "no cookie": {w.browser().get(path), 401, "'none'"}, "elsewhere": {b.get("/screen/a/b/c/d"), 404, "'none'"},
		"events": {w.browser().get(path + "/events"), 401, "'none'"}, "act": {b.do(http.MethodPost, path+"/act", map[string][]string{}), 403, crm},
		"asset": {b.get(css), 200, "'none'"}, "embed": {b.get("/embed.js"), 200, "'none'"}, "no asset": {b.get("/screen/assets/none.css"), 404, "'none'"},
	} {
		require.Equal(t, c.code, c.a.code, name)
		csp := c.a.header.Get("Content-Security-Policy")
		require.True(t, strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self'; "), "%s: %s", name, csp)
		require.True(t, strings.HasSuffix(csp, "require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors "+c.ancestors), "%s: %s", name, csp)
		require.NotContains(t, csp, "unsafe")
		require.Equal(t, "nosniff", c.a.header.Get("X-Content-Type-Options"), name)
		require.Equal(t, "no-referrer", c.a.header.Get("Referrer-Policy"), name)
		require.Contains(t, c.a.header.Get("Permissions-Policy"), "microphone=()", name)
		switch name {
		case "asset":
			require.Contains(t, c.a.header.Get("Cache-Control"), "immutable")
		case "embed":
			require.Equal(t, "cross-origin", c.a.header.Get("Cross-Origin-Resource-Policy"))
			require.Equal(t, http.StatusNotModified, b.get("/embed.js", "If-None-Match", c.a.header.Get("ETag")).code)
		default:
			require.Equal(t, "no-store", c.a.header.Get("Cache-Control"), name)
			require.Equal(t, "same-origin", c.a.header.Get("Cross-Origin-Resource-Policy"), name)
		}
	}
}

// payloads are texts that would run if a page took them for markup.
func payloads(t *testing.T) []string {
	t.Helper()
	f, err := os.Open("testdata/payloads.txt")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		out = append(out, lines.Text())
	}
	require.GreaterOrEqual(t, len(out), 60)
	return out
}

// poisoned is a call whose every text is p.
func poisoned(p string) Call {
	value := []sdk.ScreenValue{{Label: p, Text: p, URL: p}, {Text: p}}
	c := Call{
		State: StateConnected, Direction: p, From: p, To: p, Disposition: p, StartedAt: time.Unix(1, 0), Chosen: p, Notice: p,
		Matches: []Match{{ID: p, Name: p, Phone: p, Email: p, Company: p, URL: p}, {ID: p + "2", Name: p, URL: p}},
		Events:  []Event{{At: time.Unix(1, 0), Text: p}},
		Screen:  sdk.Screen{Title: p},
	}
	for _, kind := range append(sdk.ComponentTypes(), p) {
		c.Screen.Components = append(c.Screen.Components, sdk.Component{
			Type: sdk.ComponentType(kind), Label: p, Text: p, URL: p, Items: value, Columns: []string{p, p}, Rows: [][]sdk.ScreenValue{value},
			Action: sdk.ActionTicket, Submit: p, Fields: poisonedFields(p), Values: map[string]string{p: p},
		})
	}
	return c
}

func poisonedFields(p string) []sdk.ScreenField {
	var out []sdk.ScreenField
	for i, kind := range append(sdk.FieldKinds(), p) {
		out = append(out, sdk.ScreenField{
			Name: p + string(rune('a'+i)), Label: p, Kind: sdk.FieldKind(kind), Value: p, Help: p, Options: []sdk.ScreenOption{{Value: p, Label: p}},
		})
	}
	return out
}

// shape returns the elements of a page with the names of their attributes.
func shape(t *testing.T, page string) (elements, addresses []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		var names []string
		for _, a := range n.Attr {
			names = append(names, a.Key)
			if slices.Contains([]string{"href", "src", "action", "formaction", "data"}, a.Key) {
				addresses = append(addresses, a.Val)
			}
		}
		slices.Sort(names)
		elements = append(elements, n.Data+" "+strings.Join(names, " "))
	}
	return elements, addresses
}

// rows: X04
func TestNoPayloadBecomesMarkup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, poisoned("harmless"), true, nil)
	b := w.browser()
	path := b.open()
	fail := func(p string) {
		w.calls.set(func(c *Call) { *c = poisoned(p) })
		w.calls.answer = func(a Act) (Outcome, error) {
			wrong := map[string]string{}
			for name := range a.Values {
				wrong[name] = p
			}
			return Outcome{State: OutcomeRefused, Message: p, Fields: wrong}, nil
		}
	}
	// shown returns the page, and the page after a form was refused.
	shown := func(p string) []string {
		fail(p)
		page := b.get(path)
		require.Equal(t, http.StatusOK, page.code)
		form := formOf(t, page.text, "<textarea")
		for _, f := range poisonedFields(p) {
			form.Set("f."+f.Name, p)
		}
		again := b.do(http.MethodPost, path+"/act", form)
		require.Equal(t, http.StatusUnprocessableEntity, again.code, p)
		return []string{page.text, again.text}
	}
	links := regexp.MustCompile(`^(/screen/.*|https?://[^"<>]*|tel:[0-9+*%]+|mailto:[^"<>?]+)$`)
	var harmless [2][]string
	known := map[string]bool{}
	for i, page := range shown("harmless") {
		harmless[i], _ = shape(t, page)
		for _, e := range harmless[i] {
			known[e] = true
		}
	}
	for _, p := range payloads(t) {
		for i, page := range shown(p) {
			elements, addresses := shape(t, page)
			for _, e := range elements {
				// An address that may be followed adds a link, which is ours.
				ours := known[e] || slices.Contains([]string{"a href rel target", "a href", "a data-dial href"}, e)
				require.True(t, ours, "%q makes an element: %s", p, e)
			}
			require.Equal(t, without(harmless[i], "a "), without(elements, "a "), "%q", p)
			for _, address := range addresses {
				require.Regexp(t, links, address, "%q makes an address", p)
			}
			require.Contains(t, html.UnescapeString(page), strings.TrimSpace(p), "the text is shown as it is")
		}
	}
}

// without returns the elements whose name is another. Which links there are is for
// the addresses to say.
func without(elements []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(elements), func(e string) bool { return strings.HasPrefix(e, name) })
}

func TestNumbersAndAddressesAreNothingElse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"+49 (30) 123-45": "tel:+493012345", "*31#": "tel:*31%23", "110": "tel:110", "1": "", "x110": "", "110;ext=1": "", "": "", "+": "", "1+1": "",
		"110,javascript:": "", strings.Repeat("1", 65): "",
	} {
		require.Equal(t, want, string(phoneAddress(text)), "%q", text)
	}
	for text, want := range map[string]string{
		"a@b.example": "mailto:a@b.example", "a+b@b.example": "mailto:a+b@b.example", "a@b?subject=x": "", "a@b&c": "", "a b@c": "", "@b": "", "a@": "", "a": "",
		"ä@b.example": "mailto:%C3%A4@b.example",
	} {
		require.Equal(t, want, string(mailAddress(text)), "%q", text)
	}
}

// The page has to be understood by who hears it, and used without a mouse.
func TestThePageCanBeHeard(t *testing.T) {
	t.Parallel()
	c := ringing()
	c.Matches = append(c.Matches, Match{ID: "8", Name: "Howard"})
	w := newWorld(t, c, true, nil)
	b := w.browser()
	page := b.get(b.open()).text
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	ids, labelled, fields := map[string]bool{}, map[string]bool{}, 0
	attr := func(n *html.Node, key string) string {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val
			}
		}
		return ""
	}
	var inputs []*html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attr(n, "id"); id != "" {
			require.False(t, ids[id], "%s is there twice", id)
			ids[id] = true
		}
		if n.Data == "label" {
			labelled[attr(n, "for")] = true
		}
		if slices.Contains([]string{"input", "select", "textarea"}, n.Data) && attr(n, "type") != "hidden" {
			inputs = append(inputs, n)
		}
	}
	for _, n := range inputs {
		require.True(t, labelled[attr(n, "id")], "%s has no label", attr(n, "name"))
		for id := range strings.FieldsSeq(attr(n, "aria-describedby")) {
			require.True(t, ids[id], id)
		}
		fields++
	}
	require.Equal(t, 7, fields)
	require.Contains(t, page, `<html lang="en"`)
	require.Contains(t, page, `role="status"`)
	require.Contains(t, page, `<noscript>`)
	require.Equal(t, 1, strings.Count(page, "<h1"))
}
