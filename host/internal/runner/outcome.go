package runner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// Bounds of what a plugin may ask the host to wait (C26).
const (
	shortestWait = time.Second
	longestWait  = 24 * time.Hour
	longestDeath = 30 * time.Second
)

// awayRest is how long a run rests when its plugin cannot be called, as while its process
// is started again. It is the run that rests: hundreds of streams, each of which found
// that out and waited by itself, would be written for it, and would wait on when the
// plugin is there, and after a restart of the host.
const awayRest = 200 * time.Millisecond

// ending is what becomes of a stream when its call is over.
type ending struct {
	store.StreamEnd
	cursor   []byte
	throttle *store.Throttle
	circuit  *store.CircuitChange
	keep     bool // what came after the last checkpoint counts
}

// end decides how the claim ends, from the call's outcome or its error.
// progress says that segments of this claim were applied, stopped that the lane
// was lost or the host is stopping.
func (c *call) end(o sdk.Outcome, err error, progress, stopped bool) ending {
	if err == nil {
		return c.succeeded(o)
	}
	switch {
	case stopped, errors.Is(err, errYield),
		errors.Is(err, errTooLong) && progress:
		return ending{StreamEnd: store.StreamEnd{State: store.StreamPending, Answered: true}}
	case c.r.plugins.Reopen(err): // soon, but a plugin that knows none must not spin
		return ending{StreamEnd: store.StreamEnd{State: store.StreamPending, Answered: true, DueAt: c.r.opts.Now().Add(c.r.opts.DeathDelay)}}
	case c.r.plugins.Away(err) && c.alone: // that no process of its own could start concerns no other
		return ending{StreamEnd: store.StreamEnd{State: store.StreamPending, Answered: true, DueAt: c.r.opts.Now().Add(time.Second)}}
	case c.r.plugins.Away(err):
		return ending{StreamEnd: store.StreamEnd{
			State: store.StreamPending, Answered: true,
			SleepUntil: c.r.opts.Now().Add(awayRest), SleepReason: "the plugin cannot be called at the moment",
		}}
	case c.r.plugins.Lost(err) && c.draining():
		return ending{StreamEnd: store.StreamEnd{State: store.StreamPending, Answered: true}}
	case c.r.plugins.Lost(err):
		return c.died(err)
	case errors.Is(err, errTooLong), errors.Is(err, errSilent):
		return c.failed(&sdk.Error{Class: sdk.ClassTransient, Code: "deadline", Message: err.Error(), Cause: err})
	}
	e := sdk.AsError(err)
	limited := e.Class == sdk.ClassRateLimited || e.Request != nil && e.Request.Status == http.StatusTooManyRequests
	if limited && !e.AbortRun && !e.AbortStream {
		return c.rateLimited(e)
	}
	return c.failed(e)
}

// draining reports whether the host itself was ending the call's process.
func (c *call) draining() bool {
	select {
	case <-c.plugin.Draining:
		return true
	default:
		return false
	}
}

func (c *call) succeeded(o sdk.Outcome) ending {
	now := c.r.opts.Now()
	e := ending{keep: true, cursor: o.Cursor, StreamEnd: store.StreamEnd{
		State: store.StreamProcessed, Answered: true,
		LastRecord: clean(o.LastRecord, 512), LastRecordAt: o.LastRecordTimestamp,
	}}
	if o.NextPage != nil {
		e.State, e.NextPage = store.StreamPending, o.NextPage
	}
	if o.Sleep > 0 {
		e.SleepUntil, e.SleepReason = now.Add(min(o.Sleep, longestWait)), "the plugin asked for a pause"
	}
	if o.RateLimit != nil {
		t := c.throttle(*o.RateLimit)
		e.throttle = &t
		if o.NextPage != nil {
			e.State, e.DueAt = store.StreamDelayed, t.Until
		}
	}
	return e
}

// died ends a claim whose process is gone: no answer, so no attempt (K11). A
// stream that ends the processes that it has to itself is given up; who ended one
// that it shared, nobody knows.
func (c *call) died(err error) ending {
	said := fmt.Sprintf("the process of plugin %s ended during the call", c.in.Plugin)
	deaths := c.stream.Crashes + 1
	final := c.alone && deaths >= c.r.opts.MaxDeaths
	if c.alone {
		said = fmt.Sprintf("the process that plugin %s had for this call alone %s", c.in.Plugin, c.lastWords())
	}
	if final {
		said += fmt.Sprintf("; it is the %s to end so: given up; payload sha256 %s", ordinal(deaths), c.payload())
	}
	said += fmt.Sprintf(" (hint: jackfield plugin logs %s)", c.in.Plugin)
	f := c.failure(&sdk.Error{Class: sdk.ClassSystem, Code: "plugin_crashed", Message: said, Cause: err})
	end := store.StreamEnd{State: store.StreamError, Crash: c.alone, Failure: f}
	if final {
		return ending{StreamEnd: end}
	}
	wait := c.r.opts.DeathDelay
	for range c.stream.Interrupts - 1 {
		wait = min(2*wait, longestDeath)
	}
	end.State, end.DueAt = store.StreamDelayed, c.r.opts.Now().Add(wait)
	return ending{StreamEnd: end}
}

// lastWords returns how the process ended and what it wrote before that.
func (c *call) lastWords() string {
	if c.plugin.Ending != nil {
		if said := c.plugin.Ending(); said != nil {
			return said.Error()
		}
	}
	return "is lost"
}

