package screen

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/jackfield/jackfield/store"
)

// The bounds of tickets and sessions.
const (
	ticketLife   = time.Minute
	maxTickets   = 10000
	wrapupGrace  = 15 * time.Minute // after the wrap-up
	sessionLife  = 12 * time.Hour   // whatever the call does
	leftAfter    = 15 * time.Minute // without a request or a stream a session makes room for others
	maxSessions  = 10000
	maxPerTenant = maxSessions / 4
	maxPerCall   = 16 // sessions
	maxPast      = 1000
)

// grant is what a ticket or a session opens.
type grant struct {
	scope Scope
	until time.Time
}

// tickets are those that nobody came with yet, by the hash of their secret.
type tickets struct {
	mu    sync.Mutex // guards grant
	grant map[[sha256.Size]byte]grant
}

// issue returns the secret of a new ticket.
func (t *tickets) issue(s Scope, now time.Time) (secret string, until time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.grant) >= maxTickets {
		t.forget(func(g grant) bool { return !now.Before(g.until) })
	}
	if len(t.grant) >= maxTickets {
		return "", time.Time{}, store.Hint(fmt.Errorf("%w: %d tickets for screens wait to be used", store.ErrLimit, maxTickets), "each is forgotten after a minute")
	}
	secret, until = newSecret(), now.Add(ticketLife)
	t.grant[sha256.Sum256([]byte(secret))] = grant{s, until}
	return secret, until, nil
}

// take returns what a ticket opens, once.
func (t *tickets) take(secret string, now time.Time) (Scope, bool) {
	sum := sha256.Sum256([]byte(secret))
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.grant[sum]
	delete(t.grant, sum)
	return g.scope, ok && now.Before(g.until)
}

// revoke forgets the tickets that match.
func (t *tickets) revoke(match func(Scope) bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.forget(func(g grant) bool { return match(g.scope) })
}

// forget drops tickets. The caller holds mu.
func (t *tickets) forget(which func(grant) bool) (n int) {
	for sum, g := range t.grant {
		if which(g) {
			delete(t.grant, sum)
			n++
		}
	}
	return n
}

// newSecret returns 256 random bits as text.
func newSecret() string { return rand.Text() + rand.Text() }
