package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/endpoint"
)

// authority is an OAuth server.
type authority struct {
	*remote
	mu      sync.Mutex // guards what follows
	forms   []url.Values
	basics  []string
	refresh string // that is good
	deny    string // the error it answers with
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{refresh: "r-0"}
	a.remote = newRemote(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.URL.Path != "/token" {
			ok(`{}`)(w, r, body)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		form, _ := url.ParseQuery(body)
		user, _, _ := r.BasicAuth()
		a.forms, a.basics = append(a.forms, form), append(a.basics, user)
		grant := form.Get("grant_type")
		if a.deny != "" || grant == "refresh_token" && form.Get("refresh_token") != a.refresh {
			status(http.StatusBadRequest, `{"error": "invalid_grant", "error_description": "it was revoked"}`)(w, r, body)
			return
		}
		n := len(a.forms)
		if grant == "client_credentials" {
			ok(fmt.Sprintf(`{"access_token": "a-%d", "expires_in": 600}`, n))(w, r, body)
			return
		}
		a.refresh = fmt.Sprintf("r-%d", n)
		ok(fmt.Sprintf(`{"access_token": "a-%d", "expires_in": "600", "refresh_token": %q}`, n, a.refresh))(w, r, body)
	})
	return a
}

func (a *authority) oauth(kind, more string) string {
	return head + fmt.Sprintf(`
auth:
  type: %s
  token_url: https://{{ host }}/token
  client_id: "{{ fields.user }}"
  client_secret: "{{ fields.api_key }}"
  scopes: [read, write]
%s
endpoints:
  - {name: it, type: GetData, url: /data}
`, kind, more)
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	in := integration(compile(t, a.oauth("oauth2_client", "  params: {audience: crm}")), a.remote)
	_, err := engine(t, a.remote).Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"read write"}, "audience": {"crm"}}, a.forms[0])
	require.Equal(t, []string{"ann"}, a.basics)
	require.Equal(t, "Bearer a-1", a.requests()[1].header.Get("Authorization"))

	in = integration(compile(t, a.oauth("oauth2_client", "  client_auth: body")), a.remote)
	_, err = engine(t, a.remote).Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	require.Equal(t, "s3cr3t-key", a.forms[1].Get("client_secret"))
}

// rows: O41, O42, F30
func TestAuthorizationCode(t *testing.T) {
	t.Parallel()
	a, at, v := newAuthority(t), newClock(), newVault()
	told := 0
	e := engine(t, a.remote, func(o *endpoint.Options) {
		o.Tokens, o.Now = v, at.now
		o.Reconnect = func(context.Context, string, string) error { told++; return nil }
	})
	in := integration(compile(t, a.oauth("oauth2_code", "  authorize_url: https://{{ host }}/authorize?prompt=consent")), a.remote)
	call := func() error {
		_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
		return err
	}
	require.Equal(t, "needs_reconnect", failed(t, call()).Code, "nobody connected it")
	require.Equal(t, 1, told)

	verifier := endpoint.NewVerifier()
	require.Len(t, verifier, 43)
	address, err := e.Authorize(in, "https://jackfield.example/back", "state-1", verifier)
	require.NoError(t, err)
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	require.Equal(t, []string{"consent", "code", "ann", "state-1", "read write", "S256"}, []string{q.Get("prompt"), q.Get("response_type"), q.Get("client_id"), q.Get("state"), q.Get("scope"), q.Get("code_challenge_method")})
	require.NotContains(t, address, verifier)
	require.NoError(t, e.Connect(t.Context(), in, "https://jackfield.example/back", "code-1", verifier))
	form := a.forms[0]
	require.Equal(t, []string{"authorization_code", "code-1", verifier, "https://jackfield.example/back"}, []string{form.Get("grant_type"), form.Get("code"), form.Get("code_verifier"), form.Get("redirect_uri")})
	require.NoError(t, call())

	at.move(9 * time.Minute)
	require.NoError(t, call())
	require.Equal(t, "r-1", a.forms[1].Get("refresh_token"))
	require.Equal(t, "r-2", v.tokens[in.ID].Refresh, "a refresh token that changes is kept")
	require.Equal(t, 3, v.keeps+1, "before it is used")

	at.move(10 * time.Minute)
	a.mu.Lock()
	a.deny = "yes"
	a.mu.Unlock()
	require.ErrorContains(t, call(), "invalid_grant it was revoked")
	require.Equal(t, 2, told)
}

