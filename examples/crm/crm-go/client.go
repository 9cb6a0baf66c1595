package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	maxAnswer = 1 << 20
	early     = 30 * time.Second // that a token is replaced before it ends
)

// client talks to the CRM. http.DefaultClient goes the host's way out, so it reaches the
// host that the settings name and no other.
type client struct {
	base string
	key  sdk.Secret

	mu    sync.Mutex // guards what follows; who waits for it waits for a token
	token string
	until time.Time
}

// found is what the CRM answers of a write.
type found struct {
	ID      string            `json:"id"`
	URL     string            `json:"url"`
	Message string            `json:"message"`
	Errors  map[string]string `json:"errors"`
}

// write sends something under a key, and answers where it is or what is wrong with its
// fields.
func (c *client) write(ctx context.Context, method, path, key string, body any) (sdk.CallAnswer, error) {
	var out found
	err := c.do(ctx, method, path, key, body, &out)
	if e := sdk.AsError(err); e != nil && len(out.Errors) > 0 {
		return sdk.CallAnswer{FieldErrors: out.Errors}, nil
	}
	return sdk.CallAnswer{ID: out.ID, URL: out.URL}, err
}

// written answers what a key wrote.
func (c *client) written(ctx context.Context, key string) (sdk.CallAnswer, error) {
	var out found
	err := c.do(ctx, http.MethodGet, "/written?key="+url.QueryEscape(key), "", nil, &out)
	return sdk.CallAnswer{ID: out.ID, URL: out.URL}, err
}

// do makes a request with a token.
func (c *client) do(ctx context.Context, method, path, key string, body, into any) error {
	token, err := c.login(ctx)
	if err != nil {
		return err
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	return c.send(ctx, method, path, header, body, into)
}

// login returns a token, a new one if there is none or it ends soon.
func (c *client) login(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Until(c.until) > early {
		return c.token, nil
	}
	var out struct {
		Data struct {
			Token   string `json:"token"`
			Expires int    `json:"expires_in"`
		} `json:"data"`
	}
	if err := c.send(ctx, http.MethodPost, "/login", nil, map[string]string{"key": c.key.Reveal()}, &out); err != nil {
		e := *sdk.AsError(err)
		e.Safe = true // whatever is wrong, nothing was written
		return "", &e
	}
	c.token, c.until = out.Data.Token, time.Now().Add(time.Duration(out.Data.Expires)*time.Second)
	return c.token, nil
}

// send makes a request. Its error says whether the CRM may have done what it asks for.
func (c *client) send(ctx context.Context, method, path string, header http.Header, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e := *sdk.AsError(err)
		if e.Class == sdk.ClassSystem { // not one of the host's way out
			e.Class, e.Code = sdk.ClassTransient, "no_answer"
		}
		return &e
	}
	defer func() { _ = resp.Body.Close() }()
	if raw, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return &sdk.Error{Class: sdk.ClassTransient, Code: "no_answer", Message: "no whole answer: " + err.Error()}
	}
	if err := json.Unmarshal(raw, into); err != nil && resp.StatusCode < 300 {
		return &sdk.Error{Class: sdk.ClassRemote, Code: "bad_answer", Message: "the answer is no JSON"}
	}
	return c.refused(resp.StatusCode, path)
}

// refused says what a status means; nil of success.
func (c *client) refused(status int, path string) error {
	e := &sdk.Error{Class: sdk.ClassRemote, Code: fmt.Sprintf("http_%d", status), Message: fmt.Sprintf("the CRM answers %d to %s", status, path), Safe: true}
	switch {
	case status < 300:
		return nil
	case status == http.StatusUnauthorized:
		if path != "/login" { // the next attempt logs in
			c.mu.Lock()
			defer c.mu.Unlock()
			c.until, e.Class = time.Time{}, sdk.ClassTransient
			return e
		}
		e.Class = sdk.ClassAuth
	case status == http.StatusServiceUnavailable: // as this CRM says: nothing was done
		e.Class = sdk.ClassTransient
	case status >= 500:
		e.Class, e.Safe = sdk.ClassTransient, false
	default:
		e.Class = sdk.ClassConfig // sending it again would not help
	}
	return e
}
