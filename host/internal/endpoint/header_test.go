package endpoint_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// A line break where a header or an address is written is told when the file is read, at
// its place, wherever it stands.
//
// rows: E03
func TestE03LineBreaksAreRefusedWhenTheFileIsRead(t *testing.T) {
	t.Parallel()
	const get = "endpoints:\n  - {name: it, type: GetData, url: /x}\n"
	for where, text := range map[string]string{
		"default header":       head + "request:\n  headers:\n    X-A: \"BAD\"\n" + get,
		"header with a value":  head + "request:\n  headers:\n    X-A: \"{{ fields.user }}BAD\"\n" + get,
		"name of a header":     head + "request:\n  headers:\n    \"X-A\\r\\nX-Evil\": BAD\n" + get,
		"endpoint's header":    one("type: GetData\nurl: /x\nheaders:\n  X-A: \"BAD\"\n"),
		"content type":         one("type: PostData\nurl: /x\nencoding: raw\nbody: x\ncontent_type: \"BAD\"\n"),
		"hard parameter":       one("type: GetData\nurl: /x\nhard_params:\n  - {name: X-A, in: header, value: \"BAD\"}\n"),
		"default of parameter": one("type: GetData\nurl: /x\nparameters:\n  - {name: X-A, in: header, from: body, default: \"BAD\"}\n"),
		"value of a parameter": one("type: GetData\nurl: /x\nparameters:\n  - {name: X-A, in: header, value: \"{{ call.number }}BAD\"}\n"),
		"template's parameter": "\nname: acme\ntype: CRM\nparameters:\n  - {name: X-A, in: header, default: \"BAD\"}\n" + get,
		"name by as":           "\nname: acme\ntype: CRM\nparameters:\n  - {name: a, in: header, as: \"BAD\"}\n" + get,
		"api key":              head + "auth: {type: api_key, name: X-Key, value: \"BAD\"}\n" + get,
		"name of the api key":  head + "auth: {type: api_key, name: \"BAD\", value: x}\n" + get,
		"bearer":               head + "auth: {type: bearer, value: \"BAD\"}\n" + get,
		"scheme":               head + "auth: {type: bearer, value: x, scheme: \"BAD\"}\n" + get,
		"credential":           head + "auth: {type: credential, encode: none, value: \"BAD\"}\n" + get,
		"endpoint's auth":      one("type: GetData\nurl: /x\nauth: {type: bearer, value: \"BAD\"}\n"),
		"address":              one("type: GetData\nurl: \"/xBAD\"\n"),
		"whole address":        one("type: GetData\nurl: \"https://crm.example/xBAD\"\n"),
		"query of an address":  one("type: GetData\nurl: \"/x?q=BAD\"\n"),
		"base of addresses":    head + "request: {base_url: \"https://crm.example/BAD\"}\n" + get,
		"address of the token": head + "auth: {type: oauth2_client, client_id: a, client_secret: b, token_url: \"https://crm.example/BAD\"}\n" + get,
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			before, _, _ := strings.Cut(text, "BAD")
			line := strings.Count(before, "\n") + 1
			for _, bad := range []string{`a\r\nX-Evil: 1`, `a\nX-Evil: 1`, `a\rb`, `\n`, `a\0b`, `a\x7Fb`, `a\x1Bb`} {
				_, problems := load(t, strings.Replace(text, "BAD", bad, 1))
				require.True(t, problems.Failed(), "%q", bad)
				require.Equal(t, line, problems[0].Line, "%q: %v", bad, problems)
				require.Positive(t, problems[0].Col)
			}
			if !strings.Contains(where, "name") { // what is no break stands
				_, problems := load(t, strings.Replace(text, "BAD", "fine", 1))
				require.NoError(t, problems.Err())
			}
		})
	}

	// An MD5 is none of it, and a body has lines.
	for _, text := range []string{
		"type: GetData\nurl: /x\nhard_params:\n  - {name: X-A, in: md5, value: \"a\\nb\"}\n",
		"type: PostData\nurl: /x\nbody: {text: \"a\\nb\"}\n",
		"type: GetData\nurl: /x\nauth: {type: basic, username: \"a\\nb\", password: c}\n",
	} {
		_, problems := load(t, one(text))
		require.NoError(t, problems.Err(), text)
	}
}

// The host of an integration has no line break either.
//
// rows: E03
func TestE03HostsHaveNoLineBreaks(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"crm.example\r\nX-Evil: 1", "crm.example\n", "\rcrm.example", "crm\x00.example", "crm.example\x7f"} {
		require.NotEmpty(t, endpoint.HostFault(bad), "%q", bad)
	}
}
