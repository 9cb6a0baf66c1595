package endpoint_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// call calls the endpoint "it" of a template at a remote that answers {}.
func call(t *testing.T, text string, g endpoint.Given) seen {
	t.Helper()
	c := newRemote(t, ok(`{}`))
	_, err := engine(t, c).Call(t.Context(), integration(compile(t, text), c), "it", g)
	require.NoError(t, err)
	return c.only(t)
}

// rows: G03
func TestHeaderParameterArrivesOnce(t *testing.T) {
	t.Parallel()
	text := strings.Replace(one(`
type: GetData
url: /x
`), "{name: api_key, secret: true}", "{name: api_key, in: header, as: X-Key, secret: true}", 1)
	got := call(t, text, endpoint.Given{})
	require.Equal(t, []string{"s3cr3t-key"}, got.header.Values("X-Key"))
}

// rows: G04, G16
func TestBodyParametersAreTheBody(t *testing.T) {
	t.Parallel()
	got := call(t, one(`
type: PostData
url: /contacts
parameters:
  - {name: contact.name, in: body, from: body, key: name}
  - {name: contact.owner.id, in: body, from: field, key: owner}
  - {name: contact.age, in: body, from: body, key: age}
hard_params:
  - {name: source, in: body, value: jackfield}
`), endpoint.Given{Body: values(t, `{"name": "Ann \"A\" é", "age": 12345678901234567, "source": "mine", "more": 1}`)})
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	sameJSON(t, `{"contact": {"name": "Ann \"A\" é", "owner": {"id": "o-7"}, "age": 12345678901234567}, "source": "jackfield"}`, got.body)
}

// rows: G05
func TestQueryParametersKeepTheirValue(t *testing.T) {
	t.Parallel()
	got := call(t, one(`
type: GetData
url: /find?fixed=1&b=x%20y
parameters:
  - {name: q, in: query, from: body}
  - {name: tag, in: query, from: body}
`), endpoint.Given{Body: values(t, `{"q": "a b&c=#?/é", "tag": ["x", "y&z"]}`)})
	q, err := url.ParseQuery(got.query)
	require.NoError(t, err)
	require.Equal(t, url.Values{"fixed": {"1"}, "b": {"x y"}, "q": {"a b&c=#?/é"}, "tag": {"x", "y&z"}}, q)
}

// rows: G06, E02
func TestPathParametersAreOneSegment(t *testing.T) {
	t.Parallel()
	text := one(`
type: GetData
url: /c/{id}/notes/{{ body.note }}
parameters:
  - {name: id, in: path, from: body}
`)
	got := call(t, text, endpoint.Given{Body: values(t, `{"id": "a/b", "note": "x?y#z"}`)})
	require.Equal(t, "/c/a%2Fb/notes/x%3Fy%23z", got.rawPath)
	require.Empty(t, got.query)

	tpl := compile(t, text)
	for _, bad := range []string{`{"note": "x"}`, `{"id": "", "note": "x"}`, `{"id": "..", "note": "x"}`, `{"id": ".", "note": "x"}`, `{"id": "x"}`, `{"id": "a/../..", "note": "x"}`} {
		_, err := tpl.Render("it", endpoint.Input{Host: "crm.example", Body: values(t, bad)}, "")
		var e *endpoint.Error
		require.ErrorAs(t, err, &e, bad)
		require.Equal(t, endpoint.OutcomeNotSent, e.Outcome)
	}
	_, problems := load(t, one("type: GetData\nurl: /c/{id}\n"))
	require.ErrorContains(t, problems.Err(), "no parameter fills {id}")
}