// payload returns a digest of what the call was about, so that two of the same
// poison are known by it.
func (c *call) payload() string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(c.stream.Connector), []byte(c.stream.Ident), c.stream.Data, c.stream.Page, c.stream.Checkpoint} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func ordinal(n int) string {
	words := []string{"first", "second", "third", "fourth", "fifth"}
	if n <= len(words) {
		return words[n-1]
	}
	return fmt.Sprintf("%dth", n)
}

// failed counts an attempt, and says when the next one is due if there is one.
func (c *call) failed(e *sdk.Error) ending {
	f := c.failure(e)
	end := store.StreamEnd{State: store.StreamError, Answered: true, Attempt: true, Failure: f, AbortRun: e.AbortRun}
	if !e.Permanent() && !e.AbortRun && !e.AbortStream && !breach(e) && !refused(e) && c.stream.Attempts < c.r.opts.Retries {
		end.State, end.DueAt = store.StreamDelayed, c.r.retryAt(c.stream.Attempts+1)
	}
	return ending{StreamEnd: end}
}

// refused reports whether the remote system refused the request for what it is.
func refused(e *sdk.Error) bool { return e.Request != nil && refusal(e.Request.Status) }

// breach reports whether the plugin broke the protocol or a cap of it. It would do
// so again: the stream fails at once, and can be continued with a better plugin
// (F06).
func breach(e *sdk.Error) bool {
	switch e.Code {
	case "plugin_protocol", "message_too_large", "checkpoint_required", "reserved_kind", "unknown_operation":
		return true
	default:
		return false
	}
}

// rateLimited makes the streams with the key wait; it costs no attempt.
func (c *call) rateLimited(e *sdk.Error) ending {
	limit := sdk.RateLimit{After: time.Minute}
	if e.Limit != nil {
		limit = *e.Limit
	}
	t := c.throttle(limit)
	return ending{throttle: &t, StreamEnd: store.StreamEnd{
		State: store.StreamDelayed, DueAt: t.Until, Answered: true, Failure: c.failure(e),
	}}
}

// throttle turns a rate limit into a time, within bounds: a reset in the past is
// the shortest wait.
func (c *call) throttle(l sdk.RateLimit) store.Throttle {
	now := c.r.opts.Now()
	wait := l.After
	if !l.Until.IsZero() {
		wait = l.Until.Sub(now)
	}
	wait = min(max(wait, shortestWait), longestWait)
	key := l.Key
	if key == "" {
		key = c.stream.LimitKey
	}
	if key == "" {
		key = c.in.UID
	}
	return store.Throttle{Plugin: c.in.Plugin, Key: key, Until: now.Add(wait)}
}

// failure describes an error for whoever has to cure it. Texts come from a
// plugin: they are cut and stripped of control characters.
func (c *call) failure(e *sdk.Error) *store.Failure {
	f := &store.Failure{
		Point: point(c.stream.Type), Class: string(e.Class), Code: clean(c.r.opts.Redact(e.Code), 64),
		Message: clean(c.r.opts.Redact(message(e)), 1024), Attempt: c.stream.Attempts + 1,
		Plugin: c.manifest.Version, At: c.r.opts.Now(), Request: c.request(e.Request), Details: c.details(e.Details),
	}
	if e.Cause != nil && e.Cause.Error() != e.Message {
		f.Cause = clean(c.r.opts.Redact(e.Cause.Error()), 4096)
	}
	return f
}

// maxDetails is how many details of a failure are kept.
const maxDetails = 16

// details cleans what a plugin tells besides: the first ones, by name.
func (c *call) details(details map[string]string) map[string]string {
	if len(details) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(details), maxDetails))
	for _, name := range slices.Sorted(maps.Keys(details)) {
		if len(out) == maxDetails {
			break
		}
		out[clean(c.r.opts.Redact(name), 64)] = clean(c.r.opts.Redact(details[name]), 1024)
	}
	return out
}

// request cleans what a plugin tells of a request: what it should not have told is
// taken out again.
func (c *call) request(r *sdk.RequestFacts) *store.Request {
	if r == nil {
		return nil
	}
	address, _, _ := strings.Cut(r.URL, "?")
	host := r.Host
	if u, err := url.Parse(address); err == nil {
		u.User, u.Fragment, u.RawFragment = nil, "", ""
		address, host = u.String(), cmp.Or(host, u.Host)
	} else {
		address = ""
	}
	return &store.Request{
		Method: clean(c.r.opts.Redact(r.Method), 16), URL: clean(c.r.opts.Redact(address), 512),
		Status: r.Status, Duration: max(r.Duration, 0), Host: clean(c.r.opts.Redact(host), 255),
	}
}

// message returns the text without the code, which is kept beside it.
func message(e *sdk.Error) string {
	if e.Message == "" && e.Cause != nil {
		return e.Cause.Error()
	}
	return e.Message
}

func point(t store.StreamType) string {
	switch t {
	case store.StreamPreprocess:
		return "preprocess"
	case store.StreamPlan:
		return "get_streams"
	case store.StreamSweep:
		return "sweep"
	case store.StreamAllow:
		return "allowed"
	case store.StreamPostprocess:
		return "postprocess"
	default:
		return "process_stream"
	}
}

// clean makes a plugin's text fit for logs, terminals and the database.
func clean(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
