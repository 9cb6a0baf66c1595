package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// instance is the plugin opened for one workspace.
type instance struct {
	settings  settings
	api       *slack.Client
	transport *http.Transport
}

var (
	_ sdk.Instance     = (*instance)(nil)
	_ sdk.Checker      = (*instance)(nil)
	_ sdk.Preprocessor = (*instance)(nil)
	_ sdk.Attributer   = (*instance)(nil)
	_ sdk.Closer       = (*instance)(nil)
)

func newInstance(s settings, t *http.Transport, timeout time.Duration) *instance {
	// The client of the library gets no token: the caller adds it to the header
	// of each request, so that it cannot end in a URL, a form or a log.
	api := slack.New("", slack.OptionAPIURL(s.APIURL), slack.OptionHTTPClient(newCaller(s.Token, t, timeout)))
	return &instance{settings: s, api: api, transport: t}
}

// Check asks Slack whether it knows the token.
func (i *instance) Check(ctx context.Context) error {
	_, err := i.api.AuthTestContext(ctx)
	return fault(methodAuthTest, err)
}

// workspace is what Preprocess loads for the run.
type workspace struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

// limitKey is what Slack's limits count by: a method in a workspace.
func (w workspace) limitKey(method string) string { return w.ID + ":" + method }

// Preprocess loads the workspace.
func (i *instance) Preprocess(ctx context.Context, _ sdk.Run) ([]byte, error) {
	w, err := i.loadWorkspace(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(w)
}

func (i *instance) loadWorkspace(ctx context.Context) (workspace, error) {
	team, err := i.api.GetTeamInfoContext(ctx)
	if err != nil {
		return workspace{}, fault(methodTeamInfo, err)
	}
	if team.ID == "" {
		return workspace{}, badAnswer(methodTeamInfo, "it names no workspace", nil)
	}
	return workspace{ID: team.ID, Name: team.Name, Domain: team.Domain}, nil
}

// workspace returns what Preprocess loaded, and loads it if a run has nothing.
func (i *instance) workspace(ctx context.Context, run sdk.Run) (workspace, error) {
	if len(run.Preprocessed) == 0 {
		return i.loadWorkspace(ctx)
	}
	var w workspace
	err := readState("preprocessed data", run.Preprocessed, &w)
	return w, err
}

// CreateAttributes declares what members carry.
func (i *instance) CreateAttributes(context.Context) ([]sdk.Attribute, error) {
	return []sdk.Attribute{
		{Name: attrAvatar, Label: "Avatar", Type: "url"},
		{Name: attrTitle, Label: "Job title", Type: "string"},
		{Name: attrTimezone, Label: "Time zone", Type: "string"},
		{Name: attrBot, Label: "Is a bot", Type: "boolean"},
		{Name: attrApp, Label: "Is an app user", Type: "boolean"},
		{Name: attrDeactivated, Label: "Is deactivated", Type: "boolean"},
	}, nil
}

// ProcessStream reads one page of a stream.
func (i *instance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	if call.Stream.ID == membersStream {
		return i.readMembers(ctx, call, out)
	}
	var ref streamRef
	if err := readState("stream "+call.Stream.ID, call.Stream.Data, &ref); err != nil {
		return sdk.Outcome{}, err
	}
	w, err := i.workspace(ctx, call.Run)
	if err != nil {
		return sdk.Outcome{}, err
	}
	r := &reader{instance: i, workspace: w, ref: ref, call: call, out: out, authors: map[string]author{}}
	if ref.Thread != "" {
		return r.readThread(ctx)
	}
	return r.readChannel(ctx)
}

// Close lets go of idle connections.
func (i *instance) Close() error {
	i.transport.CloseIdleConnections()
	return nil
}

// readState reads what the plugin wrote before: stream data, page, checkpoint
// or cursor. Nothing to read leaves into as it is.
func readState(what string, raw []byte, into any) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "bad_state", Message: fmt.Sprintf("read %s: %v", what, err), Cause: err}
	}
	return nil
}

// writeState is the counterpart of readState.
func writeState(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	return raw, nil
}
