package endpoint_test

import (
	"encoding/json"
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
