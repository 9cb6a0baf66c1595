package endpoint_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// ask calls the endpoint "it" at a remote with the answer.
func ask(t *testing.T, text string, answer func(http.ResponseWriter, *http.Request, string)) (endpoint.Result, error) {
	t.Helper()
	c := newRemote(t, answer)
	return engine(t, c).Call(t.Context(), integration(compile(t, text), c), "it", endpoint.Given{})
}

// failed returns what an error says.
func failed(t *testing.T, err error) *endpoint.Error {
	t.Helper()
	var e *endpoint.Error
	require.ErrorAs(t, err, &e)
	return e
}

// status answers with a status and a text.
func status(code int, text string, headers ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

// rows: G15
func TestGetDataReturnsParsedJSON(t *testing.T) {
	t.Parallel()
	out, err := ask(t, one("type: GetData\nurl: /x\n"), status(http.StatusAccepted, `{"id": 9007199254740993, "big": 123456789012345678901234567890, "f": 1.5, "list": [true, null]}`, "Content-Type", "application/json", "X-Request-Id", "r1", "Set-Cookie", "a=b"))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, out.Status)
	require.Equal(t, map[string]any{"id": 9007199254740993, "big": "123456789012345678901234567890", "f": 1.5, "list": []any{true, nil}}, out.Body)
	require.Equal(t, map[string]string{"Content-Type": "application/json", "X-Request-Id": "r1"}, out.Header)
}

// rows: G15
func TestOtherStatusIsATypedErrorWithABoundedBody(t *testing.T) {
	t.Parallel()
	text := one("type: PostData\nurl: /x\nresponse: {error: error.message, fields: errors}\n")
	_, err := ask(t, text, status(http.StatusUnprocessableEntity, `{"error": {"message": "no such owner"}, "errors": {"phone": ["is too short", "is taken"], "name": "is missing"}}`))
	e := failed(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, e.Status)
	require.Equal(t, "no such owner", e.Message)
	require.Equal(t, map[string]string{"phone": "is too short; is taken", "name": "is missing"}, e.Fields)
	require.Equal(t, endpoint.OutcomeFailed, e.Outcome)

	_, err = ask(t, text, status(http.StatusBadRequest, strings.Repeat("x", 1<<20)))
	require.Len(t, failed(t, err).Body, 4<<10)

	_, err = ask(t, text, status(http.StatusBadRequest, `{"errors": [{"field": "email", "message": "is wrong"}, {"path": "a", "code": 7}]}`))
	require.Equal(t, map[string]string{"email": "is wrong", "a": "7"}, failed(t, err).Fields)

	_, err = ask(t, one("type: GetData\nurl: /x\n"), status(http.StatusOK, "<html>"))
	require.Equal(t, "bad_answer", failed(t, err).Code)
	_, err = ask(t, one("type: GetData\nurl: /x\nresponse: {ok: '{{ response.ok }}', error: why}\n"), status(http.StatusOK, `{"ok": false, "why": "not today"}`))
	require.Equal(t, "refused", failed(t, err).Code)
	require.ErrorContains(t, err, "not today")
}

