package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// link says where Jackfield is, and which integration this CRM is there.
type link struct {
	URL         string `json:"jackfield"`
	Token       string `json:"token"` // with the scopes read and call
	Tenant      string `json:"tenant"`
	Integration string `json:"integration"`
	Agent       string `json:"agent"`
	Line        string `json:"line"` // a command that lets it ring, for people
}

// phone is what the CRM's page knows of calls: it asks Jackfield for the newest one and
// for its screen, which the page shows in a frame.
type phone struct {
	origin string // of the CRM's pages
	client *http.Client
	link   atomic.Pointer[link]
}

// recent is how long a call is shown after its last event.
const recent = 15 * time.Minute

var errNoLink = errors.New("nobody has said where Jackfield is")

// listen reads where Jackfield is, a line of JSON each time that changes, until in ends.
func (p *phone) listen(in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var l link
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.URL != "" {
			p.link.Store(&l)
		}
	}
}

// call is one as Jackfield tells of it.
type call struct {
	ID        string    `json:"id"`
	CallID    string    `json:"call_id"`
	State     string    `json:"state"`
	UpdatedAt time.Time `json:"updated_at"`
}

// newest returns the call that is shown, or none.
func (p *phone) newest(ctx context.Context) (call, error) {
	var list struct {
		Calls []call `json:"calls"`
	}
	if err := p.ask(ctx, http.MethodGet, "/calls?page_size=1", nil, &list); err != nil || len(list.Calls) == 0 {
		return call{}, err
	}
	c := list.Calls[0]
	if c.State == "closed" || time.Since(c.UpdatedAt) > recent {
		return call{}, nil
	}
	return c, nil
}

// screen returns an address that shows a call in a frame of this CRM's page, once.
func (p *phone) screen(ctx context.Context, c call) (string, error) {
	var opened struct {
		URL string `json:"url"`
	}
	in := map[string]string{"agent": p.link.Load().Agent, "origin": p.origin}
	err := p.ask(ctx, http.MethodPost, "/calls/"+url.PathEscape(c.CallID)+"/screens", in, &opened)
	return opened.URL, err
}

// info returns what the integration's template says of the CRM's pages.
func (p *phone) info(ctx context.Context) (json.RawMessage, error) {
	var in struct {
		Info json.RawMessage `json:"info"`
	}
	err := p.ask(ctx, http.MethodGet, "", nil, &in)
	return in.Info, err
}

// dial begins a call to a number.
func (p *phone) dial(ctx context.Context, number string, user map[string]string) error {
	event := map[string]any{
		"type": "call.started", "call_id": "click-" + strings.ToLower(rand.Text()[:8]), "direction": "out", "from": "200", "to": number, "user_info": user,
	}
	if l := p.link.Load(); l != nil {
		event["agent"] = l.Agent
	}
	return p.ask(ctx, http.MethodPost, "/events", event, nil)
}

// ask asks Jackfield's API about the integration.
func (p *phone) ask(ctx context.Context, method, path string, body, into any) error {
	l := p.link.Load()
	if l == nil {
		return errNoLink
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	address := l.URL + "/api/v1/tenants/" + l.Tenant + "/integrations/" + l.Integration + path
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header.Set("Authorization", "Bearer "+l.Token)
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask Jackfield: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if raw, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err != nil {
		return fmt.Errorf("ask Jackfield: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask Jackfield for %s: %s: %.300s", path, resp.Status, raw)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(raw, into)
}
