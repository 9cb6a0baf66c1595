package endpoint_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// rows: E02
func FuzzValuesStayInTheirPlace(f *testing.F) {
	for _, seed := range []string{
		"plain", "a/b", "..", ".", "../../etc", "a%2e%2e", "%2e%2e", "?x=1", "#f", "a&b=c", "a b+c", `"},"evil":{"`, "\\", "\r\nX: y", "\x00", "é\u2028😀",
		"{{ fields.api_key }}", "{id}", "${env:HOME}", "@evil.com", "//evil.com", "http://evil.com", ";", "'", "<script>", strings.Repeat("a", 9000), "\xff\xfe",
	} {
		f.Add(seed)
	}
	spec, problems := loadText(f, head+`
endpoints:
  - name: it
    type: PostData
    url: /a/{id}/b/{{ body.v }}?q={{ body.v }}
    parameters: [{name: id, in: path, from: body, key: v}, {name: p, in: query, from: body, key: v}, {name: deep.v, in: body, from: body, key: v}]
    body: {text: "<{{ body.v }}>", whole: "{{ body.v }}"}
`)
	require.NoError(f, problems.Err())
	tpl, faults := endpoint.NewCompiler().Compile(spec)
	require.Empty(f, faults)
	f.Fuzz(func(t *testing.T, v string) {
		r, err := tpl.Render("it", endpoint.Input{Host: "crm.example", Fields: fields(), Body: map[string]any{"v": v}}, "")
		if err != nil {
			leads := v == "" || len(v) > 1500
			for part := range strings.SplitSeq(v, "/") {
				leads = leads || part == "." || part == ".."
			}
			require.True(t, leads, "%q is refused: %v", v, err)
			return
		}
		u, err := url.Parse(r.URL)
		require.NoError(t, err)
		require.Equal(t, "crm.example", u.Host)
		require.Empty(t, u.Fragment)
		parts := strings.Split(u.EscapedPath(), "/")
		require.Len(t, parts, 5)
		for _, i := range []int{2, 4} {
			part, err := url.PathUnescape(parts[i])
			require.NoError(t, err)
			require.Equal(t, v, part)
		}
		q, err := url.ParseQuery(u.RawQuery)
		require.NoError(t, err)
		require.Equal(t, url.Values{"q": {v}, "p": {v}}, q)
		if !utf8.ValidString(v) {
			return // JSON cannot hold it
		}
		var body struct {
			Text, Whole string
			Deep        map[string]string
		}
		require.NoError(t, json.Unmarshal(r.Body, &body))
		require.Equal(t, []string{"<" + v + ">", v, v}, []string{body.Text, body.Whole, body.Deep["v"]})
	})
}

// answering is a transport that answers whatever it is told to.
type answering struct {
	status int
	header string
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Request: req, Body: io.NopCloser(bytes.NewReader(a.body)),
		Header: http.Header{"Location": {a.header}, "Link": {a.header}, "Content-Type": {a.header}},
	}, nil
}

// Whatever an answer is, what is made of it is text that can be passed on, or an error
// that says so; no part of it is followed without end.
//
// rows: R02
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `null`, `true`, `1e999`, `-0`, `"x"`, `[]`, `{}`, `{"items": [{"id": 1, "name": "Ann"}]}`, `{"items": {"id": 1}}`, `{"items": [[[]]]}`,
		"{\"items\": [{\"id\": \"a\xff\xc0b\", \"name\": \"\xed\xa0\x80\"}]}", "{\"why\": \"\xff\xfe\", \"errors\": {\"na\xffme\": [\"b\xffad\"]}}", "\xef\xbb\xbf{}", "\xff\xfe{\x00}\x00",
		`{"items": [{"id": "\ud800", "name": "\u0000"}]}`, `{"id": 123456789012345678901234567890}`, `{"id": {"id": {"id": 1}}}`, `{"a": 1, "a": 2}`, `{"items": null, "id": ""}`,
		`{"why": ` + strings.Repeat(`["`, 2000), `{"items": ` + strings.Repeat("[", 20_000), strings.Repeat(`{"items":`, 9_000) + "1" + strings.Repeat("}", 9_000),
		strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), `{"errors": [{"field": "name", "message": {"x": ["y"]}}]}`, `{"why": "` + strings.Repeat("é", 2000) + `"}`, `<html>`, "{} {}",
	} {
		statuses := []uint16{200, 422, 302, 503}
		if testing.Short() { // the race detector takes its time
			statuses = statuses[:2]
		}
		for _, status := range statuses {
			f.Add([]byte(seed), "text/\xff\xfe", status-200)
		}
	}
	spec, problems := loadText(f, head+`
endpoints:
  - {name: list, type: PostData, url: /, response: {shape: contact, list: items, item: {id: id, name: "{{ item.name }}"}, extra: {all: name}, error: why, fields: errors}}
  - {name: single, type: PostData, url: /, response: {shape: call_log, item: {id: id}, error: why, fields: errors, ok: "{{ response != 7 }}"}}
  - {name: text, type: PostData, url: /, response: {type: text, error: why}}
`)
	require.NoError(f, problems.Err())
	tpl, faults := endpoint.NewCompiler().Compile(spec)
	require.Empty(f, faults)
	f.Fuzz(func(t *testing.T, body []byte, header string, status uint16) {
		for _, name := range []string{"list", "single", "text"} {
			e, err := endpoint.New(endpoint.Options{Transport: func(string) http.RoundTripper { return answering{200 + int(status)%400, header, body} }, Tokens: newVault()})
			require.NoError(t, err)
			in := endpoint.Integration{ID: "1", Name: "acme/crm", Template: tpl, Host: "crm.example", Fields: fields()}
			out, err := e.Call(t.Context(), in, name, endpoint.Given{})
			text := func(s string) { require.True(t, utf8.ValidString(s), "%q", s) }
			for k, v := range out.Header {
				text(k)
				text(v)
			}
			for _, i := range out.Items {
				require.NotEmpty(t, i.ID())
				for _, v := range i.Values {
					text(v)
				}
				_, bad := json.Marshal(i.Extra)
				require.NoError(t, bad)
			}
			_, bad := json.Marshal(out.Body)
			require.NoError(t, bad)
			for _, s := range out.Warnings {
				text(s)
			}
			if err == nil {
				continue
			}
			failure := failed(t, err)
			for _, s := range append([]string{failure.Message, failure.Body, failure.Hint, failure.Error()}, failure.Missing...) {
				text(s)
			}
			for k, v := range failure.Fields {
				text(k)
				text(v)
			}
		}
	})
}
