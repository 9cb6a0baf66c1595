package screen

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K25
func TestATicketIsExchangedOnceForACookie(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"https": true, "http on this machine": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ringing(), secure, nil)
			b := w.browser()
			address := w.ticket(testScope())
			secret := address[strings.LastIndex(address, "/")+1:]
			a := b.get(address)
			require.Equal(t, http.StatusSeeOther, a.code)
			require.Regexp(t, `^/screen/c/[a-z0-9]{20,}$`, a.header.Get("Location"))
			require.NotContains(t, a.header.Get("Location"), secret)
			cookie := a.header.Get("Set-Cookie")
			require.Contains(t, cookie, "; HttpOnly")
			if secure {
				require.Regexp(t, `^__Host-jackfield-screen-[a-z0-9]+=[A-Z2-7]{52}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=None; Partitioned$`, cookie)
			} else {
				require.Regexp(t, `^jackfield-screen-[a-z0-9]{8}-[a-z0-9]+=`, cookie)
				for _, other := range []string{"__Host-", "Secure", "SameSite=None", "Partitioned"} {
					require.NotContains(t, cookie, other)
				}
			}
			require.NotContains(t, cookie, secret)
			require.Contains(t, b.get(a.header.Get("Location")).text, "Grace Hopper")
			require.Equal(t, http.StatusGone, b.get(address).code, "a second time")
			require.Equal(t, http.StatusGone, w.browser().get(address).code, "by someone else")
			require.Equal(t, http.StatusUnauthorized, w.browser().get(a.header.Get("Location")).code, "an address without its cookie")
		})
	}
}

// rows: K25
func TestATicketServesForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(newCalls(ringing()), Options{Base: func() string { return "https://h.example" }, Origins: func(string) []string { return []string{crm} }})
		require.NoError(t, err)
		ask := func(after time.Duration) int {
			ticket, err := s.Issue(t.Context(), testScope())
			require.NoError(t, err)
			require.Equal(t, time.Minute, time.Until(ticket.ExpiresAt))
			time.Sleep(after) // the bubble's clock
			return serve(t, s, strings.TrimPrefix(ticket.URL, "https://h.example"), nil).Code
		}
		require.Equal(t, http.StatusSeeOther, ask(time.Minute-time.Nanosecond))
		require.Equal(t, http.StatusGone, ask(time.Minute))
		require.Empty(t, s.tickets.grant, "both are forgotten")
	})
}

