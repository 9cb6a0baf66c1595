package endpoint_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
)

const questionTemplate = `name: acme
label: Acme
type: CRM
info:
  hooks:
    lookup:
      steps:
        - {objectName: logs, endpoint: %find%%more%}
      %id%
endpoints:
  - {name: find, type: GetData, url: /logs, response: {shape: call_log, list: items, item: {id: id}}}
  - {name: bare, type: GetData, url: /logs}
  - {name: make, type: PostData, url: /logs, response: {shape: call_log, item: {id: id}}}
`

// A question whose silence would say what it does not know is refused, where it stands.
//
// rows: F31, I08
func TestAQuestionThatMayBeSilentIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		find, more, id string
		want           string
	}{
		"good":         {find: "find"},
		"good with id": {find: "bare", id: `id: "{{ context.logs[0].id }}"`},
		"optional":     {find: "find", more: ", optional: true", want: "error[bad-template]: info.hooks.lookup.steps[0].optional: if it fails nobody knows"},
		"no shape":     {find: "bare", want: "error[bad-template]: info.hooks.lookup: nothing of it is what a hook makes"},
		"it writes":    {find: "make", want: `error[bad-template]: info.hooks.lookup.steps[0].endpoint: "make" writes`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := load(t, strings.NewReplacer("%find%", tc.find, "%more%", tc.more, "%id%", tc.id).Replace(questionTemplate))
			if tc.want == "" {
				require.NoError(t, problems.Err())
				return
			}
			require.ErrorContains(t, problems.Err(), tc.want)
			require.ErrorContains(t, problems.Err(), "template.yaml:")
			require.ErrorContains(t, problems.Err(), "= help:")
		})
	}
}

// rows: F31
func TestAnAnswerSaysWhetherItHasItsForm(t *testing.T) {
	t.Parallel()
	list := one("type: GetData\nurl: /x\nresponse: {shape: call_log, list: data.items, item: {id: id}}\n")
	person := one("type: GetData\nurl: /x\nresponse: {shape: contact, item: {id: id}}\n")
	for name, tc := range map[string]struct {
		text, answer string
		bare         bool
	}{
		"an empty list":     {list, `{"data": {"items": []}}`, false},
		"a list":            {list, `{"data": {"items": [{"id": 1}]}}`, false},
		"no list":           {list, `{"data": {}}`, true},
		"another answer":    {list, `{"error": "try later"}`, true},
		"nothing":           {list, ``, true},
		"nobody":            {person, `{}`, false},
		"somebody":          {person, `{"id": 7}`, false},
		"null":              {person, `null`, false},
		"something else":    {person, `{"error": "try later"}`, true},
		"a list of persons": {person, `[{"id": 7}]`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := ask(t, tc.text, status(http.StatusOK, tc.answer))
			require.NoError(t, err)
			require.Equal(t, tc.bare, out.Bare)
		})
	}
}

// What was found looks as the endpoint would have answered it that makes it.
//
// rows: F31, G34
func TestAThingThatWasFoundLooksLikeOneThatWasMade(t *testing.T) {
	t.Parallel()
	it := endpoint.Item{Values: map[string]string{"id": "7", "url": "https://crm.example/7"}}
	for name, tc := range map[string]struct {
		response string
		want     any
	}{
		"plain":          {"{shape: call_log, item: {id: id}}", map[string]any{"id": "7"}},
		"below":          {"{shape: call_log, item: {id: data.log.id, url: data.link, subject: data.text}}", map[string]any{"data": map[string]any{"log": map[string]any{"id": "7"}, "link": "https://crm.example/7"}}},
		"an expression":  {`{shape: call_log, item: {id: "{{ response.id + 1 }}"}}`, nil},
		"a list":         {"{shape: call_log, list: items, item: {id: id}}", nil},
		"in a list":      {"{shape: call_log, item: {id: 'items[0].id'}}", nil},
		"without a form": {"{type: json}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := compile(t, one("type: PostData\nurl: /x\nresponse: "+tc.response+"\n")).As("it", it)
			require.Equal(t, tc.want != nil, ok)
			if ok {
				require.Equal(t, tc.want, got)
			}
		})
	}
}
