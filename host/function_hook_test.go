//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/conformance"
)

// An event of a call that a command sends is answered by a function in TypeScript, which
// calls an endpoint of its template and the CRM itself. What goes wrong in it is told
// with its place. A save is live while calls go on, and none of them is lost.
//
// rows: G25, G30
func TestAFunctionAnswersAnEvent(t *testing.T) {
	t.Parallel()
	s := functionSite(t, "dir")
	folder := functionFolder("one")
	folder["function.ts"] = []byte(`import { word } from "./word";
export async function getDataIframe(call: any, ctx: any) {
	if (call.event.number === "+84900000000") {
		throw new Error("nobody is looked for");
	}
	const found = await ctx.endpoint("find", { number: call.event.number });
	const page = await ctx.fetch("http://" + ctx.fields.host + "/page");
	return { id: word, url: "https://crm.example/" + page.status, contacts: [{ id: found.items[0].id, name: found.items[0].name }] };
}
`)
	s.unfold("crm-folder", folder)
	s.args = []string{"--dev"}
	d := s.start()
	s.ready()
	s.until("its integration is active", func() bool { return s.shown("acme/crm").State == "active" })

	var call atomic.Int64
	fire := func(number string) (sentDoc, error) {
		var doc sentDoc
		var out bytes.Buffer
		err := Run(t.Context(), []string{
			"-c", filepath.Join(s.dir, "host.yaml"), "hook", "fire", "call.started", "acme/crm", "--call", fmt.Sprint(call.Add(1)), "--from", number, "--wait", "30s", "-o", "json",
		}, &out, io.Discard)
		if out.Len() > 0 { // also of one that failed
			err = errors.Join(err, json.Unmarshal(out.Bytes(), &doc))
		}
		return doc, err
	}
	var sent sentDoc
	var err error
	s.until("its functions are known", func() bool { // a call that rings before that is answered with nothing
		sent, err = fire("+84912345678")
		require.NotEqual(t, "skipped", sent.Result.State, "nobody could tell")
		return err == nil
	})
	require.Equal(t, "done", sent.Result.State)
	require.Equal(t, "one", sent.Result.Answer.ID)
	require.Equal(t, "https://crm.example/401", sent.Result.Answer.URL, "its own request has no token")
	require.Len(t, sent.Result.Answer.Contacts, 1)
	require.Equal(t, "7", sent.Result.Answer.Contacts[0].ID)
	require.Equal(t, "Ann", sent.Result.Answer.Contacts[0].Name, "the endpoint's request has one")
	sent, err = fire("+84900000000")
	require.Error(t, err)
	require.Equal(t, "failed", sent.Result.State)
	require.Contains(t, sent.Result.Error.Message, "function.ts:4:")
	require.Contains(t, sent.Result.Error.Message, "nobody is looked for")

	var caller sync.WaitGroup
	live, enough := make(chan struct{}), make(chan struct{})
	var lost []string
	caller.Go(func() {
		seen := false
		for {
			sent, err := fire("+84912345678")
			if err != nil || sent.Result.State != "done" {
				lost = append(lost, fmt.Sprintf("%v %+v", err, sent.Result))
			}
			if sent.Result.Answer.ID == "two" && !seen {
				seen = true
				close(live)
			}
			select {
			case <-enough:
				return
			default:
			}
		}
	})
	s.write("plugins/crm-folder/word.ts", "export const word: string = \"two\";\n")
	s.until("the save is live", func() bool {
		select {
		case <-live:
			return true
		default:
			return false
		}
	})
	close(enough)
	caller.Wait()
	require.Empty(t, lost)
	d.stop(t)
}

// What plugin new writes in TypeScript keeps the contract of plugins: what does not apply
// to it is what concerns imports, which functions have none of.
//
// rows: C58, G30
func TestANewFunctionKeepsTheContract(t *testing.T) {
	t.Parallel()
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-of-the-crm" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(crm.Close)
	settings := func(token string) string {
		raw, err := json.Marshal(map[string]string{"api_url": crm.URL, "token": token})
		require.NoError(t, err)
		return write(t, string(raw))
	}
	dir, s := t.TempDir(), newShell(t)
	require.Zero(t, s.run("plugin", "new", "bell", "--kind", "function", "--into", dir), s.stderr)
	test := []string{
		"plugin", "test", filepath.Join(dir, "bell"), "--runtime", filepath.Join(buildJS(t), "js"), "-o", "json",
		"--settings", settings("token-of-the-crm"), "--refused-settings", settings("another-token"), "--bad-settings", write(t, `{"api_url":"nowhere","token":"x"}`),
	}
	code := s.run(test...)
	var report conformance.Report
	require.NoError(t, json.Unmarshal([]byte(s.stdout), &report), s.stderr)
	require.Zero(t, code, s.stdout)
	require.Zero(t, report.Failed)
	imports := map[string]bool{}
	for _, name := range []string{
		"run", "streams", "pages", "sizes", "ids", "records", "skips", "secrets", "resume", "repeat", "second_run", "go_on", "future", "cancel", "kill", "rate_limit",
	} {
		imports[name] = true
	}
	for _, c := range report.Checks {
		want := conformance.Pass
		if imports[c.Name] {
			want = conformance.Skip
		}
		require.Equal(t, want, c.Verdict, "%s: %v", c.Name, c.Reasons)
	}

	made := filepath.Join(dir, "bell", "function.ts")
	text, err := os.ReadFile(made)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(made, append(text, "\nexport async function check(): Promise<void> {}\n"...), 0o600))
	require.Equal(t, exitFailed, s.run(test...), "a folder that does not compile starts nothing")
	require.NotContains(t, string(text), "console.log")
}