// rows: F30
func TestSiblingsTokenIsUsed(t *testing.T) {
	t.Parallel()
	a, at, v := newAuthority(t), newClock(), newVault()
	set := func(o *endpoint.Options) { o.Tokens, o.Now = v, at.now }
	one, two := engine(t, a.remote, set), engine(t, a.remote, set)
	in := integration(compile(t, a.oauth("oauth2_code", "  authorize_url: https://{{ host }}/authorize")), a.remote)
	require.NoError(t, one.Connect(t.Context(), in, "https://x/back", "code-1", "v"))
	for _, e := range []*endpoint.Engine{one, two} {
		_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
		require.NoError(t, err)
	}
	at.move(9*time.Minute + time.Second)
	_, err := one.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	_, err = two.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)
	require.Len(t, a.forms, 2, "the second engine takes what the first one got")
}

// late reads an old token first, as one does who looks before that of a sibling is
// there.
type late struct {
	*vault
	mu  sync.Mutex // guards what follows
	old endpoint.Token
	n   int // how often it is late yet
}

func (l *late) Token(ctx context.Context, id string) (endpoint.Token, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n > 0 {
		l.n--
		return l.old, nil
	}
	return l.vault.Token(ctx, id)
}

// rows: F30
func TestWhoLosesTheRaceOfARefreshTakesTheWinnersToken(t *testing.T) {
	t.Parallel()
	a, at, v := newAuthority(t), newClock(), newVault()
	in := integration(compile(t, a.oauth("oauth2_code", "  authorize_url: https://{{ host }}/authorize")), a.remote)
	told := 0
	set := func(tokens endpoint.Tokens) func(*endpoint.Options) {
		return func(o *endpoint.Options) {
			o.Tokens, o.Now = tokens, at.now
			o.Reconnect = func(context.Context, string, string) error { told++; return nil }
		}
	}
	winner := engine(t, a.remote, set(v))
	require.NoError(t, winner.Connect(t.Context(), in, "https://x/back", "code-1", "v"))
	old, err := v.Token(t.Context(), in.ID)
	require.NoError(t, err)
	at.move(9*time.Minute + time.Second)
	_, err = winner.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err)

	loser := engine(t, a.remote, set(&late{vault: v, old: old, n: 2}))
	_, err = loser.Call(t.Context(), in, "it", endpoint.Given{})
	require.NoError(t, err, "the refresh token was used up by the winner")
	require.Equal(t, old.Refresh, a.forms[2].Get("refresh_token"), "the loser tried the old one")
	require.Zero(t, told, "nobody has to reconnect")
	require.Equal(t, "r-2", v.tokens[in.ID].Refresh)
}

// watchful looks, when a token is to be kept, whether it was used already; and keeps none
// while it is full.
type watchful struct {
	*vault
	remote *remote
	full   bool
	early  []string // tokens that were used before they were kept
	kept   []string
}

func (w *watchful) Keep(ctx context.Context, id string, t endpoint.Token) (endpoint.Token, error) {
	for _, r := range w.remote.requests() {
		if r.header.Get("Authorization") == "Bearer "+t.Access {
			w.early = append(w.early, t.Access)
		}
	}
	if w.full {
		return endpoint.Token{}, errors.New("the disk is full")
	}
	w.kept = append(w.kept, t.Refresh)
	return w.vault.Keep(ctx, id, t)
}

// A refresh token that changes is kept before what came with it is used: a host that ends
// in between has it yet. One that cannot be kept is not used.
//
// rows: F30
func TestANewRefreshTokenIsKeptBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	a, at := newAuthority(t), newClock()
	v := &watchful{vault: newVault(), remote: a.remote}
	e := engine(t, a.remote, func(o *endpoint.Options) { o.Tokens, o.Now = v, at.now })
	in := integration(compile(t, a.oauth("oauth2_code", "  authorize_url: https://{{ host }}/authorize")), a.remote)
	require.NoError(t, e.Connect(t.Context(), in, "https://x/back", "code-1", "v"))
	uses := func() (out []string) {
		for _, r := range a.requests() {
			if r.path == "/data" {
				out = append(out, r.header.Get("Authorization"))
			}
		}
		return out
	}
	for range 3 {
		_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
		require.NoError(t, err)
		at.move(9*time.Minute + time.Second)
	}
	require.Equal(t, []string{"r-1", "r-2", "r-3"}, v.kept)
	require.Equal(t, []string{"Bearer a-1", "Bearer a-2", "Bearer a-3"}, uses())
	require.Empty(t, v.early)

	v.full = true
	at.move(time.Hour)
	_, err := e.Call(t.Context(), in, "it", endpoint.Given{})
	require.ErrorContains(t, err, "the disk is full")
	require.Len(t, uses(), 3, "what is not kept is not used")
}