func TestAnswersBecomeShapes(t *testing.T) {
	t.Parallel()
	out, err := ask(t, one(`
type: GetData
url: /x
response:
  shape: contact
  list: data.items
  item: {id: id, name: "{{ item.first + ' ' + item.last }}", phone: "phones[0].number", email: mail, company: org.name}
  extra: {vip: "{{ item.score > 10 }}", tags: tags, total: "{{ response.total }}"}
`), ok(`{"total": 2, "data": {"items": [
	{"id": 7, "first": "Ann", "last": "Lee", "phones": [{"number": "+84"}], "org": {"name": "Acme"}, "score": 11, "tags": ["a"]},
	{"id": "x-8", "first": "Bo", "last": "Ek", "phones": [], "org": null, "score": 1}]}}`))
	require.NoError(t, err)
	require.Equal(t, []endpoint.Item{
		{Shape: store.ShapeContact, Values: map[string]string{"id": "7", "name": "Ann Lee", "phone": "+84", "company": "Acme"}, Extra: map[string]any{"vip": true, "tags": []any{"a"}, "total": 2}},
		{Shape: store.ShapeContact, Values: map[string]string{"id": "x-8", "name": "Bo Ek"}, Extra: map[string]any{"vip": false, "total": 2}},
	}, out.Items)

	contact := one("type: GetData\nurl: /x\nresponse: {shape: contact, item: {id: id}}\n")
	out, err = ask(t, contact, ok(`{}`))
	require.NoError(t, err)
	require.Empty(t, out.Items, "nobody was found")
	list := one("type: GetData\nurl: /x\nresponse: {shape: ticket, list: tickets, item: {id: key, subject: s}}\n")
	out, err = ask(t, list, ok(`{"other": 1}`))
	require.NoError(t, err)
	require.Empty(t, out.Items)
	_, err = ask(t, list, ok(`{"tickets": {"key": 1}}`))
	require.ErrorContains(t, err, "no list at tickets")
	_, err = ask(t, list, ok(`{"tickets": [{"s": "x"}]}`))
	require.ErrorContains(t, err, "no id at key")
	_, err = ask(t, one("type: PostData\nurl: /x\nresponse: {shape: call_log, item: {id: a.b}}\n"), ok(`{"a": {}}`))
	require.ErrorContains(t, err, "no id at a.b")
}

// rows: R01
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := io.CopyN(z, zeros{}, 64<<20)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	_, err = ask(t, one("type: GetData\nurl: /x\nresponse: {type: text}\n"), status(http.StatusOK, bomb.String(), "Content-Encoding", "gzip"))
	require.Equal(t, "answer_too_large", failed(t, err).Code)
}

// rows: R01
func TestAnswersWithoutEndAreLeft(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	_, err := ask(t, one("type: GetData\nurl: /x\ntimeout: 2m\n"), func(w http.ResponseWriter, r *http.Request, _ string) {
		block := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			n, err := w.Write(block)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	require.Equal(t, "answer_too_large", failed(t, err).Code)
	require.Less(t, sent.Load(), int64(64<<20))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// rows: E01
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	c := newRemote(t, status(http.StatusFound, "", "Location", "/elsewhere"))
	_, err := engine(t, c).Call(t.Context(), integration(compile(t, one("type: GetData\nurl: /x\n")), c), "it", endpoint.Given{})
	require.Equal(t, "redirect", failed(t, err).Code)
	require.Equal(t, "/x", c.only(t).path)
}

// flaky answers with a status some times, and then with {}.
func flaky(times, code int, headers ...string) func(http.ResponseWriter, *http.Request, string) {
	left := make(chan struct{}, times)
	for range times {
		left <- struct{}{}
	}
	return func(w http.ResponseWriter, r *http.Request, body string) {
		select {
		case <-left:
			status(code, `{"error": "busy"}`, headers...)(w, r, body)
		default:
			ok(`{}`)(w, r, body)
		}
	}
}

// rows: O40
func TestGatewayErrorsAreTriedAgainWhereThatDoesNoHarm(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		endpoint string
		code     int
		calls    int
		class    sdk.Class // of the error; empty: none
	}{
		"GET":             {"type: GetData", 503, 3, ""},
		"PUT":             {"type: PostData\nmethod: PUT", 502, 3, ""},
		"DELETE":          {"type: PostData\nmethod: DELETE", 504, 3, ""},
		"POST":            {"type: PostData", 503, 1, sdk.ClassTransient},
		"PATCH":           {"type: PostData\nmethod: PATCH", 502, 1, sdk.ClassTransient},
		"idempotent POST": {"type: PostData\nidempotent: true", 503, 3, ""},
		"429 of a GET":    {"type: GetData", 429, 1, sdk.ClassRateLimited},
		"429 of a PUT":    {"type: PostData\nmethod: PUT", 429, 1, sdk.ClassRateLimited},
		"429 idempotent":  {"type: PostData\nidempotent: true", 429, 1, sdk.ClassRateLimited},
		"429 of a POST":   {"type: PostData", 429, 1, sdk.ClassRateLimited},
		"500":             {"type: GetData", 500, 1, sdk.ClassTransient},
		"404":             {"type: GetData", 404, 1, sdk.ClassRemote},
		"409":             {"type: PostData\nidempotent: true", 409, 1, sdk.ClassRemote},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRemote(t, flaky(2, tc.code))
			_, err := engine(t, c).Call(t.Context(), integration(compile(t, one(tc.endpoint+"\nurl: /x\n")), c), "it", endpoint.Given{})
			require.Len(t, c.requests(), tc.calls)
			if tc.class == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, tc.class, failed(t, err).Class)
		})
	}
}

