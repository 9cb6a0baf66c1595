package endpoint_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/sdk"
)

const twoStep = head + `
auth: {type: token, endpoint: login}
endpoints:
  - name: login
    type: Auth
    url: /login
    parameters: [{name: user, in: body, from: field}, {name: key, in: body, from: field, key: api_key}]
    response: {token: data.access_token, expires_in: data.ttl}
  - {name: it, type: GetData, url: /data}
  - {name: post, type: PostData, url: /data, body: {a: 1}}
  - name: own
    type: GetData
    url: /data
    parameters: [{name: X-Token, in: header, from: token, required: true}, {name: need, in: query, from: body, required: true}]
`

// bank is a remote that gives tokens and takes the newest one.
type bank struct {
	*remote
	logins  atomic.Int64
	refuses atomic.Bool // any token
	away    atomic.Bool // there are no logins
	ttl     atomic.Int64
	say     atomic.Pointer[string] // instead of a token
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{}
	b.ttl.Store(3600)
	b.remote = newRemote(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.URL.Path == "/login" {
			if b.away.Load() {
				status(http.StatusInternalServerError, "")(w, r, body)
				return
			}
			n := b.logins.Add(1)
			if say := b.say.Load(); say != nil {
				ok(*say)(w, r, body)
				return
			}
			ok(fmt.Sprintf(`{"data": {"access_token": "token-%d", "ttl": %d}}`, n, b.ttl.Load()))(w, r, body)
			return
		}
		want := fmt.Sprintf("token-%d", b.logins.Load())
		if b.refuses.Load() || r.Header.Get("Authorization") != "Bearer "+want && r.Header.Get("X-Token") != want {
			status(http.StatusUnauthorized, `{"error": "expired"}`)(w, r, body)
			return
		}
		ok(`{"fine": true}`)(w, r, body)
	})
	return b
}

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time        { return time.Unix(0, c.at.Load()) }
func (c *clock) move(by time.Duration) { c.at.Add(int64(by)) }

// rows: G13
func TestTokenIsReadAtItsPath(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	v := newVault()
	e := engine(t, b.remote, func(o *endpoint.Options) { o.Tokens = v })
	in := integration(compile(t, twoStep), b.remote)
	wrong := `{"data": {"token": "x"}}`
	b.say.Store(&wrong)
	_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
	require.ErrorContains(t, err, "no token at data.access_token")
	require.Empty(t, v.tokens)
	b.say.Store(nil)
	_, err = e.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	require.Equal(t, "token-2", v.tokens[in.ID].Access)
	got := b.requests()
	sameJSON(t, `{"user": "ann", "key": "s3cr3t-key"}`, got[1].body)
	require.Equal(t, "Bearer token-2", got[2].header.Get("Authorization"))
}

// rows: G14
func TestAHundredCallsGetOneToken(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	e := engine(t, b.remote)
	in := integration(compile(t, twoStep), b.remote)
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for range 100 {
		wg.Go(func() {
			_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, b.logins.Load())
}

// rows: G14, O41
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	b, at := newBank(t), newClock()
	v := newVault()
	e := engine(t, b.remote, func(o *endpoint.Options) { o.Tokens, o.Now = v, at.now })
	in := integration(compile(t, twoStep), b.remote)
	_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	b.logins.Add(1) // somebody else logged in: ours is worth nothing now
	var wg sync.WaitGroup
	var failures atomic.Int64
	for range 20 {
		wg.Go(func() {
			if _, err := e.Call(t.Context(), in, "it", endpoint.Given{}); err != nil {
				failures.Add(1)
			}
		})
	}
	wg.Wait()
	require.Zero(t, failures.Load())
	require.EqualValues(t, 3, b.logins.Load(), "one more")
	_, err = e.Call(t.Context(), in, "post", endpoint.Given{})
	require.NoError(t, err)
	require.EqualValues(t, 3, b.logins.Load())

	b.refuses.Store(true)
	at.move(2 * time.Minute)
	before := len(b.requests())
	_, err = e.Call(t.Context(), in, "it", endpoint.Given{})
	require.Equal(t, sdk.ClassAuth, failed(t, err).Class)
	require.Len(t, b.requests(), before+3, "a call, a login, a call")
	_, err = e.Call(t.Context(), in, "it", endpoint.Given{})
	require.Equal(t, "token_refused", failed(t, err).Code)
	require.EqualValues(t, 4, b.logins.Load(), "a token that was just given is not replaced again")
}

// rows: O41
func TestTokenIsReplacedAheadOfItsEnd(t *testing.T) {
	t.Parallel()
	b, at := newBank(t), newClock()
	e := engine(t, b.remote, func(o *endpoint.Options) { o.Now = at.now })
	in := integration(compile(t, twoStep), b.remote)
	call := func() error {
		_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
		return err
	}
	require.NoError(t, call())
	at.move(58 * time.Minute)
	require.NoError(t, call())
	require.EqualValues(t, 1, b.logins.Load())
	at.move(90 * time.Second)
	require.NoError(t, call())
	require.EqualValues(t, 2, b.logins.Load())

	// Who gives tokens is away: the token is good for a while yet.
	at.move(59*time.Minute + 30*time.Second)
	b.away.Store(true)
	require.NoError(t, call())
	at.move(time.Minute)
	require.Equal(t, sdk.ClassTransient, failed(t, call()).Class)
}

// rows: G13, G19
func TestMissingValueIsToldBeforeATokenIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	e := engine(t, b.remote)
	in := integration(compile(t, twoStep), b.remote)
	_, err := e.Call(t.Context(), in, "own", endpoint.Given{})
	require.ErrorContains(t, err, `"need"`)
	require.Empty(t, b.requests())
	_, err = e.Call(t.Context(), in, "own", endpoint.Given{Body: map[string]any{"need": "x", "X-Token": "evil"}})
	require.NoError(t, err)
	last := b.requests()[1]
	require.Equal(t, "token-1", last.header.Get("X-Token"))
	require.Empty(t, last.header.Get("Authorization"), "the endpoint places the token itself")
}

