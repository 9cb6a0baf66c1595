package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// remote is a remote system that answers what its path says.
func remote(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Seen", r.Header.Get("X-Key"))
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"method": r.Method, "type": r.Header.Get("Content-Type"), "body": string(body)})
	})
	mux.HandleFunc("/text", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "no json") })
	mux.HandleFunc("/refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/text", http.StatusFound) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", maxAnswer+1))
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// fetching is a plugin whose function does what the body says.
func fetching(t *testing.T, body string) opened {
	t.Helper()
	o := open(t, "export async function getDataIframe(call: any, ctx: any) {\n"+body+"\n}")
	t.Cleanup(func() {
		if transport, ok := o.i.fetcher.transport.(*http.Transport); ok {
			transport.CloseIdleConnections()
		}
	})
	return o
}

// rows: G30
func TestFetch(t *testing.T) {
	t.Parallel()
	at := remote(t)
	o := fetching(t, `
		const r = await ctx.fetch(call.at + "/echo", { method: "post", headers: { "X-Key": "k" }, body: { a: [1, "ü"] } });
		const plain = await ctx.fetch(call.at + "/text");
		const away = await ctx.fetch(call.at + "/away");
		const there = await ctx.fetch(call.at + "/away", { redirect: "follow" });
		return { status: r.status, ok: r.ok, seen: r.headers.get("x-seen"), none: r.headers.get("x-none"), got: await r.json(),
			text: await plain.text(), away: away.status, there: await there.text() };`)
	require.Equal(t, map[string]any{
		"status": 201.0, "ok": true, "seen": "k", "none": nil, "text": "no json", "away": 302.0, "there": "no json",
		"got": map[string]any{"method": "POST", "type": "application/json", "body": `{"a":[1,"ü"]}`},
	}, o.lookup(`{"at": "`+at+`"}`))
}

// rows: E01, R01
func TestFetchTakesNothingAlongToAnotherHost(t *testing.T) {
	t.Parallel()
	type hop struct{ key, cookie, auth string }
	seen := make(chan hop, 4)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/again" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		seen <- hop{r.Header.Get("X-Api-Key"), r.Header.Get("Cookie"), r.Header.Get("Authorization")}
	}))
	t.Cleanup(other.Close)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/keep":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
		}
	}))
	t.Cleanup(first.Close)
	o := fetching(t, `
		const headers = { "X-Api-Key": "s3cret", Cookie: "s=3cret", Authorization: "Bearer s3cret" };
		const failed = async (path: string, more: object) => {
			try { await ctx.fetch(call.at + path, { headers, redirect: "follow", ...more }); return "no"; } catch (e: any) { return e.code; }
		};
		const once = await ctx.fetch(call.at + "/", { headers, redirect: "follow" });
		const twice = await ctx.fetch(call.at + "/again", { headers, redirect: "follow" });
		return { once: once.status, twice: twice.status, keep: await failed("/keep", { method: "POST", body: "s3cret" }), loop: await failed("/loop", {}) };`)
	require.Equal(t, map[string]any{"once": 200.0, "twice": 200.0, "keep": "unreachable", "loop": "unreachable"}, o.lookup(`{"at": "`+first.URL+`"}`))
	require.Equal(t, hop{}, <-seen)
	require.Equal(t, hop{}, <-seen)
	require.Empty(t, seen)
}

// What a function did before it failed tells whether it may be called again. rows: F31
func TestAFailureTellsWhetherAnythingChanged(t *testing.T) {
	t.Parallel()
	at := remote(t)
	const nobody = "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		body, code, outcome string
		safe                bool
	}{
		"ReadsOnly":      {`await ctx.fetch(at + "/text"); throw new Error("x")`, codeFunction, "", true},
		"Refused":        {`await ctx.fetch(at + "/refused", { method: "POST" }); throw new Error("x")`, codeFunction, "", true},
		"NotSent":        {`await ctx.fetch("` + nobody + `", { method: "POST" })`, "unreachable", "not_sent", true},
		"Written":        {`await ctx.fetch(at + "/echo", { method: "POST" }); throw new Error("x")`, codeFunction, "", false},
		"Broken":         {`await ctx.fetch(at + "/broken", { method: "PUT" }); throw new Error("x")`, codeFunction, "", false},
		"AnswerLost":     {`await ctx.fetch(at + "/cut", { method: "POST" })`, "unreachable", "unknown", false},
		"ReadLost":       {`await ctx.fetch(at + "/cut")`, "unreachable", "unknown", true},
		"TooLarge":       {`await ctx.fetch(at + "/large")`, "answer_too_large", "unknown", true},
		"NoJSON":         {`await (await ctx.fetch(at + "/text")).json()`, "bad_answer", "unknown", true},
		"TheAuthorsWord": {`throw Object.assign(new Error("x"), { class: "auth", code: "bad_key" })`, "bad_key", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fetching(t, "const at = '"+at+"';\n"+c.body).fault(t.Context())
			require.Equal(t, c.code, e.Code, e.Message)
			require.Equal(t, c.safe, e.Safe)
			require.Equal(t, c.outcome, e.Details["outcome"])
			require.Contains(t, e.Message, "function.ts:3:", "where the function asked")
			require.NotContains(t, e.Message, "secret")
		})
	}
}

// rows: G30
func TestAFunctionCatchesWhatFetchThrows(t *testing.T) {
	t.Parallel()
	o := fetching(t, `
		try { await ctx.fetch("http://127.0.0.1:1/x?key=secret"); } catch (e: any) { return { code: e.code, class: e.class, message: e.message }; }
		return {};`)
	got := o.lookup(`{}`)
	require.Equal(t, "unreachable", got["code"])
	require.Equal(t, string(sdk.ClassTransient), got["class"])
	require.NotContains(t, got["message"], "secret")
}