// rows: O40
func TestRateLimitIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	_, err := ask(t, one("type: PostData\nurl: /x\n"), status(http.StatusTooManyRequests, `{}`, "Retry-After", "90"))
	e := failed(t, err)
	require.Equal(t, sdk.ClassRateLimited, e.Class)
	require.Equal(t, 90*time.Second, e.RetryAfter)
	at := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	_, err = ask(t, one("type: GetData\nurl: /x\n"), status(http.StatusTooManyRequests, `{}`, "Retry-After", at))
	require.InDelta(t, time.Hour.Seconds(), failed(t, err).RetryAfter.Seconds(), 60)
}

// cutting drops the connection after it read the request.
func cutting(w http.ResponseWriter, _ *http.Request, _ string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// rows: G16
func TestPostThatMayHaveArrivedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		endpoint string
		calls    int
	}{
		"POST":  {"type: PostData", 1},
		"SMS":   {"type: SendSMS\nmethod: PUT", 1},
		"PATCH": {"type: PostData\nmethod: PATCH", 1},
		"GET":   {"type: GetData", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRemote(t, cutting)
			text := one(tc.endpoint + "\nurl: /x\n")
			if name == "SMS" {
				text = strings.Replace(text, "type: CRM", "type: SMS", 1)
			}
			_, err := engine(t, c).Call(t.Context(), integration(compile(t, text), c), "it", endpoint.Given{})
			require.Len(t, c.requests(), tc.calls)
			e := failed(t, err)
			require.Equal(t, endpoint.OutcomeUnknown, e.Outcome)
			require.Equal(t, sdk.ClassTransient, e.Class)
		})
	}
	t.Run("never left", func(t *testing.T) {
		t.Parallel()
		c := newRemote(t, ok(`{}`))
		in := integration(compile(t, one("type: PostData\nurl: /x\n")), c)
		c.Close()
		_, err := engine(t, c).Call(t.Context(), in, "it", endpoint.Given{})
		require.Equal(t, endpoint.OutcomeNotSent, failed(t, err).Outcome)
		require.NotContains(t, err.Error(), "https://")
	})
}

