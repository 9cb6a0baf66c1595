package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// crm is one that runs in this process, and a token of it.
type crm struct {
	t     *testing.T
	url   string
	token string
	stop  func()
}

// start runs a CRM with the arguments.
func start(t *testing.T, args ...string) *crm {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, says := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, nil, says)
		_ = says.CloseWithError(io.EOF)
		ended <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	c := &crm{t: t, url: strings.TrimSpace(line)}
	done := false
	c.stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, <-ended)
	}
	t.Cleanup(c.stop)
	_, login := c.do("POST", "/api/login", "", `{"key": "key-of-acme"}`)
	c.token, _ = login["data"].(map[string]any)["token"].(string)
	require.NotEmpty(t, c.token)
	return c
}

// do makes a request; the code is 0 if no answer came.
func (c *crm) do(method, path, key, body string) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+c.token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { require.NoError(c.t, resp.Body.Close()) }()
	var out map[string]any
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&out))
	return resp.StatusCode, out
}

func (c *crm) holdings() (h holdings) {
	c.t.Helper()
	_, out := c.do("GET", "/api/holdings", "", "")
	raw, err := json.Marshal(out)
	require.NoError(c.t, err)
	require.NoError(c.t, json.Unmarshal(raw, &h))
	return h
}

func TestACallInTheCRM(t *testing.T) {
	t.Parallel()
	c := start(t)
	for number, want := range map[string]int{"+4930123456": 1, "030 123456": 1, "0049-30-123456": 1, "+4940555100": 2, "+4930": 0, "": 0} {
		code, out := c.do("GET", "/api/contacts?phone="+strings.ReplaceAll(strings.ReplaceAll(number, "+", "%2B"), " ", "%20"), "", "")
		require.Equal(t, 200, code)
		require.Len(t, out["items"], want, number)
	}
	code, log := c.do("POST", "/api/calls", "k1", `{"call": "4711", "contact": "c-1"}`)
	require.Equal(t, 201, code)
	require.Equal(t, c.url+"/#"+log["id"].(string), log["url"])
	code, again := c.do("POST", "/api/calls", "k1", `{"call": "4711"}`)
	require.Equal(t, 200, code, "the same key is done once")
	require.Equal(t, log, again)
	code, _ = c.do("PUT", "/api/calls/"+log["id"].(string), "k2", `{"result": "COMPLETED", "seconds": 93}`)
	require.Equal(t, 201, code)
	_, late := c.do("POST", "/api/calls", "k5", `{"call": "4712"}`)
	code, _ = c.do("PUT", "/api/calls/"+late["id"].(string), "k6", `{"contact": "c-3", "result": "NO_ANSWER"}`)
	require.Equal(t, 201, code)
	code, _ = c.do("PUT", "/api/calls/l-99", "k3", `{}`)
	require.Equal(t, 404, code)
	_, before := c.do("GET", "/api/contacts/c-1/calls", "", "")
	require.Len(t, before["items"], 3)
	code, out := c.do("POST", "/api/tickets", "k4", `{"subject": "Hi", "priority": "urgent"}`)
	require.Equal(t, 422, code)
	require.Equal(t, map[string]any{"subject": "say it in five letters at least", "priority": "is low, normal or high"}, out["errors"])
	_, out = c.do("GET", "/api/written?key=k1", "", "")
	require.Equal(t, log["id"], out["id"])
	_, out = c.do("GET", "/api/written?key=k4", "", "")
	require.Empty(t, out)
	h := c.holdings()
	require.Len(t, h.Calls, 4)
	require.Equal(t, "c-3", h.Calls[3].Contact, "who it was is told at the end")
	require.Equal(t, callLog{ID: "l-5", Call: "4711", Contact: "c-1", State: "done", Result: "COMPLETED", Seconds: 93}, h.Calls[2])
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	c := start(t)
	code, _ := c.do("PUT", "/api/trouble", "", `{"fail": 1, "slow": "1ms"}`)
	require.Equal(t, 200, code)
	code, _ = c.do("POST", "/api/messages", "k1", `{"number": "1", "text": "never done"}`)
	require.Equal(t, 503, code)
	c.do("PUT", "/api/trouble", "", `{"lose": 1}`)
	code, _ = c.do("POST", "/api/messages", "k2", `{"number": "1", "text": "done, and the answer lost"}`)
	require.Zero(t, code)
	for _, bad := range []string{`{"fail": 2}`, `{"lose": -1}`, `{"slow": "1h"}`, `{"slow": "soon"}`} {
		code, _ = c.do("PUT", "/api/trouble", "", bad)
		require.Equal(t, 422, code, bad)
	}
	h := c.holdings()
	require.Len(t, h.Messages, 1)
	require.Equal(t, "done, and the answer lost", h.Messages[0].Text)
}

func TestWhoIsNotKnownGetsNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	code, _ := c.do("POST", "/api/login", "", `{"key": "guessed"}`)
	require.Equal(t, 401, code)
	c.token = "guessed"
	for _, path := range []string{"/api/contacts?phone=1", "/api/holdings", "/api/written?key=k1"} {
		code, _ = c.do("GET", path, "", "")
		require.Equal(t, 401, code, path)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/", http.NoBody)
	require.NoError(t, err)
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMisdirectedRequest, resp.StatusCode)
	for _, args := range [][]string{{"-listen", "0.0.0.0:0"}, {"-listen", "crm.example:80"}, {"-fail", "7"}, {"more"}} {
		require.Error(t, run(t.Context(), args, nil, io.Discard), args)
	}
}

func TestKeepsWhatItHoldsAndEndsWithItsParent(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "crm", "crm.json")
	in, parent := io.Pipe()
	ended := make(chan error, 1)
	out, says := io.Pipe()
	go func() { ended <- run(t.Context(), []string{"-child", "-data", data}, in, says) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	c := &crm{t: t, url: strings.TrimSpace(line)}
	_, login := c.do("POST", "/api/login", "", `{"key": "key-of-acme"}`)
	c.token, _ = login["data"].(map[string]any)["token"].(string)
	code, made := c.do("POST", "/api/contacts", "k1", `{"name": "Bo <b>Berg</b>", "phone": "+4989900100"}`)
	require.Equal(t, 201, code)
	require.NoError(t, parent.Close())
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, <-ended)

	again := start(t, "-data", data)
	h := again.holdings()
	require.Equal(t, "Bo <b>Berg</b>", h.Contacts[len(h.Contacts)-1].Name)
	code, same := again.do("POST", "/api/contacts", "k1", `{"name": "Bo"}`)
	require.Equal(t, 200, code, "keys outlive it, too")
	require.Equal(t, made["id"], same["id"])
	resp, err := http.Get(again.url + "/") //nolint:noctx // of this machine
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.True(t, bytes.Contains(page, []byte("Bo &lt;b&gt;Berg&lt;/b&gt;")), "what it holds is text")
}
