package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackfield/jackfield/store"
)

// The bounds of an answer.
const (
	maxAnswer  = 8 << 20 // after decompression
	maxHeaders = 64 << 10
	maxShown   = 4 << 10 // of an answer that is told in an error
)

// NewTransport returns a transport with the bounds of this package, whose
// connections dial makes. It follows no proxy of the environment.
func NewTransport(dial func(ctx context.Context, network, addr string) (net.Conn, error), tlsConfig *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext: dial, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: MaxTimeout, MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConnsPerHost: 8, MaxConnsPerHost: 64, IdleConnTimeout: 60 * time.Second,
	}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// sender sends requests. It follows no redirect, and keeps no cookie.
type sender struct {
	transport func(id string) http.RoundTripper
	plain     func(host string) bool
	gates     gates
}

func newSender(transport func(id string) http.RoundTripper, plain func(string) bool, now func() time.Time) *sender {
	return &sender{
		transport: transport,
		plain:     plain,
		gates:     gates{now: now},
	}
}

// client returns what an integration sends with.
func (s *sender) client(id string) *http.Client {
	return &http.Client{Transport: s.transport(id), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// pause waits, or returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// The patience of a call: how often it is sent, and how long it waits between.
const (
	maxAttempts = 3
	firstPause  = 200 * time.Millisecond
	maxPause    = 2 * time.Second
)

// send sends a request, again if that can do no harm: one that never left, and one
// that may be repeated after a failure of the network or of a gateway. What the remote
// system refuses is not sent again, a rate limit neither: that closes the gate.
func (s *sender) send(ctx context.Context, l lane, r Request, again bool) (reply, error) {
	wait := firstPause
	var before reply
	var failed error
	for attempt := 1; ; attempt++ {
		got, err := s.through(ctx, l, r)
		if attempt > 1 && held(err) {
			return before, failed // it says more
		}
		before, failed = got, err
		retry, after := retryable(got, err, again)
		if !retry || attempt == maxAttempts {
			return got, err
		}
		after = max(after, wait)
		if end, ok := ctx.Deadline(); after > maxPause || ok && time.Until(end) < after {
			return got, err
		}
		if pause(ctx, after) != nil {
			return got, err
		}
		wait = min(2*wait, maxPause)
	}
}

// through sends a request once, through the gate of its host.
func (s *sender) through(ctx context.Context, l lane, r Request) (reply, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return reply{}, configError(codeBadURL, "the request cannot be made")
	}
	p, err := s.gates.enter(ctx, l, u.Host)
	if err != nil {
		return reply{}, err
	}
	v, rest := verdictNone, time.Duration(0)
	defer func() { p.leave(v, rest) }()
	got, err := s.once(ctx, l, r)
	if v = verdictOf(got, err); v == verdictLimited {
		rest = retryAfter(got.header, s.gates.now())
	}
	return got, err
}

// verdictOf says what the outcome of a request tells about its host.
func verdictOf(got reply, err error) verdict {
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && (e.Code == codeUnreachable || e.Code == codeTimeout):
		return verdictBad
	case err != nil:
		return verdictNone
	case got.status == http.StatusTooManyRequests:
		return verdictLimited
	case got.status >= 500 && got.status != http.StatusNotImplemented:
		return verdictBad
	}
	return verdictGood
}

// held reports whether a gate held a request back.
func held(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Code == codeCircuitOpen || e.Code == codeBusy || e.Code == codeRateLimited)
}

// retryable reports whether a request may be sent again, and how long the remote
// system asks to wait before.
func retryable(got reply, err error, again bool) (bool, time.Duration) {
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		return ok && e.Class == classTransient && !held(err) && (again || e.Outcome == OutcomeNotSent), 0
	}
	switch got.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return again, retryAfter(got.header, time.Now())
	}
	return false, 0
}

// once sends a request once.
func (s *sender) once(ctx context.Context, l lane, r Request) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return reply{}, configError(codeBadURL, "the request cannot be made")
	}
	if req.URL.Scheme != "https" && (s.plain == nil || !s.plain(req.URL.Host)) {
		e := configError(codePlainHTTP, "http without TLS is not allowed to %s", req.URL.Host)
		e.Hint = "use https, or allow it in host.yaml"
		return reply{}, e
	}
	req.Header = r.Header.Clone()
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "jackfield")
	}
	var left atomic.Bool // something of it was written
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { left.Store(true) },
		WroteHeaders:     func() { left.Store(true) },
	}))
	res, err := s.client(l.id).Do(req)
	if err != nil {
		return reply{}, sendError(ctx, err, left.Load(), req.URL.Host)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return reply{}, sendError(ctx, err, true, req.URL.Host)
	case len(body) > maxAnswer:
		return reply{}, &Error{Class: classRemote, Code: codeAnswerTooLarge, Message: "the answer has more than 8 MiB", Outcome: OutcomeUnknown, Status: res.StatusCode}
	}
	return reply{res.StatusCode, res.Header, body}, nil
}

// refusal is an error of a transport that says why it does not connect: no attempt
// can help.
type refusal interface{ Refused() bool }

