package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// Bounds of requests.
const (
	maxAnswer    = 4 << 20
	maxAnswers   = 16 << 20 // of a call
	maxHeader    = 64 << 10
	maxRedirects = 3
)

// fetcher makes the requests of all calls, by the host's way out.
type fetcher struct{ transport http.RoundTripper }

func newFetcher() *fetcher {
	t := plugin.Transport()
	t.MaxResponseHeaderBytes = maxHeader
	return &fetcher{transport: t}
}

// request is what fetch was asked for.
type request struct {
	method, url string
	header      http.Header
	body        []byte
	follow      bool
	timeout     time.Duration
}

// response is what came of it.
type response struct {
	status int
	url    string
	header http.Header
	body   []byte
}

// fetch is ctx.fetch(url, init): a promise of an answer, whatever its status is.
func (c *call) fetch(call goja.FunctionCall) goja.Value {
	at := c.here()
	r, err := c.request(call)
	if err != nil {
		panic(c.throwable(err, at)) //nolint:forbidigo // how a native function throws
	}
	if changes(r.method) {
		c.writes.begin()
	}
	return c.loop.promise(func(ctx context.Context) settled {
		res, sent, err := c.fetcher.do(ctx, r)
		if changes(r.method) && (!sent || err == nil && refused(res.status)) {
			c.writes.undone()
		}
		return func() (goja.Value, goja.Value) {
			if err == nil {
				if c.fetched += int64(len(res.body)); c.fetched > maxAnswers {
					err = &sdk.Error{Class: sdk.ClassRemote, Code: "answers_too_large", Message: fmt.Sprintf("the answers of a call have more than %d bytes together", maxAnswers)}
				}
			}
			if err != nil {
				return nil, c.throwable(requestError(r, sent, err), at)
			}
			return c.answer(res), nil
		}
	})
}

// request reads the arguments of fetch.
func (c *call) request(call goja.FunctionCall) (request, *sdk.Error) {
	r := request{method: http.MethodGet, url: call.Argument(0).String(), header: http.Header{}}
	bad := func(format string, args ...any) (request, *sdk.Error) {
		return r, &sdk.Error{Class: sdk.ClassConfig, Code: "bad_request", Safe: true, Message: "fetch: " + fmt.Sprintf(format, args...)}
	}
	u, err := url.Parse(r.url)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return bad("an address that begins with https:// and has no user in it is needed")
	}
	init, ok := call.Argument(1).(*goja.Object)
	if !ok {
		return r, nil
	}
	r.method = strings.ToUpper(cmp.Or(property(init, "method"), r.method))
	r.follow = property(init, "redirect") == "follow"
	if v := init.Get("timeout"); v != nil && !goja.IsUndefined(v) {
		r.timeout = time.Duration(max(v.ToFloat(), 1) * float64(time.Millisecond))
	}
	if headers, ok := init.Get("headers").(*goja.Object); ok {
		for _, name := range headers.Keys() {
			r.header.Set(name, headers.Get(name).String())
		}
	}
	switch body := init.Get("body").(type) {
	case nil:
	case *goja.Object: // as JSON
		if r.body, err = body.MarshalJSON(); err != nil {
			return bad("the body cannot be written as JSON")
		}
		if r.header.Get("Content-Type") == "" {
			r.header.Set("Content-Type", "application/json")
		}
	default:
		if !goja.IsUndefined(body) && !goja.IsNull(body) {
			r.body = []byte(body.String())
		}
	}
	if len(r.body) > maxAnswer {
		return bad("the body has %d bytes, %d are allowed", len(r.body), maxAnswer)
	}
	return r, nil
}

