package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// disturbance answers a request in place of the fake; it returns false to let
// the fake answer.
type disturbance func(w http.ResponseWriter, r *http.Request) bool

func retryAfter(value string) disturbance {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if value != "" {
			w.Header().Set("Retry-After", value)
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
}

func slowDown(w http.ResponseWriter, r *http.Request) bool { return retryAfter("7")(w, r) }

func slowDownUntil(w http.ResponseWriter, r *http.Request) bool {
	now := start()
	w.Header().Set("Date", now.Format(http.TimeFormat))
	return retryAfter(now.Add(90*time.Second).Format(http.TimeFormat))(w, r)
}

// cut promises more than it sends.
func cut(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"ok":true,"members":[{"id":"U`))
	return true
}

func htmlError(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("<html>We are down</html>"))
	return true
}

func reason(text string) disturbance {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = fmt.Fprintf(w, `{"ok":false,"error":%q}`, text)
		return true
	}
}

// everything disturbs each third call, each time otherwise.
func everything(ds ...disturbance) func(string, int, http.ResponseWriter, *http.Request) bool {
	var calls, hits atomic.Int64
	return func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if calls.Add(1)%3 != 1 {
			return false
		}
		return ds[int(hits.Add(1)-1)%len(ds)](w, r)
	}
}

// only disturbs the n-th call of a method.
func only(method string, n int, d disturbance) func(string, int, http.ResponseWriter, *http.Request) bool {
	return func(m string, at int, w http.ResponseWriter, r *http.Request) bool {
		return m == method && at == n && d(w, r)
	}
}

// Whatever goes wrong, and wherever: the run goes on where it was, imports the
// same, and applies nothing twice.
// rows: K02, C22, C26, C34
func TestResumesAfterEveryFault(t *testing.T) {
	t.Parallel()
	f := acme(t)
	want := newTestHost(t, f, object{"join": true})
	require.NoError(t, want.sync(t.Context(), onboarding(start())))
	calls := map[string]int{}
	for _, c := range f.called("") {
		calls[c.method]++
	}
	require.GreaterOrEqual(t, len(calls), 6)

	faults := map[string]disturbance{
		"seconds": slowDown, "date": slowDownUntil, "unsaid": retryAfter(""),
		"cut": cut, "html": htmlError, "internal_error": reason("internal_error"), "ratelimited": reason("ratelimited"),
		"not ok": func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte(`{"ok":false}`)); return true },
		"no json": func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`<html>log in to the network</html>`))
			return true
		},
	}
	for name, d := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acme(t)
			for method, times := range calls {
				for n := range times {
					h := newTestHost(t, f, object{"join": true})
					f.setDisturb(only(method, n, d))
					require.NoError(t, h.sync(t.Context(), onboarding(start())))
					at := fmt.Sprintf("%s %d", method, n)
					require.NotEmpty(t, h.failures, at)
					require.Equal(t, want.activities, h.activities, at)
					require.Equal(t, want.members, h.members, at)
					require.Equal(t, want.applied, h.applied, at)
					require.Equal(t, want.cursors, h.cursors, at)
				}
			}
		})
	}
}

// A page that needs users is limited at each of them in turn: what it has is
// kept, and it goes on behind that.
// rows: K02, C22, C26
func TestRateLimitWithinAPageKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.channel("C1", "general")
	for n := range 10 {
		id := fmt.Sprintf("U%d", n)
		f.user(id, id)
		f.say(c, start().Add(-time.Duration(n+1)*time.Hour), id, id)
	}
	h := newTestHost(t, f, nil)
	h.cache.broken = true
	f.setDisturb(func(method string, n int, w http.ResponseWriter, r *http.Request) bool {
		return method == "users.info" && n%2 == 1 && slowDown(w, r)
	})
	run := onboarding(start())
	run.Connectors = []string{connectorChannels}
	require.NoError(t, h.sync(t.Context(), run))
	require.Len(t, h.activities, 10)
	for id, n := range h.applied {
		require.Equal(t, 1, n, id)
	}
	require.Len(t, h.waits, 9)
	require.Equal(t, 7*time.Second, h.waits[0])
	require.Len(t, f.called("users.info"), 10+9, "a user is looked up once, and once more after a wait")
	for _, err := range h.failures {
		require.Equal(t, sdk.ClassRateLimited, sdk.AsError(err).Class)
	}
}

// rows: C26
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := start().Format(http.TimeFormat)
	for name, c := range map[string]struct {
		said, date string
		want       time.Duration
	}{
		"seconds":      {"30", date, 30 * time.Second},
		"zero":         {"0", date, 0},
		"negative":     {"-5", date, 0},
		"far too long": {"99999999999", date, 24 * time.Hour},
		"date":         {start().Add(2 * time.Minute).Format(http.TimeFormat), date, 2 * time.Minute},
		"past date":    {start().Add(-time.Hour).Format(http.TimeFormat), date, 0},
		"nothing":      {"", date, time.Minute},
		"nonsense":     {"soon", date, time.Minute},
	} {
		h := http.Header{}
		h.Set("retry-after", c.said)
		h.Set("date", c.date)
		e := rateLimited("users.list", h)
		require.Equal(t, sdk.ClassRateLimited, e.Class, name)
		require.Equal(t, c.want, e.Limit.After, name)
	}
	h := http.Header{}
	h.Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
	require.InDelta(t, time.Minute, rateLimited("users.list", h).Limit.After, float64(5*time.Second), "without a date of its own")
}

// rows: C26
func TestD11RetryAfterIsReadWhateverItsCase(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.setDisturb(only("auth.test", 0, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header()["retry-after"] = []string{"7"} // as HTTP/2 sends it
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}))
	e := sdk.AsError(newTestHost(t, f, nil).inst.(sdk.Checker).Check(t.Context()))
	require.Equal(t, sdk.ClassRateLimited, e.Class)
	require.Equal(t, 7*time.Second, e.Limit.After)
}