// rows: R01
func TestDeadlineEndsACall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	_, err := ask(t, one("type: GetData\nurl: /x\ntimeout: 200ms\n"), func(_ http.ResponseWriter, r *http.Request, _ string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	e := failed(t, err)
	require.Equal(t, "timeout", e.Code)
	require.Equal(t, sdk.ClassTransient, e.Class)
}

// rows: G17
func TestSMSIsSentOnceAndNamed(t *testing.T) {
	t.Parallel()
	text := strings.Replace(one(`
type: SendSMS
method: PUT
url: /messages
response: {shape: message, item: {id: message.sid, status: message.state}}
parameters: [{name: to, in: body, from: body, required: true}, {name: text, in: body, from: body, required: true}]
`), "type: CRM", "type: SMS", 1)
	c := newRemote(t, flaky(1, http.StatusServiceUnavailable))
	e := engine(t, c)
	in := integration(compile(t, text), c)
	given := endpoint.Given{Body: map[string]any{"to": "+84", "text": "hi"}}
	_, err := e.Call(t.Context(), in, "it", given)
	require.Equal(t, endpoint.OutcomeUnknown, failed(t, err).Outcome)
	require.Len(t, c.requests(), 1)
	c.say(ok(`{"message": {"sid": "SM1", "state": "queued"}}`))
	out, err := e.Call(t.Context(), in, "it", given)
	require.NoError(t, err)
	require.Equal(t, "SM1", out.Items[0].ID())
	require.Len(t, c.requests(), 2)

	_, problems := load(t, strings.Replace(text, "type: SMS", "type: CRM", 1))
	require.ErrorContains(t, problems.Err(), "SendSMS belongs to templates of type SMS")
}

// rows: G22
func TestUnknownEndpointIsNotFound(t *testing.T) {
	t.Parallel()
	c := newRemote(t, ok(`{}`))
	in := integration(compile(t, one("type: GetData\nurl: /x\n")), c)
	_, err := engine(t, c).Call(t.Context(), in, "itt", endpoint.Given{})
	require.ErrorIs(t, err, store.ErrNotFound)
	require.ErrorContains(t, err, `did you mean "it"? known are it`)
	require.Empty(t, c.requests())
}

func TestPlainHTTPNeedsLeave(t *testing.T) {
	t.Parallel()
	text := head + "request: {base_url: 'http://{{ host }}'}\nendpoints: [{name: it, type: GetData, url: /x}]\n"
	c := newRemote(t, ok(`{}`))
	in := integration(compile(t, text), c)
	_, err := engine(t, c).Call(t.Context(), in, "it", endpoint.Given{})
	require.Equal(t, "plain_http", failed(t, err).Code)
	require.Empty(t, c.requests())
	asked := ""
	_, err = engine(t, c, func(o *endpoint.Options) { o.Plain = func(host string) bool { asked = host; return true } }).
		Call(t.Context(), in, "it", endpoint.Given{})
	require.Equal(t, http.StatusBadRequest, failed(t, err).Status, "a TLS server's word on plain HTTP")
	require.Equal(t, c.host(), asked)
}

// rows: R02
func TestAnswersThatAreDeepOrNoTextDoNoHarm(t *testing.T) {
	t.Parallel()
	c := newRemote(t, ok(strings.Repeat("[", 150_000)))
	in := integration(compile(t, one("type: GetData\nurl: /x\nresponse: {shape: contact, item: {id: id, name: name}}")), c)
	_, err := engine(t, c).Call(t.Context(), in, "it", endpoint.Given{})
	require.Equal(t, "bad_answer", failed(t, err).Code)
	c.say(ok("{\"id\": 1, \"name\": \"a\xff\xc0b\"}"))
	out, err := engine(t, c).Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	require.True(t, utf8.ValidString(out.Items[0].Values["name"]))
}

// An answer of success that cannot be made into what the template says leaves open
// what was done: the request arrived.
//
// rows: G15
func TestUnreadableSuccessIsUnknown(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]string{
		"no id":      "{shape: contact, list: data, item: {id: id}}",
		"no list":    "{shape: contact, list: other, item: {id: id}}",
		"expression": "{shape: contact, item: {id: '{{ int(response.word) }}'}}",
		"verdict":    "{ok: '{{ int(response.word) == 1 }}'}",
	} {
		_, err := ask(t, one("type: PostData\nurl: /x\nbody: {a: 1}\nresponse: "+response+"\n"), ok(`{"data": [{"x": 1}], "other": "none", "word": "w"}`))
		require.Error(t, err, name)
		e := failed(t, err)
		require.Equal(t, endpoint.OutcomeUnknown, e.Outcome, name)
		require.Equal(t, http.StatusOK, e.Status, name)
	}
}