// do sends a request. It may have arrived if sent.
func (f *fetcher) do(ctx context.Context, r request) (res response, sent bool, err error) {
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { wrote.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return res, false, err //nolint:wrapcheck // told by requestError
	}
	req.Header = r.header
	client := http.Client{Transport: f.transport, CheckRedirect: r.redirect}
	got, err := client.Do(req)
	if err != nil {
		return res, wrote.Load(), err //nolint:wrapcheck // told by requestError
	}
	defer got.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = &sdk.Error{Class: sdk.ClassRemote, Code: "answer_too_large", Message: fmt.Sprintf("the answer has more than %d bytes", maxAnswer)}
	}
	return response{status: got.StatusCode, url: got.Request.URL.String(), header: got.Header, body: body}, true, err
}

// redirect decides on the next hop. A request that leaves the host it was for takes none
// of its headers along, since a key may be in a header of any name, and is not sent at
// all if it has a body.
func (r request) redirect(next *http.Request, via []*http.Request) error {
	home := true // the library copies the first request's headers at each hop anew
	for _, hop := range append(via[1:len(via):len(via)], next) {
		home = home && hop.URL.Scheme == via[0].URL.Scheme && strings.EqualFold(hop.URL.Host, via[0].URL.Host)
	}
	switch {
	case !r.follow:
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return errors.New("it is redirected too often")
	case via[0].URL.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("it is redirected to an address without TLS")
	case home:
		return nil
	case next.Body != nil && next.Body != http.NoBody:
		return errors.New("it is redirected to another host, which would get what was for the first")
	}
	for name := range next.Header {
		switch name {
		case "Accept", "Accept-Encoding", "Accept-Language", "User-Agent":
		default:
			next.Header.Del(name)
		}
	}
	return nil
}

// requestError says why a request has no answer. The address stands there without its
// query, which may hold a secret.
func requestError(r request, sent bool, err error) *sdk.Error {
	outcome := "not_sent"
	if sent {
		outcome = "unknown"
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		out := *e
		out.Details = map[string]string{"outcome": outcome}
		return &out
	}
	shown := r.url
	if u, err := url.Parse(r.url); err == nil {
		shown = sdk.FactsOf(r.method, u, 0, 0).URL
	}
	code := "unreachable"
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		code = "timeout"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // it repeats the address
	}
	return &sdk.Error{
		Class: sdk.ClassTransient, Code: code, Message: fmt.Sprintf("%s %s: %s", r.method, shown, err),
		Details: map[string]string{"outcome": outcome},
	}
}

// answer makes the object that a promise of fetch is kept with.
func (c *call) answer(res response) goja.Value {
	o, headers := c.vm.NewObject(), c.vm.NewObject()
	c.set(headers, "get", func(call goja.FunctionCall) goja.Value {
		if values := res.header.Values(call.Argument(0).String()); len(values) > 0 {
			return c.vm.ToValue(strings.Join(values, ", "))
		}
		return goja.Null()
	})
	c.set(o, "status", res.status)
	c.set(o, "ok", res.status >= 200 && res.status < 300)
	c.set(o, "url", res.url)
	c.set(o, "headers", headers)
	c.set(o, "text", func(goja.FunctionCall) goja.Value { return c.kept(c.vm.ToValue(string(res.body))) })
	c.set(o, "json", func(goja.FunctionCall) goja.Value {
		at := c.here()
		v, err := c.parse(res.body)
		if err != nil {
			return c.broken(c.throwable(&sdk.Error{
				Class: sdk.ClassRemote, Code: "bad_answer", Message: fmt.Sprintf("the answer with status %d is no JSON", res.status),
				Details: map[string]string{"outcome": "unknown"},
			}, at))
		}
		return c.kept(v)
	})
	return o
}

// kept returns a promise that is kept already, broken one that is broken.
func (c *call) kept(v goja.Value) goja.Value {
	p, resolve, _ := c.vm.NewPromise()
	_ = resolve(v) // nobody waits yet: nothing runs
	return c.vm.ToValue(p)
}

func (c *call) broken(v goja.Value) goja.Value {
	p, _, reject := c.vm.NewPromise()
	_ = reject(v) // likewise
	return c.vm.ToValue(p)
}