// rows: G07
func TestMD5ParameterIsAHeader(t *testing.T) {
	t.Parallel()
	got := call(t, one(`
type: GetData
url: /x
parameters:
  - {name: X-Sign, in: md5, value: "{{ fields.user }}{{ body.salt }}"}
`), endpoint.Given{})
	require.Empty(t, got.header.Get("X-Sign"), "what is not whole is not sent")
	got = call(t, one(`
type: GetData
url: /x
parameters:
  - {name: X-Sign, in: md5, value: "message {{ body.what }}"}
`), endpoint.Given{Body: values(t, `{"what": "digest"}`)})
	require.Equal(t, "f96b697d7cb7938d525a2f31aaf161d0", got.header.Get("X-Sign"), "RFC 1321")
}

// rows: G19, G20
func TestClientReplacesNothing(t *testing.T) {
	t.Parallel()
	got := call(t, one(`
type: PostData
url: /x
parameters:
  - {name: owner, in: body, from: body}
  - {name: owner, in: body, from: field}
  - {name: kind, in: body, from: body}
  - {name: user, in: body, from: field, key: user}
  - {name: user, in: body, from: body}
  - {name: note, in: body, from: body}
  - {name: note, in: body, from: call}
hard_params:
  - {name: kind, in: body, value: call}
  - {name: X-Fixed, in: header, value: yes-1}
  - {name: v, in: query, value: 2}
`), endpoint.Given{
		Body: values(t, `{"owner": "evil", "kind": "evil", "user": "evil", "X-Fixed": "evil", "v": 9, "note": "evil"}`),
		Call: map[string]any{"note": "of the call"},
	})
	sameJSON(t, `{"owner": "o-7", "kind": "call", "user": "ann", "note": "of the call"}`, got.body)
	require.Equal(t, []string{"yes-1"}, got.header.Values("X-Fixed"))
	require.Equal(t, "v=2", got.query)
}

// rows: G19
func TestMissingValuesAreAllNamedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	c := newRemote(t, ok(`{}`))
	_, err := engine(t, c).Call(t.Context(), integration(compile(t, one(`
type: PostData
url: /x/{id}
parameters:
  - {name: id, in: path, from: body, key: contact.id}
  - {name: phone, in: query, from: call, key: number, required: true}
  - {name: a.b, in: body, from: body, required: true}
  - {name: fine, in: body, from: field, key: owner, required: true}
`)), c), "it", endpoint.Given{})
	var e *endpoint.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "missing_value", e.Code)
	require.Len(t, e.Missing, 3)
	for _, what := range []string{`"id" (from the request's contact.id)`, `"phone" (from call number)`, `"a.b"`} {
		require.ErrorContains(t, err, what)
	}
	require.NotContains(t, err.Error(), "fine")
	require.Empty(t, c.requests())
}

// rows: G16
func TestClientBodyIsForwarded(t *testing.T) {
	t.Parallel()
	body := values(t, `{"a": {"b": [1, "x"]}, "c": null}`)
	got := call(t, one("type: PostData\nurl: /x\n"), endpoint.Given{Body: body})
	sameJSON(t, `{"a": {"b": [1, "x"]}, "c": null}`, got.body)

	got = call(t, one("type: PostData\nurl: /x\nbody: {only: '{{ body.a.b[0] }}'}\n"), endpoint.Given{Body: body})
	sameJSON(t, `{"only": 1}`, got.body)

	got = call(t, one("type: PostData\nurl: /x\nforward: true\nbody: {a: {c: fixed}}\n"), endpoint.Given{Body: body})
	sameJSON(t, `{"a": {"b": [1, "x"], "c": "fixed"}, "c": null}`, got.body)
	sameJSON(t, `{"a": {"b": [1, "x"]}, "c": null}`, func() string { b, _ := json.Marshal(body); return string(b) }())
}

