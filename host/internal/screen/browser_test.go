package screen

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// chromium is one browser, with a tab for each test.
type chromium struct {
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in it
}

// startChromium starts the browser that is here, until the test ends. Every name of the
// web is this machine.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		t.Skip("needs Chromium: apt-get install chromium, or its path in $CHROMIUM")
	}
	opts := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	opts = append(opts, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.IgnoreCertErrors, chromedp.Flag("host-resolver-rules", "MAP *.example 127.0.0.1"), chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		end()
		stop()
		chromedp.FromContext(ctx).Allocator.Wait()
	})
	require.NoError(t, chromedp.Run(ctx))
	return &chromium{ctx}
}

// tab opens one. Script is run in each of its documents before theirs.
func (c *chromium) tab(t *testing.T, script string) context.Context {
	t.Helper()
	ctx, end := chromedp.NewContext(c.ctx)
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() {
		stop()
		end()
	})
	require.NoError(t, chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdpage.AddScriptToEvaluateOnNewDocument(watched + script).Do(ctx)
		return err
	})))
	return ctx
}

// watched has a document note what a policy refused and what a payload ran.
const watched = `
window.refused = []; window.hit = [];
document.addEventListener("securitypolicyviolation", (e) => refused.push(e.violatedDirective + " " + e.blockedURI));
window.pwned = (n) => hit.push(n);
window.heard = 0; addEventListener("message", () => heard++);
`

// do runs actions in a tab.
func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) { //nolint:revive // t comes first here as everywhere
	t.Helper()
	require.NoError(t, chromedp.Run(ctx, actions...))
}

// eval returns what an expression is in a tab.
func eval[T any](t *testing.T, ctx context.Context, expression string) T { //nolint:revive // t comes first here as everywhere
	t.Helper()
	var out T
	do(t, ctx, chromedp.Evaluate(expression, &out, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return out
}

// holds waits until an expression is true.
func holds(t *testing.T, ctx context.Context, expression string) { //nolint:revive // t comes first here as everywhere
	t.Helper()
	var last error
	patience := time.After(time.Minute)
	for {
		var is bool
		if last = chromedp.Run(ctx, chromedp.Evaluate(expression, &is)); last == nil && is {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond): // a page that is just loaded has nothing to ask
		case <-patience:
			var text string
			_ = chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText.slice(0, 2000) + "\n" + JSON.stringify({log: window.log, refused: window.refused})`, &text))
			require.FailNow(t, expression+" does not come to hold", "%v\n%s", last, text)
		}
	}
}

// frame attaches to the frame of a tab whose address has a part.
func (c *chromium) frame(t *testing.T, tab context.Context, part string) context.Context { //nolint:revive // t comes first here as everywhere
	t.Helper()
	return c.otherFrame(t, tab, nil, part)
}

// otherFrame attaches to one that is not the one known.
func (*chromium) otherFrame(t *testing.T, tab, known context.Context, part string) context.Context { //nolint:revive // t comes first here as everywhere
	t.Helper()
	var not target.ID
	if known != nil {
		not = chromedp.FromContext(known).Target.TargetID
	}
	var id target.ID
	mine := chromedp.FromContext(tab).Target.TargetID // the other tabs have frames, too
	require.Eventually(t, func() bool {
		infos, err := chromedp.Targets(tab)
		for _, info := range infos {
			if err == nil && info.Type == "iframe" && (info.ParentID == mine || string(info.ParentFrameID) == string(mine)) && info.TargetID != not && strings.Contains(info.URL, part) {
				id = info.TargetID
			}
		}
		return id != ""
	}, time.Minute, 20*time.Millisecond, part)
	ctx, end := chromedp.NewContext(tab, chromedp.WithTargetID(id))
	t.Cleanup(end)
	do(t, ctx)
	return ctx
}

// shot keeps a picture of a tab for people who want to look: JACKFIELD_SHOTS names the
// directory.
func shot(t *testing.T, ctx context.Context, name string) { //nolint:revive // t comes first here as everywhere
	t.Helper()
	dir := os.Getenv("JACKFIELD_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	do(t, ctx, chromedp.FullScreenshot(&png, 100))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// site is a server with pages of a CRM, or of somebody else, under a name of its own.
type site struct {
	server *httptest.Server
	origin string
	pages  map[string]string // by path: what is in the body
	policy string            // with {host}
	extra  http.Header
}

// newSite serves pages until the test ends. The script of a page is /page.js, that of
// screens of host.
func newSite(t *testing.T, name, host string, pages map[string]string, script string) *site {
	t.Helper()
	s := &site{pages: pages, extra: http.Header{}}
	s.policy = "default-src 'none'; script-src 'self' {host}; frame-src 'self' {host}; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), s.extra)
		body, ok := s.pages[r.URL.Path]
		switch {
		case r.URL.Path == "/page.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, script)
		case strings.HasSuffix(r.URL.Path, ".json") && ok:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		case ok:
			w.Header().Set("Content-Security-Policy", strings.ReplaceAll(s.policy, "{host}", host))
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<!doctype html><html lang="en"><title>CRM</title><body>%s<script src="%s/embed.js"%s></script><script src="/page.js"></script>`,
				body, template.HTMLEscapeString(host), configOf(s.pages))
		default:
			http.NotFound(w, r)
		}
	}))
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	s.origin = named(t, s.server.URL, name)
	return s
}

func configOf(pages map[string]string) string {
	if _, ok := pages["/jackfield.json"]; ok {
		return ` data-config="/jackfield.json"`
	}
	return ""
}

// named returns the address of a server under another name.
func named(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Scheme + "://" + cmp.Or(name, u.Hostname()) + ":" + u.Port()
}

// newBrowserWorld serves screens under a name of their own.
func newBrowserWorld(t *testing.T, c Call) *world {
	t.Helper()
	var w *world
	w = newWorld(t, c, true, func(o *Options) {
		o.Base = func() string { return named(t, w.http.URL, "calls.host.example") }
	})
	return w
}
