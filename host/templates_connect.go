package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/jackfield/jackfield/host/internal/api"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/store"
)

// The bounds of connections that wait for their answer.
const (
	connectTime = 10 * time.Minute
	maxConnects = 1_000
)

// connects are connections that wait for the answer of a person. A daemon that is
// started again knows none: the person begins again.
type connects struct {
	mu      sync.Mutex // guards byState
	byState map[string]connecting
}

// connecting is one of them.
type connecting struct {
	uid, redirect, verifier string
	until                   time.Time
}

// add keeps a connection; false if there are too many.
func (c *connects) add(state string, one connecting, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.byState, func(_ string, o connecting) bool { return !now.Before(o.until) })
	if len(c.byState) >= maxConnects {
		return false
	}
	if c.byState == nil {
		c.byState = map[string]connecting{}
	}
	c.byState[state] = one
	return true
}

// take returns the connection of an integration, which is gone then.
func (c *connects) take(state, uid string, now time.Time) (connecting, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.byState[state]
	if !ok || one.uid != uid || !now.Before(one.until) {
		return connecting{}, false
	}
	delete(c.byState, state)
	return one, true
}

var _ api.Connects = (*templates)(nil)

// BeginConnect implements api.Connects.
func (t *templates) BeginConnect(_ context.Context, in store.Integration, redirect string) (api.Connect, error) {
	of, err := t.connectable(in)
	if err != nil {
		return api.Connect{}, err
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return api.Connect{}, err
	}
	now := time.Now()
	out := api.Connect{State: base64.RawURLEncoding.EncodeToString(raw), ExpiresAt: now.Add(connectTime)}
	one := connecting{uid: in.UID, redirect: redirect, verifier: endpoint.NewVerifier(), until: out.ExpiresAt}
	if out.URL, err = t.engine.Authorize(of, redirect, out.State, one.verifier); err != nil {
		return api.Connect{}, endpointError(err)
	}
	if !t.connects.add(out.State, one, now) {
		return api.Connect{}, fmt.Errorf("connect %s: %d connections wait already: %w", in.FullName(), maxConnects, store.ErrLimit)
	}
	return out, nil
}

// FinishConnect implements api.Connects.
func (t *templates) FinishConnect(ctx context.Context, in store.Integration, state, code string) error {
	of, err := t.connectable(in)
	if err != nil {
		return err
	}
	one, ok := t.connects.take(state, in.UID, time.Now())
	if !ok {
		return store.Hint(fmt.Errorf("connect %s: its state: %w", in.FullName(), store.ErrNotFound), "begin again: an answer is taken once, for 10 minutes")
	}
	if err := t.engine.Connect(ctx, of, one.redirect, code, one.verifier); err != nil {
		return endpointError(err)
	}
	t.chains.Forget(in.UID)
	if in.State != store.IntegrationNeedsReconnect {
		return nil
	}
	err = t.db.SetIntegrationState(ctx, in.ID, store.IntegrationActive, "")
	if errors.Is(err, store.ErrConflict) { // it was disabled meanwhile
		return nil
	}
	return err
}

// connectable makes an integration ready to be connected, whatever its state.
func (t *templates) connectable(in store.Integration) (endpoint.Integration, error) {
	if !in.RemovedAt.IsZero() {
		return endpoint.Integration{}, callable(in)
	}
	of, _, err := t.integration(in, api.EndpointGiven{})
	return of, err
}