// rows: E02
func TestValuesAreEscapedForTheirPlace(t *testing.T) {
	t.Parallel()
	nasty := "a\"b\\c'd</e>&f=g\u2028é {{ fields.api_key }} %00 ${env:HOME}"
	given := endpoint.Given{Body: map[string]any{"v": nasty}}

	got := call(t, one("type: PostData\nurl: /x\nbody: {text: 'say {{ body.v }}!', whole: '{{ body.v }}'}\n"), given)
	var doc map[string]string
	require.NoError(t, json.Unmarshal([]byte(got.body), &doc))
	require.Equal(t, map[string]string{"text": "say " + nasty + "!", "whole": nasty}, doc)

	got = call(t, one("type: PostData\nurl: /x\nencoding: form\nbody: {v: '{{ body.v }}', n: 1}\n"), given)
	form, err := url.ParseQuery(got.body)
	require.NoError(t, err)
	require.Equal(t, url.Values{"v": {nasty}, "n": {"1"}}, form)
	require.Equal(t, "application/x-www-form-urlencoded", got.header.Get("Content-Type"))

	got = call(t, one("type: PostData\nurl: /x\nencoding: raw\ncontent_type: application/json\nbody: '{\"v\": \"{{ body.v }}\"}'\n"), given)
	require.NoError(t, json.Unmarshal([]byte(got.body), &doc))
	require.Equal(t, nasty, doc["v"])

	got = call(t, one("type: PostData\nurl: /x\nencoding: raw\ncontent_type: text/xml\nbody: '<v>{{ body.v }}</v>'\n"), endpoint.Given{Body: map[string]any{"v": "<&>\""}})
	require.Equal(t, "<v>&lt;&amp;&gt;&#34;</v>", got.body)

	got = call(t, one("type: GetData\nurl: '/x/{{ body.v }}/y?z={{ body.v }}'\n"), given)
	require.Equal(t, "/x/"+nasty+"/y", got.path)
	q, err := url.ParseQuery(got.query)
	require.NoError(t, err)
	require.Equal(t, nasty, q.Get("z"))
}

// rows: E03
func TestHeaderValuesHaveNoLineBreaks(t *testing.T) {
	t.Parallel()
	tpl := compile(t, one("type: GetData\nurl: /x\nparameters:\n  - {name: X-Name, in: header, from: body}\n"))
	for _, bad := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7fb"} {
		_, err := tpl.Render("it", endpoint.Input{Host: "crm.example", Body: map[string]any{"X-Name": bad}}, "")
		require.ErrorContains(t, err, "X-Name cannot have a line break", "%q", bad)
	}
}

// rows: E01
func TestAddressMeansWhatItWasMadeOf(t *testing.T) {
	t.Parallel()
	tpl := compile(t, head+`
request: {base_url: "https://{{ body.sub }}.example.com/api/"}
endpoints:
  - {name: it, type: GetData, url: "x/{{ body.id }}"}
`)
	r, err := tpl.Render("it", endpoint.Input{Body: map[string]any{"sub": "acme", "id": "7"}}, "")
	require.NoError(t, err)
	require.Equal(t, "https://acme.example.com/api/x/7", r.URL)
	for _, bad := range []string{"evil.com/", "evil.com#", "evil.com?", "u:p@evil.com", "evil.com\\", "evil.com:80", "a b", "é", "", "evil.com%2f", "[::1]"} {
		_, err := tpl.Render("it", endpoint.Input{Body: map[string]any{"sub": bad, "id": "7"}}, "")
		require.Error(t, err, bad)
	}
	tpl = compile(t, one("type: GetData\nurl: /x\n"))
	for _, bad := range []string{"evil.com/", "evil.com?", "evil.com#", "u:p@evil.com", "evil.com/@crm.example"} {
		_, err := tpl.Render("it", endpoint.Input{Host: bad}, "")
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"ftp://x/y", "https://u:p@x/y", "https:///y", "/x y", "/x#y", "https://x/{{ body.a", "file:///etc/passwd", "/{a b}", ""} {
		_, problems := load(t, one("type: GetData\nurl: '"+bad+"'\n"))
		require.Error(t, problems.Err(), bad)
	}
}

