//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// chromium is a browser without a window.
type chromium struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in it
}

// startChromium starts the browser that is here, until the test ends.
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
	opts = append(opts, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		end()
		stop()
		chromedp.FromContext(ctx).Allocator.Wait()
	})
	require.NoError(t, chromedp.Run(ctx))
	return &chromium{t, ctx}
}

// tab is a page of the browser.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // likewise
}

// open shows an address in a new tab.
func (c *chromium) open(address string) *tab {
	c.t.Helper()
	ctx, end := chromedp.NewContext(c.ctx)
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	c.t.Cleanup(func() {
		stop()
		end()
	})
	p := &tab{c.t, ctx}
	p.do(chromedp.Navigate(address))
	return p
}

func (p *tab) do(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Run(p.ctx, actions...))
}

// holds waits until an expression is true in the page.
func (p *tab) holds(expression string) {
	p.t.Helper()
	p.until(expression, func(ctx context.Context, is *bool) error { return chromedp.Evaluate(expression, is).Do(ctx) })
}

// screenHolds waits until an expression is true in the screen that the page embeds.
func (p *tab) screenHolds(expression string) {
	p.t.Helper()
	p.until(expression, func(ctx context.Context, is *bool) error { return inScreen(ctx, expression, is) })
}

// screenDoes evaluates an expression in the screen, once it is there.
func (p *tab) screenDoes(expression string) {
	p.t.Helper()
	p.screenHolds(`document.readyState === "complete"`)
	var is bool
	p.do(chromedp.ActionFunc(func(ctx context.Context) error { return inScreen(ctx, "("+expression+", true)", &is) }))
}

// screenSends does what sends a form of the screen, and waits for the page that answers.
func (p *tab) screenSends(expression string) {
	p.t.Helper()
	p.screenDoes(`document.documentElement.dataset.sent = "yes", ` + expression)
	p.screenHolds(`document.documentElement.dataset.sent === undefined && document.readyState === "complete"`)
}

// blocked tells of the documents that the browser does not show from now on: their policy
// does not let it.
func (p *tab) blocked() <-chan string {
	p.t.Helper()
	out := make(chan string, 10)
	var mu sync.Mutex // guards asked
	asked := map[network.RequestID]string{}
	chromedp.ListenTarget(p.ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			asked[e.RequestID] = e.Request.URL
		case *network.EventLoadingFailed:
			if e.ErrorText == "net::ERR_BLOCKED_BY_RESPONSE" {
				select {
				case out <- asked[e.RequestID]:
				default: // nobody wants so many
				}
			}
		}
	})
	p.do(network.Enable())
	return out
}

// inScreen evaluates an expression in the frame of a screen: beside its scripts, on the
// same document.
func inScreen(ctx context.Context, expression string, out *bool) error {
	tree, err := cdpage.GetFrameTree().Do(ctx)
	if err != nil {
		return err
	}
	for _, f := range tree.ChildFrames {
		if !strings.Contains(f.Frame.URL, "/screen/c/") {
			continue
		}
		world, err := cdpage.CreateIsolatedWorld(f.Frame.ID).Do(ctx)
		if err != nil {
			return err
		}
		return chromedp.Evaluate(expression, out, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithContextID(world) }).Do(ctx)
	}
	*out = false
	return nil
}

// until waits until ask answers true. A page that is just loaded has nothing to ask.
func (p *tab) until(what string, ask func(context.Context, *bool) error) {
	p.t.Helper()
	var last error
	for over := time.After(patience); ; {
		var is bool
		last = chromedp.Run(p.ctx, chromedp.ActionFunc(func(ctx context.Context) error { return ask(ctx, &is) }))
		if last == nil && is {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-over:
			var text string
			_ = chromedp.Run(p.ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText.slice(0, 2000) + "\n" + JSON.stringify(window.log)`, &text))
			require.FailNow(p.t, what+" does not come to hold", "%v\n%s", last, text)
		}
	}
}
