package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`{}`:                                                   "token is missing",
		`{"token":""}`:                                         "token is missing",
		`{"token":"xoxb-1\n"}`:                                 "character that no token has",
		`{"token":"xoxb 1"}`:                                   "character that no token has",
		`{"token":7}`:                                          "a secret is a string",
		`{"token":"t","chanels":["a"]}`:                        "chanels",
		`{"token":"t","channels":["#"]}`:                       "empty name",
		`{"token":"t","thread_days":-1}`:                       "thread_days",
		`{"token":"t","thread_days":366}`:                      "thread_days",
		`{"token":"t","api_url":"slack.com"}`:                  "api_url is no address",
		`{"token":"t","api_url":"http://slack.com/api/"}`:      "api_url is not https",
		`{"token":"t","api_url":"ftp://slack.com/api/"}`:       "api_url is not https",
		`{"token":"t","api_url":"https://me:t@slack.com/api"}`: "more than scheme, host and path",
		`{"token":"t","api_url":"https://slack.com/api?x=1"}`:  "more than scheme, host and path",
	} {
		_, err := New().Open(t.Context(), sdk.Integration{Settings: sdk.NewSettings([]byte(given)), DryRun: true})
		require.ErrorContains(t, err, want, given)
		require.Equal(t, sdk.ClassConfig, sdk.AsError(err).Class, given)
	}
	for given, want := range map[string]string{
		`{"token":"t"}`: "https://slack.com/api/",
		`{"token":"t","api_url":"https://gov.slack.com/api"}`: "https://gov.slack.com/api/",
		`{"token":"t","api_url":"http://127.0.0.1:80/api"}`:   "http://127.0.0.1:80/api/",
		`{"token":"t","api_url":"http://localhost/"}`:         "http://localhost/",
		`{"token":"t","api_url":"http://[::1]:8080"}`:         "http://[::1]:8080/",
	} {
		s, err := readSettings(sdk.NewSettings([]byte(given)))
		require.NoError(t, err, given)
		require.Equal(t, want, s.APIURL)
		require.Equal(t, 30, s.ThreadDays)
	}
	s, err := readSettings(sdk.NewSettings([]byte(`{"token":"` + canary + `"}`)))
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", s, s, s), canary)
}

// rows: C34
func TestManifest(t *testing.T) {
	t.Parallel()
	m := New().Manifest()
	require.Equal(t, "slack", m.Name)
	require.Equal(t, 20, m.Every)
	require.Equal(t, m, New().Manifest())

	inst, err := New().Open(t.Context(), sdk.Integration{Settings: sdk.NewSettings([]byte(`{"token":"t"}`))})
	require.NoError(t, err)
	require.Implements(t, (*sdk.Checker)(nil), inst)
	require.Implements(t, (*sdk.Preprocessor)(nil), inst)
	require.Implements(t, (*sdk.Attributer)(nil), inst)

	attributes, err := inst.(sdk.Attributer).CreateAttributes(t.Context())
	require.NoError(t, err)
	require.Len(t, attributes, 6)

	raw, err := plugin.Schema(m.Settings)
	require.NoError(t, err)
	var schema struct {
		Required   []string                  `json:"required"`
		Properties map[string]map[string]any `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(raw, &schema))
	require.Equal(t, []string{"token"}, schema.Required)
	require.Equal(t, true, schema.Properties["token"]["x-secret"])
	require.Len(t, schema.Properties, 6)
	require.NotEmpty(t, schema.Properties["token"]["description"])
}