// rows: C34
func TestErrorsTellOfTheirRequest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.setDisturb(only("auth.test", 0, htmlError))
	e := sdk.AsError(newTestHost(t, f, nil).inst.(sdk.Checker).Check(t.Context()))
	require.NotNil(t, e.Request)
	require.Equal(t, f.url()+"auth.test", e.Request.URL)
	require.Equal(t, http.StatusServiceUnavailable, e.Request.Status)
	require.Equal(t, http.MethodGet, e.Request.Method)
	require.Contains(t, e.Request.URL, e.Request.Host)

	f.setDisturb(only("auth.test", 0, reason("internal_error")))
	e = sdk.AsError(newTestHost(t, f, nil).inst.(sdk.Checker).Check(t.Context()))
	require.Equal(t, http.StatusOK, e.Request.Status)
}

// Slack refuses with status 200 and `ok: false`, which nobody looked at: what came of
// it was an error about a missing list, and not the reason.
//
// rows: C34, D21
func TestD21ReasonsOfRefusals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sdk.Class{
		"invalid_auth": sdk.ClassAuth, "not_authed": sdk.ClassAuth, "token_revoked": sdk.ClassAuth, "token_expired": sdk.ClassAuth,
		"account_inactive": sdk.ClassAuth, "missing_scope": sdk.ClassAuth, "no_permission": sdk.ClassAuth,
		"internal_error": sdk.ClassTransient, "fatal_error": sdk.ClassTransient, "service_unavailable": sdk.ClassTransient,
		"ratelimited": sdk.ClassRateLimited, "something_new": sdk.ClassRemote,
	} {
		f := newFake(t)
		f.setDisturb(only("auth.test", 0, reason(text)))
		h := newTestHost(t, f, nil)
		err := h.inst.(sdk.Checker).Check(t.Context())
		e := sdk.AsError(err)
		require.Equal(t, want, e.Class, text)
		if want != sdk.ClassRateLimited {
			require.Equal(t, text, e.Code)
		}
		require.Contains(t, e.Message, "auth.test: ")
	}
}

func TestMissingScopeNamesIt(t *testing.T) {
	t.Parallel()
	f := acme(t)
	f.setDisturb(only("users.list", 0, func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte(`{"ok":false,"error":"missing_scope","needed":"users:read","provided":"team:read"}`))
		return true
	}))
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())), "the other streams go on")
	require.Len(t, h.failures, 1)
	require.ErrorContains(t, h.failures[0], "missing_scope: users.list: the token lacks the scope users:read (hint:")
	require.NotEmpty(t, h.activities)
}

func TestRevokedTokenEndsTheRun(t *testing.T) {
	t.Parallel()
	f := acme(t)
	f.setDisturb(only("conversations.history", 2, reason("token_revoked")))
	h := newTestHost(t, f, nil)
	err := h.sync(t.Context(), onboarding(start()))
	require.ErrorContains(t, err, "token_revoked")
	require.True(t, sdk.AsError(err).AbortRun)
	require.Len(t, f.called("conversations.history"), 3)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	h := newTestHost(t, f, nil)
	require.NoError(t, h.inst.(sdk.Checker).Check(t.Context()))
	h = newTestHost(t, f, object{"token": "xoxb-other"})
	require.ErrorContains(t, h.inst.(sdk.Checker).Check(t.Context()), "invalid_auth")
}

// A slow answer ends after the timeout and is tried again; a call that is
// cancelled ends at once, with its own error. A connection of which nothing comes
// any more is found out within half a minute.
//
// rows: F18
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, New().timeout, 30*time.Second)
	setup := func(t *testing.T, timeout time.Duration) (*testHost, chan struct{}) {
		t.Helper()
		f := acme(t)
		asked := make(chan struct{}, 1)
		f.setDisturb(only("conversations.history", 1, func(_ http.ResponseWriter, r *http.Request) bool {
			asked <- struct{}{}
			<-r.Context().Done()
			return true
		}))
		p := New()
		p.timeout = timeout
		return newTestHostOf(t, p, settingsFor(f, nil)), asked
	}
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		h, _ := setup(t, 300*time.Millisecond)
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Len(t, h.failures, 1)
		require.Equal(t, sdk.ClassTransient, sdk.AsError(h.failures[0]).Class)
		require.Equal(t, "no_answer", sdk.AsError(h.failures[0]).Code)
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		h, asked := setup(t, time.Minute)
		h.stopAtOnce = true
		ctx, cancel := context.WithCancelCause(t.Context())
		stopping := errors.New("stopping")
		go func() {
			<-asked
			cancel(stopping)
		}()
		err := h.sync(ctx, onboarding(start()))
		require.ErrorIs(t, err, stopping)
	})
}

func TestAddressesThatAreNotSlack(t *testing.T) {
	t.Parallel()
	other := newFake(t)
	for name, c := range map[string]struct {
		answer disturbance
		want   string
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.url()+"auth.test", http.StatusFound)
			return true
		}, "http_302"},
		"not found": {func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, "http_404"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"ok":true,"url":"` + strings.Repeat("x", maxAnswer) + `"}`))
			return true
		}, "longer than"},
		"other shape": {func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"ok":true,"team_id":[1]}`))
			return true
		}, "another shape"},
	} {
		f := newFake(t)
		f.setDisturb(only("auth.test", 0, c.answer))
		h := newTestHost(t, f, nil)
		err := h.inst.(sdk.Checker).Check(t.Context())
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, sdk.ClassRemote, sdk.AsError(err).Class, name)
	}
	require.Empty(t, other.called(""), "a redirect does not get the token")
}
