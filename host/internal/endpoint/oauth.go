package endpoint

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackfield/jackfield/store"
)

// grant asks the token endpoint of OAuth for a token.
func (e *Engine) grant(ctx context.Context, in Integration, what map[string]string, have Token) (Token, error) {
	r, err := in.Template.grantRequest(in, what)
	if err != nil {
		return Token{}, err
	}
	got, err := e.sender.send(ctx, in.lane(), r, false)
	if err != nil {
		return Token{}, err
	}
	body, err := Decode(got.body)
	answer, ok := body.(map[string]any)
	if err != nil || !ok {
		return Token{}, grantError(got, nil)
	}
	t := Token{Access: stringOf(answer["access_token"]), Refresh: stringOf(answer["refresh_token"])}
	if got.status < 200 || got.status > 299 || t.Access == "" {
		return Token{}, grantError(got, answer)
	}
	if t.Refresh == "" {
		t.Refresh = have.Refresh // it goes on
	}
	if seconds, ok := numberOf(answer["expires_in"]); ok && seconds > 0 {
		t.ExpiresAt = e.opts.Now().Add(min(time.Duration(seconds)*time.Second, maxLife))
	}
	return t, nil
}

// grantRequest makes the request for a token.
func (t *Template) grantRequest(in Integration, what map[string]string) (Request, error) {
	o := t.auth.oauth
	s := t.scope(in.input(Given{}), "")
	render := func(x text, name string) (string, error) {
		v, missing, err := x.render(s, asIs)
		if err == nil && missing != "" {
			err = &Error{Class: classConfig, Code: codeMissing, Outcome: OutcomeNotSent, Missing: []string{missing}, Message: "auth." + name + " needs {{ " + missing + " }}"}
		}
		return v.real, err
	}
	var out [3]string
	for i, part := range []struct {
		text text
		name string
	}{{o.tokenURL, "token_url"}, {o.id, "client_id"}, {o.secret, "client_secret"}} {
		v, err := render(part.text, part.name)
		if err != nil {
			return Request{}, err
		}
		out[i] = v
	}
	address, id, secret := out[0], out[1], out[2]
	if u, err := url.Parse(address); err != nil || u.User != nil || u.Hostname() == "" || u.Fragment != "" {
		return Request{}, configError(codeBadURL, "auth.token_url is not an address that can be called")
	}
	values := url.Values{}
	for _, p := range o.params {
		v, err := render(p.text, "params."+p.name)
		if err != nil {
			return Request{}, err
		}
		values.Set(p.name, v)
	}
	for name, v := range what {
		values.Set(name, v)
	}
	if len(o.scopes) > 0 && what["grant_type"] == "client_credentials" {
		values.Set("scope", strings.Join(o.scopes, " "))
	}
	header := http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	if o.inBody || secret == "" {
		values.Set("client_id", id)
		if secret != "" {
			values.Set("client_secret", secret)
		}
	} else {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret))))
	}
	return Request{Method: http.MethodPost, URL: address, Header: header, Body: []byte(values.Encode())}, nil
}

// grantError says why there is no token. What the remote system says may repeat
// what it was asked with; only its code and description are told.
func grantError(got reply, answer map[string]any) *Error {
	e := &Error{Class: classRemote, Code: codeNoToken, Status: got.status, Outcome: OutcomeFailed, Message: "the answer has no token"}
	word := stringOf(answer["error"])
	switch {
	case word == "invalid_grant" || word == "invalid_client" || word == "unauthorized_client" || got.status == http.StatusUnauthorized:
		e.Class, e.Code = classAuth, codeInvalidGrant
	case got.status == http.StatusTooManyRequests:
		e.Class, e.Code, e.RetryAfter = classRateLimited, codeRateLimited, retryAfter(got.header, time.Now())
	case got.status >= 500:
		e.Class, e.RetryAfter = classTransient, retryAfter(got.header, time.Now())
	}
	if word != "" {
		e.Message = short(strings.TrimSpace(word+" "+stringOf(answer["error_description"])), 512)
	}
	return e
}

// NewVerifier returns a secret for one connection by a person: PKCE's.
func NewVerifier() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: the program ends if the system has no randomness
	return base64.RawURLEncoding.EncodeToString(b)
}

// Authorize returns the address that a person opens to connect an integration.
// state and verifier are kept by the caller until the answer comes to redirect.
func (e *Engine) Authorize(in Integration, redirect, state, verifier string) (string, error) {
	o := in.Template.auth.oauth
	if in.Template.auth.kind != store.AuthCode {
		return "", configError(codeNoConnect, "the template %s is not connected by a person", in.Template.spec.Name)
	}
	s := in.Template.scope(in.input(Given{}), "")
	address, missing, err := o.authorizeURL.render(s, asIs)
	id, more, idErr := o.id.render(s, asIs)
	if err := errors.Join(err, idErr); err != nil {
		return "", err
	}
	if missing = orFirst(missing, more); missing != "" {
		return "", &Error{Class: classConfig, Code: codeMissing, Outcome: OutcomeNotSent, Missing: []string{missing}, Message: "auth needs {{ " + missing + " }}"}
	}
	u, err := url.Parse(address.real)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", configError(codeBadURL, "auth.authorize_url is not an address that can be opened")
	}
	q := u.Query()
	q.Set("response_type", "code")
	q.Set("client_id", id.real)
	q.Set("redirect_uri", redirect)
	q.Set("state", state)
	if len(o.scopes) > 0 {
		q.Set("scope", strings.Join(o.scopes, " "))
	}
	if o.pkce {
		sum := sha256.Sum256([]byte(verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Connect exchanges the code that came to redirect for the integration's token.
func (e *Engine) Connect(ctx context.Context, in Integration, redirect, code, verifier string) error {
	if in.Template.auth.kind != store.AuthCode {
		return configError(codeNoConnect, "the template %s is not connected by a person", in.Template.spec.Name)
	}
	what := map[string]string{"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
	if in.Template.auth.oauth.pkce {
		what["code_verifier"] = verifier
	}
	t, err := e.grant(ctx, in, what, Token{})
	if err != nil {
		return err
	}
	have, err := e.stored(ctx, in)
	if err != nil {
		return err
	}
	t.ObtainedAt, t.For, t.Version = e.opts.Now(), in.key(), have.Version
	kept, err := e.opts.Tokens.Keep(ctx, in.ID, t)
	if err != nil {
		return err
	}
	e.known.put(in.ID, kept)
	return nil
}