// rows: G09
func TestHostHasNoScheme(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"app.x.co", "localhost:8443", "10.0.0.1", "[::1]:443", "xn--e1afmkfd.xn--p1ai"} {
		require.Empty(t, endpoint.HostFault(good), good)
	}
	for _, bad := range []string{"https://app.x.co", "app.x.co/", "app.x.co/x", "a@b", "a b", "", "a?b", "a#b", "x:", ":443", "a\\b", "é.co", "a..%2e"} {
		require.NotEmpty(t, endpoint.HostFault(bad), bad)
	}
	require.Contains(t, endpoint.HostFault("https://app.x.co"), "without https://")
	r, err := compile(t, one("type: GetData\nurl: x\n")).Render("it", endpoint.Input{Host: "app.x.co"}, "")
	require.NoError(t, err)
	require.Equal(t, "https://app.x.co/x", r.URL)
}

// rows: G08
func TestIntegrationsSendTheirOwnFields(t *testing.T) {
	t.Parallel()
	c := newRemote(t, ok(`{}`))
	tpl := compile(t, one("type: PostData\nurl: /x\nbody: {owner: '{{ fields.owner }}', all: '{{ fields }}'}\n"))
	e := engine(t, c)
	for _, who := range []string{"one", "two"} {
		in := integration(tpl, c)
		in.ID, in.Fields = who, map[string]string{"owner": who, "api_key": who, "stray": "not of the template"}
		_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
		require.NoError(t, err)
	}
	got := c.requests()
	sameJSON(t, `{"owner": "one", "all": {"owner": "one", "api_key": "one"}}`, got[0].body)
	sameJSON(t, `{"owner": "two", "all": {"owner": "two", "api_key": "two"}}`, got[1].body)
}

func TestRenderHidesSecrets(t *testing.T) {
	t.Parallel()
	tpl := compile(t, `
name: acme
type: CRM
parameters:
  - {name: api_key, in: query, as: key, secret: true}
  - {name: user}
  - {name: owner}
auth: {type: basic, username: "{{ fields.user }}", password: "{{ fields.api_key }}"}
request: {headers: {X-Copy: "k={{ fields.api_key }}", X-Plain: "{{ fields.user }}"}}
endpoints:
  - name: it
    type: PostData
    url: /x/{{ fields.api_key }}/{k}?a={{ fields.api_key }}
    parameters:
      - {name: k, in: path, from: field, key: api_key}
      - {name: X-Sign, in: md5, from: field, key: api_key}
      - {name: deep.key, in: body, from: field, key: api_key}
    body: {text: "a {{ fields.api_key }} b", plain: "{{ fields.user }}", any: '{{ fields["api" + "_key"] }}', up: "{{ upper(fields.api_key) }}"}
  - {name: form, type: PostData, url: /y, encoding: form, body: {k: "{{ fields.api_key }}", v: 1}}
`)
	in := endpoint.Input{Host: "crm.example", Fields: fields()}
	r, err := tpl.Render("it", in, "")
	require.NoError(t, err)
	require.Contains(t, string(r.Body), "s3cr3t-key")
	require.Contains(t, string(r.Body), "S3CR3T-KEY")
	shown, err := json.Marshal(r.Shown())
	require.NoError(t, err)
	for _, secret := range []string{"s3cr3t", "S3CR3T", "YW5uOnMzY3IzdC1rZXk=", r.Header.Get("X-Sign")} {
		require.NotContains(t, string(shown), secret)
	}
	s := r.Shown()
	require.Equal(t, "https://crm.example/x/***/***?a=***&key=***", s.URL)
	require.Equal(t, map[string]string{"Authorization": "Basic ***", "X-Copy": "k=***", "X-Plain": "ann", "X-Sign": "***", "Content-Type": "application/json"}, s.Header)
	sameJSON(t, `{"text": "a *** b", "plain": "ann", "any": "***", "up": "***", "deep": {"key": "***"}}`, s.Body)

	r, err = tpl.Render("form", in, "")
	require.NoError(t, err)
	require.Equal(t, "k=***&v=1", r.Shown().Body)
	require.Equal(t, "k=s3cr3t-key&v=1", string(r.Body))
}

