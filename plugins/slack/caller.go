package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// The methods of the Web API that the plugin calls.
const (
	methodAuthTest  = "auth.test"
	methodTeamInfo  = "team.info"
	methodUsersList = "users.list"
	methodUsersInfo = "users.info"
	methodChannels  = "conversations.list"
	methodHistory   = "conversations.history"
	methodReplies   = "conversations.replies"
	methodJoin      = "conversations.join"
)

// maxAnswer bounds an answer of the Web API. A page of 200 messages of the
// greatest length that Slack allows, blocks included, stays below it.
const maxAnswer = 8 << 20

// caller carries the requests of package slack to the Web API. It sends them in
// the form that Slack describes (arguments in the query, the token in the
// header), waits for the whole answer within its timeout, and turns every
// refusal into an *sdk.Error; what it returns without an error is `ok: true`.
type caller struct {
	client  *http.Client
	token   sdk.Secret
	timeout time.Duration
}

func newCaller(token sdk.Secret, t http.RoundTripper, timeout time.Duration) *caller {
	return &caller{
		client: &http.Client{
			Transport: t,
			Timeout:   timeout,
			// A redirect would carry the token to where the settings do not point.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		token:   token,
		timeout: timeout,
	}
}

// Do sends req and returns its answer, held in memory. An error of what was sent
// has the facts of the request.
func (c *caller) Do(req *http.Request) (*http.Response, error) {
	method := path.Base(req.URL.Path)
	out, err := c.described(req, method)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	resp, status, err := c.send(out, method)
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		e.Request = sdk.FactsOf(out.Method, out.URL, status, time.Since(sent))
	}
	return resp, err
}

// send is Do for a request as it goes out. It returns the status of the answer
// beside the error, 0 if none came.
func (c *caller) send(out *http.Request, method string) (resp *http.Response, status int, err error) {
	ctx := out.Context()
	// A page asks for many users one by one and sends nothing meanwhile. Without
	// a host there is nobody to tell.
	_ = sdk.HostFrom(ctx).Progress(ctx, method, time.Now().Add(c.timeout))
	resp, err = c.client.Do(out) //nolint:gosec // the address is the operator's setting, checked when it was read
	if err != nil {
		return nil, 0, broken(ctx, method, err)
	}
	status = resp.StatusCode
	defer resp.Body.Close() //nolint:errcheck // the answer was read or is of no use
	if status == http.StatusTooManyRequests {
		return nil, status, rateLimited(method, resp.Header)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, status, broken(ctx, method, err)
	}
	if len(body) > maxAnswer {
		return nil, status, badAnswer(method, fmt.Sprintf("it is longer than %d bytes", maxAnswer), nil)
	}
	if err := accepted(method, status, body); err != nil {
		return nil, status, err
	}
	if method == methodHistory || method == methodReplies {
		if body, err = plainMessages(body); err != nil {
			return nil, status, badAnswer(method, "its messages are no list", err)
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, status, nil
}

// described returns req as the Web API's description has it. Package slack posts
// a form with everything in it, the token too.
func (c *caller) described(req *http.Request, method string) (*http.Request, error) {
	args, err := arguments(req)
	if err != nil {
		return nil, err
	}
	args.Del("token")
	args.Del("include_all_metadata") // always sent, not described, not needed
	for name, values := range args {
		if values[0] == "" {
			args.Del(name)
		}
	}
	verb, query, form := http.MethodGet, args.Encode(), ""
	if method == methodJoin {
		verb, query, form = http.MethodPost, "", query
	}
	address := *req.URL
	address.RawQuery = query
	out, err := http.NewRequestWithContext(req.Context(), verb, address.String(), strings.NewReader(form)) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", method, err)
	}
	if form == "" {
		out.Body, out.GetBody, out.ContentLength = http.NoBody, nil, 0
	} else {
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	out.Header.Set("Accept", "application/json")
	out.Header.Set("User-Agent", "jackfield-slack/"+version)
	out.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	return out, nil
}

func arguments(req *http.Request) (url.Values, error) {
	if req.Body == nil {
		return req.URL.Query(), nil
	}
	defer req.Body.Close() //nolint:errcheck // held in memory
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	args, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, errors.New("read request: its body is no form")
	}
	return args, nil
}

// answer is what every answer of the Web API has.
type answer struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Needed string `json:"needed"`
}

// accepted returns nil if the answer is `ok: true`. An HTTP status of 200 says
// nothing about that.
func accepted(method string, status int, body []byte) error {
	var a answer
	err := json.Unmarshal(body, &a)
	switch {
	case err == nil && !a.OK && a.Error != "":
		return refused(method, a)
	case status >= http.StatusInternalServerError:
		return &sdk.Error{Class: sdk.ClassTransient, Code: fmt.Sprintf("http_%d", status), Message: method + ": Slack has an error of its own"}
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return &sdk.Error{Class: sdk.ClassRemote, Code: fmt.Sprintf("http_%d", status), Message: method + ": the address redirects elsewhere, which is not followed (hint: look at the setting api_url)"}
	case status != http.StatusOK:
		return &sdk.Error{Class: sdk.ClassRemote, Code: fmt.Sprintf("http_%d", status), Message: method + ": the address does not serve this method (hint: look at the setting api_url)"}
	case err != nil:
		return badAnswer(method, "it is no JSON", err)
	case !a.OK:
		return badAnswer(method, "it is not ok and gives no reason", nil)
	}
	return nil
}