// serve asks a server that nobody listens for.
func serve(t *testing.T, s *Server, path string, cookies []*http.Cookie) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, h := range s.Routes() {
		mux.Handle(pattern, h)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// rows: K25
func TestWhoLooksAheadUsesUpNoTicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), false, nil)
	b := w.browser()
	address := w.ticket(testScope())
	for _, headers := range [][]string{
		{"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}, {"Sec-Fetch-Dest", "image"}, {"Sec-Fetch-Dest", "script"}, {"Sec-Fetch-Dest", "empty"},
	} {
		require.Equal(t, http.StatusForbidden, b.get(address, headers...).code, "%v", headers)
	}
	require.Equal(t, http.StatusMethodNotAllowed, b.do(http.MethodHead, address, nil).code)
	require.Equal(t, http.StatusSeeOther, b.get(address, "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "cross-site", "Referer", crm+"/").code)
}

// rows: K25, X02
func TestATicketIsForOneCallOneAgentAndOneOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	for name, c := range map[string]struct {
		change func(*Scope)
		want   string
	}{
		"tenant":        {func(s *Scope) { s.Tenant = "" }, "tenant: a screen is bound to one"},
		"integration":   {func(s *Scope) { s.Integration = "" }, "integration: "},
		"call":          {func(s *Scope) { s.Call = "" }, "call: "},
		"agent":         {func(s *Scope) { s.Agent = "" }, "agent: "},
		"other origin":  {func(s *Scope) { s.Origin = "https://evil.example" }, "screens: {origins: [https://evil.example]}"},
		"other tenant":  {func(s *Scope) { s.Tenant = "beta" }, "the tenant beta does not have its screens embedded by " + crm},
		"any origin":    {func(s *Scope) { s.Origin = "*" }, "is not the origin of a page"},
		"header inside": {func(s *Scope) { s.Origin = crm + "; script-src *" }, "is not the origin of a page"},
	} {
		s := testScope()
		c.change(&s)
		_, err := w.screens.Issue(t.Context(), s)
		require.ErrorIs(t, err, store.ErrInvalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
	w.calls.fail(ErrGone)
	_, err := w.screens.Issue(t.Context(), testScope())
	require.ErrorIs(t, err, ErrGone)
	w.calls.fail(nil)

	address := w.ticket(testScope())
	require.Equal(t, http.StatusForbidden, w.browser().get(address, "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "cross-site", "Referer", "https://evil.example/").code)
	require.Equal(t, http.StatusGone, w.browser().get(address).code, "who was somewhere else has used it up")
	b, other := w.browser(), w.browser()
	mine, theirs := b.open(), other.open()
	require.Equal(t, http.StatusOK, b.get(mine).code)
	require.Equal(t, http.StatusUnauthorized, b.get(theirs).code, "the cookie of one screen opens no other")
}

// rows: K25
func TestRightsEndAfterTheWrapUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := newCalls(ringing())
		s, err := New(calls, Options{Base: func() string { return "https://h.example" }, Origins: func(string) []string { return []string{crm} }})
		require.NoError(t, err)
		ticket, err := s.Issue(t.Context(), testScope())
		require.NoError(t, err)
		w := serve(t, s, strings.TrimPrefix(ticket.URL, "https://h.example"), nil)
		path, cookies := w.Header().Get("Location"), w.Result().Cookies()
		time.Sleep(time.Hour) // the bubble's clock
		calls.set(func(c *Call) { c.State, c.WrapupAt = StateClosed, time.Now() })
		time.Sleep(15*time.Minute - time.Nanosecond) // the bubble's clock
		require.Equal(t, http.StatusOK, serve(t, s, path, cookies).Code)
		time.Sleep(time.Nanosecond) // the bubble's clock
		require.Equal(t, http.StatusGone, serve(t, s, path, cookies).Code)
		require.Equal(t, http.StatusUnauthorized, serve(t, s, path, cookies).Code, "it is forgotten")
		_, err = s.Issue(t.Context(), testScope())
		require.ErrorIs(t, err, store.ErrConflict, "and there is no new one")
	})
}

// rows: K25
func TestAScreenIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ringing(), true, nil)
	for name, c := range map[string]struct {
		of   Scope
		want int
	}{
		"tenant": {Scope{Tenant: "acme"}, 2}, "call": {Scope{Tenant: "acme", Call: "c-1"}, 2}, "agent": {Scope{Tenant: "acme", Agent: "ada"}, 2},
		"another call": {Scope{Tenant: "acme", Call: "c-2"}, 0}, "another tenant": {Scope{Tenant: "beta"}, 0}, "another agent": {Scope{Tenant: "acme", Agent: "eve"}, 0},
		"integration": {Scope{Tenant: "acme", Integration: "crm"}, 2}, "another integration": {Scope{Tenant: "acme", Integration: "erp"}, 0},
	} {
		w.screens.Revoke(Scope{Tenant: "acme"})
		b := w.browser()
		path, address := b.open(), w.ticket(testScope())
		require.Equal(t, c.want, w.screens.Revoke(c.of), name)
		code, used := http.StatusOK, http.StatusSeeOther
		if c.want > 0 {
			code, used = http.StatusUnauthorized, http.StatusGone
		}
		require.Equal(t, code, b.get(path).code, name)
		require.Equal(t, used, b.get(address).code, name)
	}
	b := w.browser()
	path := b.open()
	w.allow("https://other.example")
	require.Equal(t, http.StatusForbidden, b.get(path).code, "the tenant's settings changed")
	w.allow(crm)
	require.Equal(t, http.StatusUnauthorized, b.get(path).code)
}

