package endpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackfield/jackfield/store"
)

// Token is what an integration is authorized with until it ends.
type Token struct {
	Access     string    `json:"access"`
	Refresh    string    `json:"refresh,omitempty"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"` // zero: it does not end by itself
	ObtainedAt time.Time `json:"obtained_at"`
	Forced     bool      `json:"forced,omitempty"` // the one before was refused
	For        string    `json:"for"`              // what it was got with: other credentials need another one
	Version    int64     `json:"-"`                // that the store gave it
}

// Tokens keep tokens where nobody else can read them.
type Tokens interface {
	// Token returns the token of an integration; store.ErrNotFound if there is none.
	Token(ctx context.Context, id string) (Token, error)
	// Keep puts a token in the place of the version that t.Version names, 0 if there
	// was none, and returns it with its version once it is durable. The error is
	// store.ErrConflict if somebody else was faster.
	Keep(ctx context.Context, id string, t Token) (Token, error)
}

// The patience with tokens.
const (
	ahead      = time.Minute      // before its end a token is replaced; a fifth of its life if that is less
	forcedRest = time.Minute      // between two replacements because a token was refused
	tokenTime  = 30 * time.Second // for getting one
)

// fresh reports whether a token can be used.
func (t Token) fresh(key string, now time.Time) bool {
	if t.Access == "" || t.For != key {
		return false
	}
	if t.ExpiresAt.IsZero() {
		return true
	}
	return now.Add(min(ahead, t.ExpiresAt.Sub(t.ObtainedAt)/5)).Before(t.ExpiresAt)
}

// alive reports whether a token has not ended yet.
func (t Token) alive(key string, now time.Time) bool {
	return t.Access != "" && t.For == key && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}

// knownTokens saves the way to the store.
type knownTokens struct {
	mu     sync.Mutex // guards tokens
	tokens map[string]Token
}

func (k *knownTokens) get(id string) (Token, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, ok := k.tokens[id]
	return t, ok
}

func (k *knownTokens) put(id string, t Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens[id] = t
}

// Forget drops what is known of the token of an integration: it was deleted, or
// its token was replaced by somebody else.
func (e *Engine) Forget(id string) {
	e.known.mu.Lock()
	defer e.known.mu.Unlock()
	delete(e.known.tokens, id)
}

// key says what a token is got with. It is kept sealed, beside the token.
func (i Integration) key() string {
	auth := i.Template.spec.Auth
	parts := []any{i.Template.spec.Name, auth, i.Host}
	if auth.Type != store.AuthCode { // a person's consent outlives other fields
		for _, name := range slices.Sorted(maps.Keys(i.Fields)) {
			parts = append(parts, name, i.Fields[name])
		}
	}
	text, err := json.Marshal(parts)
	if err != nil {
		text = fmt.Append(nil, parts...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// current returns the token that there is, whatever its state.
func (e *Engine) current(ctx context.Context, in Integration) (Token, error) {
	if t, ok := e.known.get(in.ID); ok {
		return t, nil
	}
	return e.stored(ctx, in)
}

// stored reads the token from the store.
func (e *Engine) stored(ctx context.Context, in Integration) (Token, error) {
	t, err := e.opts.Tokens.Token(ctx, in.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Token{}, nil
	}
	if err != nil {
		return Token{}, fmt.Errorf("token of %s: %w", in.Name, err)
	}
	e.known.put(in.ID, t)
	return t, nil
}

// token returns a token that can be used: the one that there is, or a new one some
// time before that ends.
func (e *Engine) token(ctx context.Context, in Integration) (Token, error) {
	t, err := e.current(ctx, in)
	if err != nil {
		return Token{}, err
	}
	key := in.key()
	if t.fresh(key, e.opts.Now()) {
		return t, nil
	}
	next, err := e.renew(ctx, in, t, false)
	if err != nil && t.alive(key, e.opts.Now()) && transient(err) {
		return t, nil // it is good for a while yet
	}
	return next, err
}

func transient(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Class == classTransient || e.Class == classRateLimited)
}

// renew gets a token in the place of used. However many ask for one, the remote
// system is asked once; who gives up waiting stops nobody else. forced says that
// the remote system refused the token.
func (e *Engine) renew(ctx context.Context, in Integration, used Token, forced bool) (Token, error) {
	answers := e.flight.DoChan(in.ID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTime)
		defer cancel()
		return e.replace(ctx, in, used, forced)
	})
	select {
	case a := <-answers:
		t, _ := a.Val.(Token)
		return t, a.Err
	case <-ctx.Done():
		return Token{}, &Error{Class: classTransient, Code: codeTimeout, Message: "no token of " + in.Name + " in time", Outcome: OutcomeNotSent}
	}
}