// sendError says what is known of a request without an answer.
func sendError(ctx context.Context, err error, left bool, host string) error {
	outcome := OutcomeNotSent
	if left {
		outcome = OutcomeUnknown
	}
	e := &Error{Class: classTransient, Code: codeUnreachable, Message: "call " + host, Outcome: outcome, Cause: plainCause(err)}
	var no refusal
	switch {
	case errors.As(err, &no) && no.Refused():
		e.Class, e.Code = classConfig, codeRefusedHost
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		e.Code, e.Message, e.Cause = codeTimeout, "no answer of "+host+" in time", nil
	case ctx.Err() != nil:
		e.Code, e.Message, e.Cause = codeCancelled, "the call was cancelled", nil
	}
	return e
}

// plainCause is the error of a transport without the address, which may hold a
// secret.
func plainCause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// retryAfter returns how long the remote system asks to wait: seconds or a date,
// at most a day.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.ParseFloat(v, 64); err == nil {
		if !(seconds >= 0 && seconds < 1e9) {
			return 0
		}
		d = time.Duration(seconds * float64(time.Second))
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), 24*time.Hour)
}

// again reports whether a call may be sent again after it may have arrived.
func (c *call) again() bool {
	return c.spec.Idempotent || c.spec.Type == store.EndpointAuth ||
		slices.Contains([]string{http.MethodGet, http.MethodPut, http.MethodDelete}, c.spec.Method) && c.spec.Type != store.EndpointSendSMS
}

// Result is what a call gave.
type Result struct {
	Status int               `json:"status"`
	Header map[string]string `json:"headers,omitempty"` // those that say something to a client
	Body   any               `json:"body,omitempty"`    // JSON, or a text
	Items  []Item            `json:"items,omitempty"`   // if the endpoint has a shape
	TookMS int64             `json:"took_ms"`
	Bare   bool              `json:"-"` // it lacks the list, or is something that is no item
	// Warnings say what of the request or the answer was odd.
	Warnings []string `json:"warnings,omitempty"`
}

// passed are the headers of an answer that a client gets.
func passed() []string {
	return []string{"Content-Type", "Location", "Link", "ETag", "X-Request-Id", "X-Total-Count"}
}

// read makes an answer of the remote system into a result, or an error with what it
// said.
func (c *call) read(got reply, s scope) (Result, error) {
	out := Result{Status: got.status, Header: map[string]string{}}
	for _, name := range passed() {
		if v := got.header.Get(name); v != "" {
			out.Header[name] = strings.ToValidUTF8(short(v, 1024), "\uFFFD")
		}
	}
	body, bad := c.decode(got)
	s["response"], s["status"] = body, got.status
	if got.status < 200 || got.status > 299 {
		return out, c.failure(got, body, s)
	}
	if bad != nil {
		return out, bad
	}
	out.Body = body
	if c.response.verdict != nil {
		ok, err := c.response.verdict.read(body, s)
		if err != nil {
			return out, known(err, OutcomeUnknown, got.status)
		}
		if ok != true {
			e := c.failure(got, body, s)
			e.Class, e.Code = classRemote, codeRefused
			return out, e
		}
	}
	items, err := c.response.items(body, s)
	if err != nil {
		return out, known(err, OutcomeUnknown, got.status)
	}
	out.Items, out.Bare = items, len(items) == 0 && c.response.bare(body, s)
	return out, nil
}

// decode reads the body of an answer.
func (c *call) decode(got reply) (any, *Error) {
	switch {
	case c.response.kind == "none" || len(bytes.TrimSpace(got.body)) == 0:
		return nil, nil
	case c.response.kind == "text":
		return strings.ToValidUTF8(string(got.body), "\uFFFD"), nil
	}
	body, err := Decode(got.body)
	if errors.Is(err, errTooWide) {
		return nil, &Error{Class: classRemote, Code: codeAnswerTooLarge, Message: "the answer has more than 200,000 values", Outcome: OutcomeUnknown, Status: got.status, Body: shownBody(got.body)}
	}
	if err != nil {
		return nil, &Error{Class: classRemote, Code: codeBadAnswer, Message: "the answer is not JSON", Outcome: OutcomeUnknown, Status: got.status, Body: shownBody(got.body)}
	}
	return body, nil
}

// failure is what an answer that is none says.
func (c *call) failure(got reply, body any, s scope) *Error {
	e := &Error{Class: classRemote, Code: "http_" + strconv.Itoa(got.status), Outcome: OutcomeFailed, Status: got.status, Body: shownBody(got.body)}
	if v, err := c.response.reason.read(body, s); err == nil && v != nil {
		e.Message = short(sayAll(v), 1024)
	}
	if e.Message == "" {
		e.Message = "the remote system answered " + strconv.Itoa(got.status) + " " + http.StatusText(got.status)
	}
	e.Fields = c.clientFields(c.response.fieldErrors(body, s))
	switch {
	case got.status == http.StatusUnauthorized || got.status == http.StatusForbidden:
		e.Class = classAuth
	case got.status == http.StatusTooManyRequests:
		e.Class, e.Code, e.RetryAfter = classRateLimited, codeRateLimited, retryAfter(got.header, time.Now())
	case got.status >= 500 || got.status == http.StatusRequestTimeout:
		e.Class, e.RetryAfter = classTransient, retryAfter(got.header, time.Now())
		if !c.again() {
			e.Outcome = OutcomeUnknown
		}
	case got.status >= 300 && got.status < 400:
		e.Code, e.Message = codeRedirect, "the remote system answered with a redirect, which is not followed"
	}
	return e
}

func shownBody(b []byte) string {
	return strings.ToValidUTF8(short(string(b), maxShown), "\uFFFD")
}