func TestOtherCredentialsNeedAnotherToken(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	e := engine(t, b.remote)
	in := integration(compile(t, twoStep), b.remote)
	_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	in.Fields = map[string]string{"user": "bo", "api_key": "other"}
	_, err = e.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	require.EqualValues(t, 2, b.logins.Load())
}

func TestTokenOutlivesTheEngine(t *testing.T) {
	t.Parallel()
	b, v := newBank(t), newVault()
	in := integration(compile(t, twoStep), b.remote)
	for range 3 {
		_, err := engine(t, b.remote, func(o *endpoint.Options) { o.Tokens = v }).Call(t.Context(), in, "it", endpoint.Given{})
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, b.logins.Load())
}

// rows: O42
func TestRefusedCredentialsNeedAPerson(t *testing.T) {
	t.Parallel()
	c := newRemote(t, status(http.StatusUnauthorized, `{"message": "wrong password"}`))
	var told []string
	var mu sync.Mutex
	e := engine(t, c, func(o *endpoint.Options) {
		o.Reconnect = func(_ context.Context, id, reason string) error {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, id+" "+reason)
			return nil
		}
	})
	in := integration(compile(t, strings.Replace(twoStep, "response: {token: data.access_token,", "response: {error: message, token: data.access_token,", 1)), c)
	_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
	require.Equal(t, "needs_reconnect", failed(t, err).Code)
	require.Equal(t, []string{in.ID + " the remote system does not accept the credentials: wrong password"}, told)
}

func TestStaticCredentials(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ auth, header, want string }{
		"api key header":      {"{type: api_key, name: X-Api-Key, value: '{{ fields.api_key }}'}", "X-Api-Key", "s3cr3t-key"},
		"basic":               {"{type: basic, username: '{{ fields.user }}', password: '{{ fields.api_key }}'}", "Authorization", "Basic YW5uOnMzY3IzdC1rZXk="},
		"bearer":              {"{type: bearer, value: '{{ fields.api_key }}'}", "Authorization", "Bearer s3cr3t-key"},
		"credential":          {"{type: credential, value: '{{ fields.api_key }}:'}", "Authorization", "Basic czNjcjN0LWtleTo="},
		"credential as it is": {"{type: credential, name: X-Auth, scheme: Token, encode: none, value: 'k={{ fields.api_key }}'}", "X-Auth", "Token k=s3cr3t-key"},
		"scheme":              {"{type: bearer, scheme: Zoho-oauthtoken, value: '{{ fields.api_key }}'}", "Authorization", "Zoho-oauthtoken s3cr3t-key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call(t, head+"auth: "+tc.auth+"\nendpoints: [{name: it, type: PostData, url: /x, parameters: [{name: "+tc.header+", in: header, from: body}]}]\n",
				endpoint.Given{Body: map[string]any{tc.header: "evil"}})
			require.Equal(t, []string{tc.want}, got.header.Values(tc.header))
		})
	}
	got := call(t, head+"auth: {type: api_key, in: query, name: key, value: '{{ fields.api_key }}'}\nendpoints: [{name: it, type: GetData, url: /x, parameters: [{name: key, in: query, from: body}]}]\n",
		endpoint.Given{Body: map[string]any{"key": "evil"}})
	require.Equal(t, "key=s3cr3t-key", got.query)
	got = call(t, head+"auth: {type: bearer, value: '{{ fields.api_key }}'}\nendpoints: [{name: it, type: GetData, url: /x, auth: {type: none}}]\n", endpoint.Given{})
	require.NotContains(t, got.header, "Authorization")
}

// What became of a login says nothing of the call that needs it: that was not sent.
// After a 401 of its own it was refused.
//
// rows: G15
func TestFailedLoginLeavesTheCallUnsent(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	text := "this is no JSON"
	b.say.Store(&text)
	e := engine(t, b.remote)
	in := integration(compile(t, twoStep), b.remote)
	_, err := e.Call(t.Context(), in, "post", endpoint.Given{})
	require.Equal(t, endpoint.OutcomeNotSent, failed(t, err).Outcome)
	for _, r := range b.requests() {
		require.Equal(t, "/login", r.path)
	}

	b.say.Store(nil)
	_, err = e.Call(t.Context(), in, "post", endpoint.Given{})
	require.NoError(t, err)
	b.refuses.Store(true)
	b.say.Store(&text)
	_, err = e.Call(t.Context(), in, "post", endpoint.Given{})
	require.Equal(t, endpoint.OutcomeFailed, failed(t, err).Outcome)
}

// A token that is said to live for ever, or longer than a time can be, is kept.
func TestATokenThatLivesLongIsKept(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.ttl.Store(1 << 62)
	e := engine(t, b.remote)
	in := integration(compile(t, twoStep), b.remote)
	for range 2 {
		_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, b.logins.Load())
}