// lockedBuffer is a log that a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// rows: K25
func TestNoLogHasATicket(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	w := newWorld(t, ringing(), false, func(o *Options) {
		o.Log = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: log})
		allowed := o.Origins
		o.Origins = func(tenant string) []string {
			if tenant == "broken" {
				panic("no settings")
			}
			return allowed(tenant)
		}
	})
	b := w.browser()
	var secrets []string
	next := func() string {
		address := w.ticket(testScope())
		secrets = append(secrets, address[strings.LastIndex(address, "/")+1:])
		return address
	}
	b.get(next())
	b.get(next(), "Sec-Fetch-Dest", "iframe", "Referer", "https://evil.example/")
	w.calls.fail(errors.New("the store is gone"))
	require.Equal(t, http.StatusServiceUnavailable, b.get(func() string { w.calls.fail(nil); p := b.open(); w.calls.fail(errors.New("gone")); return p }()).code)
	broken, _, err := w.screens.tickets.issue(Scope{Tenant: "broken", Origin: crm}, time.Now())
	require.NoError(t, err)
	secrets = append(secrets, broken)
	a := b.get("/screen/" + broken)
	require.Equal(t, http.StatusInternalServerError, a.code)
	require.NotContains(t, a.text, "no settings")
	require.Contains(t, log.String(), "no settings", "the log has what broke")
	require.Contains(t, log.String(), "GET /screen/{ticket}")
	for _, secret := range secrets {
		require.NotContains(t, log.String(), secret)
	}
}

func TestTicketsAndScreensAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	pending := &tickets{grant: map[[32]byte]grant{}}
	for range maxTickets {
		_, _, err := pending.issue(testScope(), now)
		require.NoError(t, err)
	}
	_, _, err := pending.issue(testScope(), now)
	require.ErrorIs(t, err, store.ErrLimit)
	_, _, err = pending.issue(testScope(), now.Add(time.Minute))
	require.NoError(t, err, "those that are too old made room")

	open := &sessions{byID: map[string]*session{}}
	first, secret, err := open.open(testScope(), now)
	require.NoError(t, err)
	for i := range maxPerCall {
		_, ok := open.get(first.id, secret, now)
		require.True(t, ok)
		_, _, err := open.open(testScope(), now.Add(time.Duration(i+1)))
		require.NoError(t, err)
	}
	_, ok := open.get(first.id, secret, now)
	require.False(t, ok, "the oldest of a call makes room")
	require.Len(t, open.byID, maxPerCall)
	other := testScope()
	other.Integration = "another"
	_, _, err = open.open(other, now)
	require.NoError(t, err)
	require.Len(t, open.byID, maxPerCall+1, "the same number of another integration is another call")
}

// Pages that were closed make room, those that somebody looks at do not, and no tenant
// takes the places of all.
func TestScreensThatWereLeftMakeRoom(t *testing.T) {
	t.Parallel()
	now := time.Now()
	open := &sessions{byID: map[string]*session{}}
	scope := func(n int) Scope { s := testScope(); s.Call = strconv.Itoa(n); return s }
	followed, _, err := open.open(scope(0), now)
	require.NoError(t, err)
	require.True(t, followed.enter(1))
	read, secret, err := open.open(scope(1), now)
	require.NoError(t, err)
	for n := range maxPerTenant - 2 {
		_, _, err := open.open(scope(n+2), now)
		require.NoError(t, err)
	}
	_, _, err = open.open(scope(maxPerTenant), now)
	require.ErrorIs(t, err, store.ErrLimit)
	other := scope(0)
	other.Tenant = "other"
	_, _, err = open.open(other, now)
	require.NoError(t, err, "another tenant has places of its own")

	_, ok := open.get(read.id, secret, now.Add(leftAfter-time.Second))
	require.True(t, ok)
	_, _, err = open.open(scope(maxPerTenant), now.Add(leftAfter))
	require.NoError(t, err)
	require.Len(t, open.byID, 3, "the one that is followed, the one that was read, and the new one")
	require.True(t, open.known(followed.id))
	require.True(t, open.known(read.id))
}