// rows: G18
func TestMethods(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		got := call(t, one("type: PostData\nmethod: "+m+"\nurl: /x\n"), endpoint.Given{})
		require.Equal(t, m, got.method)
	}
	for _, m := range []string{"HEAD", "OPTIONS", "get", "CONNECT", "TRACE"} {
		_, problems := load(t, one("type: GetData\nmethod: "+m+"\nurl: /x\n"))
		require.ErrorContains(t, problems.Err(), "one of GET, POST, PUT, PATCH, DELETE", m)
	}
}

func TestNumbersAreNormalised(t *testing.T) {
	t.Parallel()
	text := one(`
type: GetData
url: /x
parameters:
  - {name: a, in: query, from: call, key: number, format: e164}
  - {name: b, in: query, from: call, key: number, format: national}
  - {name: c, in: query, from: call, key: number, format: digits}
  - {name: d, in: query, from: call, key: number, format: extension}
  - {name: e, in: query, value: "{{ e164(call.number, 'US') }}"}
`)
	query := func(number string) url.Values {
		q, err := url.ParseQuery(call(t, text, endpoint.Given{Call: map[string]any{"number": number}}).query)
		require.NoError(t, err)
		return q
	}
	require.Equal(t, url.Values{"a": {"+84912345678"}, "b": {"0912 345 678"}, "c": {"0912345678"}}, without(query("0912 345 678"), "e"))
	require.Equal(t, "+16502530000", query("(650) 253-0000").Get("e"))
	require.Equal(t, url.Values{"a": {"+16502530000"}, "d": {"123"}}, only(query("+1 650 253 0000 ext. 123"), "a", "d"))
	require.Equal(t, url.Values{"c": {"204"}, "d": {"204"}}, query("204"))
	require.Empty(t, query("anonymous"))
}

func without(v url.Values, names ...string) url.Values {
	for _, n := range names {
		v.Del(n)
	}
	return v
}

func only(v url.Values, names ...string) url.Values {
	out := url.Values{}
	for _, n := range names {
		if v.Has(n) {
			out[n] = v[n]
		}
	}
	return out
}

func TestDefaultsGiveWay(t *testing.T) {
	t.Parallel()
	got := call(t, head+`
request:
  headers: {Accept: application/json, X-A: default, X-Gone: "{{ call.nothing }}"}
  query: {v: "1", w: "2"}
endpoints:
  - name: it
    type: GetData
    url: /x
    headers: {X-A: own}
    parameters: [{name: v, in: query, from: body}, {name: limit, in: query, from: body, default: 50}]
`, endpoint.Given{Body: map[string]any{"v": "7"}})
	require.Equal(t, http.Header{"Accept": {"application/json"}, "X-A": {"own"}}, http.Header(map[string][]string{"Accept": got.header["Accept"], "X-A": got.header["X-A"]}))
	require.NotContains(t, got.header, "X-Gone")
	require.Equal(t, "limit=50&v=7&w=2", sorted(got.query))
}

func sorted(query string) string {
	v, _ := url.ParseQuery(query)
	return v.Encode()
}

// A number of the house is an extension, and no number of the country.
func TestANumberOfTheHouseIsAnExtension(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"200", "7", "12345"} {
		for format, want := range map[string]string{"extension": number, "digits": number, "e164": "", "national": ""} {
			got, ok := endpoint.Number(format, number, "DE")
			require.Equal(t, want, got, "%s %s", format, number)
			require.Equal(t, want != "", ok)
		}
	}
	for _, number := range []string{"030 1234567", "+49301234567", "004930 1234567"} {
		_, house := endpoint.Number("extension", number, "DE")
		require.False(t, house, number)
		got, _ := endpoint.Number("e164", number, "DE")
		require.Equal(t, "+49301234567", got)
	}
}