func (e *Engine) replace(ctx context.Context, in Integration, used Token, forced bool) (Token, error) {
	now, key := e.opts.Now(), in.key()
	have, err := e.stored(ctx, in)
	if err != nil {
		return Token{}, err
	}
	switch {
	case have.Version != used.Version && have.fresh(key, now):
		return have, nil // somebody was faster
	case forced && have.Forced && now.Sub(have.ObtainedAt) < forcedRest:
		return Token{}, &Error{Class: classAuth, Code: codeTokenRefused, Outcome: OutcomeNotSent, Message: "the remote system refuses a token that it has just given"}
	}
	next, err := e.obtain(ctx, in, have)
	if refusedGrant(err) {
		return e.refused(ctx, in, have, err)
	}
	if err != nil {
		return Token{}, err
	}
	next.ObtainedAt, next.Forced, next.For, next.Version = now, forced, key, have.Version
	kept, err := e.opts.Tokens.Keep(ctx, in.ID, next)
	if errors.Is(err, store.ErrConflict) {
		return e.stored(ctx, in)
	}
	if err != nil {
		return Token{}, fmt.Errorf("keep token of %s: %w", in.Name, err)
	}
	e.known.put(in.ID, kept)
	return kept, nil
}

// refused looks whether somebody else got a token meanwhile, which would explain
// that ours was refused, and tells of it otherwise.
func (e *Engine) refused(ctx context.Context, in Integration, had Token, cause error) (Token, error) {
	t, err := e.stored(ctx, in)
	if err == nil && t.Version != had.Version && t.fresh(in.key(), e.opts.Now()) {
		return t, nil
	}
	reason := "the remote system does not accept the credentials"
	why, _ := errors.AsType[*Error](cause)
	if why != nil && why.Message != "" {
		reason += ": " + why.Message
	}
	if err := e.opts.Reconnect(ctx, in.ID, reason); err != nil {
		return Token{}, fmt.Errorf("tell that %s needs to be reconnected: %w", in.Name, err)
	}
	out := &Error{Class: classAuth, Code: codeReconnect, Message: reason, Hint: "give other credentials", Outcome: OutcomeNotSent}
	if why != nil {
		out.Status = why.Status
	}
	return Token{}, out
}

// refusedGrant reports whether the remote system refuses the credentials
// themselves.
func refusedGrant(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == codeInvalidGrant
}

// obtain gets a token from the remote system.
func (e *Engine) obtain(ctx context.Context, in Integration, have Token) (Token, error) {
	auth := in.Template.auth
	switch auth.kind {
	case store.AuthToken:
		return e.login(ctx, in)
	case store.AuthClient:
		return e.grant(ctx, in, map[string]string{"grant_type": "client_credentials"}, Token{})
	case store.AuthCode:
		if have.Refresh == "" {
			return Token{}, &Error{Class: classAuth, Code: codeInvalidGrant, Message: "nobody has connected it yet", Outcome: OutcomeNotSent}
		}
		return e.grant(ctx, in, map[string]string{"grant_type": "refresh_token", "refresh_token": have.Refresh}, have)
	default:
		return Token{}, configError(codeNoToken, "the template %s gets no token", in.Template.spec.Name)
	}
}

// login calls the Auth endpoint.
func (e *Engine) login(ctx context.Context, in Integration) (Token, error) {
	c := in.Template.endpoints[in.Template.spec.Auth.Endpoint]
	input := in.input(Given{})
	got, _, err := e.attempt(ctx, in, c, input, "")
	if err != nil {
		return Token{}, err
	}
	s := in.Template.scope(input, "")
	out, err := c.read(got, s)
	if err != nil {
		if failed, ok := errors.AsType[*Error](err); ok && failed.Class == classAuth {
			failed.Code = codeInvalidGrant
		}
		return Token{}, err
	}
	v, err := c.response.token.read(out.Body, s)
	if err != nil {
		return Token{}, err
	}
	if _, nested := v.(map[string]any); nested || !present(v) {
		return Token{}, &Error{
			Class: classRemote, Code: codeNoToken, Status: out.Status, Outcome: OutcomeFailed,
			Message: fmt.Sprintf("the answer of endpoint %s has no token at %s", c.spec.Name, c.response.tokenPath),
		}
	}
	t := Token{Access: stringOf(v)}
	t.ExpiresAt, err = c.response.expiry(out.Body, s, e.opts.Now())
	return t, err
}
