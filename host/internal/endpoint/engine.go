package endpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/jackfield/jackfield/store"
)

// Integration is a tenant's instance of a template.
type Integration struct {
	ID         string // that no other has, ever
	Name       string // tenant/name, for messages
	Template   *Template
	Host       string
	Callcenter string
	Fields     map[string]string
}

// Given is what a call is made with.
type Given struct {
	Body    map[string]any // of the client
	Call    map[string]any
	Context map[string]any
	Item    any
}

func (i Integration) lane() lane {
	return lane{i.ID, i.Template.spec.Request.MaxConcurrent}
}

func (i Integration) input(g Given) Input {
	return Input{Host: i.Host, Callcenter: i.Callcenter, Fields: i.Fields, Call: g.Call, Context: g.Context, Body: g.Body, Item: g.Item}
}

// Options are what an Engine needs. Transport and Tokens are required.
type Options struct {
	// Transport returns what an integration sends with; it is asked for each request.
	// It makes the connections, and refuses those that must not be: an error of it with
	// a method Refused() bool that answers true is never tried again.
	Transport func(id string) http.RoundTripper
	Tokens    Tokens
	// Plain reports whether a host may be called without TLS; nil: none.
	Plain func(host string) bool
	// Reconnect is told that the remote system takes the credentials of an
	// integration no more: a person has to give others.
	Reconnect func(ctx context.Context, id, reason string) error
	Now       func() time.Time // time.Now if nil
}

// Engine calls endpoints. It is safe for concurrent use.
type Engine struct {
	opts   Options
	sender *sender
	flight singleflight.Group // by integration: one gets a token at a time
	known  knownTokens
}

// New returns an Engine. It starts nothing.
func New(opts Options) (*Engine, error) {
	if opts.Transport == nil || opts.Tokens == nil {
		return nil, errors.New("endpoint engine: a transport and a store of tokens are needed")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Reconnect == nil {
		opts.Reconnect = func(context.Context, string, string) error { return nil }
	}
	return &Engine{opts: opts, sender: newSender(opts.Transport, opts.Plain, opts.Now), known: knownTokens{tokens: map[string]Token{}}}, nil
}

// Render returns the request that Call would send, and sends nothing. If it needs a
// token that is not there yet, the token's place is taken by nothing that works.
func (e *Engine) Render(ctx context.Context, in Integration, name string, g Given) (Request, error) {
	c := in.Template.endpoints[name]
	if c == nil {
		return Request{}, in.Template.unknown(name)
	}
	token := ""
	if c.needsToken() {
		token = masked
		if t, err := e.current(ctx, in); err == nil && t.Access != "" {
			token = t.Access
		}
	}
	return in.Template.render(c, in.input(g), token)
}

// Fingerprint returns what tells the request that Call would send from others, but
// for the token. Nothing of the request can be found out from it.
func (e *Engine) Fingerprint(in Integration, name string, g Given) (string, error) {
	c := in.Template.endpoints[name]
	if c == nil {
		return "", in.Template.unknown(name)
	}
	r, err := in.Template.render(c, in.input(g), masked)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %q %s", r.Method, r.URL, r.Body)
	_ = r.Header.Write(h) // sorted by name; a hash takes everything
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Call calls an endpoint and returns what the remote system answered. An error is
// an *Error, or store.ErrNotFound for an endpoint that there is not. Nothing is sent
// while a required value is missing. A request that may have arrived is sent again
// only if that can do no harm.
func (e *Engine) Call(ctx context.Context, in Integration, name string, g Given) (Result, error) {
	c := in.Template.endpoints[name]
	if c == nil {
		return Result{}, in.Template.unknown(name)
	}
	if c.spec.Type == store.EndpointAuth {
		err := configError(codeAuthEndpoint, "endpoint %s gets the token; it is called when one is needed", name)
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	begin := e.opts.Now()
	out, err := e.call(ctx, in, c, in.input(g))
	out.TookMS = e.opts.Now().Sub(begin).Milliseconds()
	return out, err
}

func (e *Engine) call(ctx context.Context, in Integration, c *call, input Input) (Result, error) {
	var token Token
	needs := c.needsToken()
	if needs {
		// What is missing is told before anybody is asked for a token.
		if _, err := in.Template.render(c, input, masked); err != nil {
			return Result{}, err
		}
		var err error
		if token, err = e.token(ctx, in); err != nil {
			return Result{}, known(err, OutcomeNotSent, 0) // whatever became of the login
		}
	}
	got, notes, err := e.attempt(ctx, in, c, input, token.Access)
	if err == nil && got.status == http.StatusUnauthorized && needs {
		if token, err = e.renew(ctx, in, token, true); err != nil {
			return Result{Status: got.status}, known(err, OutcomeFailed, 0) // the 401 was of the call itself
		}
		got, notes, err = e.attempt(ctx, in, c, input, token.Access)
	}
	if err != nil {
		return Result{}, err
	}
	s := in.Template.scope(input, "")
	s[warningsKey] = notes
	out, err := c.read(got, s)
	out.Warnings = notes.texts
	return out, err
}

// attempt makes the request and sends it.
func (e *Engine) attempt(ctx context.Context, in Integration, c *call, input Input, token string) (reply, *warnings, error) {
	r, err := in.Template.render(c, input, token)
	if err != nil {
		return reply{}, nil, err
	}
	got, err := e.sender.send(ctx, in.lane(), r, c.again())
	return got, r.notes, err
}
