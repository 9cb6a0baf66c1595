package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/jackfield/jackfield/store"
)

// tokenStore is what the API keeps of tokens.
type tokenStore interface {
	CreateToken(ctx context.Context, token store.Token, sum []byte, by string) (store.Token, error)
	Tokens(ctx context.Context, f store.TokenFilter) ([]store.Token, error)
	Token(ctx context.Context, id int64) (store.Token, error)
	TokenBySum(ctx context.Context, sum []byte) (store.Token, error)
	UseToken(ctx context.Context, id int64, at time.Time) error
	RevokeToken(ctx context.Context, id int64, by string) (store.Token, error)
}

// Caller is who uses the API.
type Caller struct {
	// Daemon says that it has the daemon's own token, and may do all.
	Daemon bool
	Token  store.Token // of somebody else
}

// Tenant is the only one whose things the caller may see; empty: it may see all.
func (c Caller) Tenant() string { return c.Token.Tenant }

// Allows reports whether the caller has a scope.
func (c Caller) Allows(s store.Scope) bool { return c.Daemon || c.Token.Allows(s) }

// String names the caller for the log.
func (c Caller) String() string {
	switch {
	case c.Daemon:
		return TokenName
	case c.Token.ID == 0:
		return "nobody"
	default:
		return "token " + strconv.FormatInt(c.Token.ID, 10)
	}
}

// callerKey is where a context has its caller.
type callerKey struct{}

// callerOf returns who calls; nobody, who may do nothing, outside of a call.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Identify returns whom a token belongs to: store.ErrNotFound for one that is unknown,
// over or revoked.
func (s *Server) Identify(ctx context.Context, token string) (Caller, error) {
	if s.Authorized(token) {
		return Caller{Daemon: true}, nil
	}
	if token == "" {
		return Caller{}, store.ErrNotFound
	}
	sum := sha256.Sum256([]byte(token))
	found, err := s.deps.Store.TokenBySum(ctx, sum[:]) // what is compared there is no secret
	if err != nil {
		return Caller{}, err
	}
	now := s.opts.Now()
	if !found.Valid(now) {
		return Caller{}, store.ErrNotFound
	}
	s.used.note(ctx, s, found, now)
	return Caller{Token: found}, nil
}

// uses remembers which uses of tokens were noted, so that each is once in an hour.
type uses struct {
	mu   sync.Mutex // guards last
	last map[int64]time.Time
}

// note keeps that a token is used. That it cannot be kept is no reason to refuse it.
func (u *uses) note(ctx context.Context, s *Server, t store.Token, now time.Time) {
	hour := now.Truncate(store.TokenUseGrain)
	if !t.UsedAt.Before(hour) {
		return
	}
	u.mu.Lock()
	noted := !u.last[t.ID].Before(hour)
	if u.last == nil || len(u.last) > store.MaxTokens {
		u.last = map[int64]time.Time{}
	}
	u.last[t.ID] = hour
	u.mu.Unlock()
	if noted {
		return
	}
	if err := s.deps.Store.UseToken(ctx, t.ID, now); err != nil && !errors.Is(err, context.Canceled) {
		s.log.Debug("the use of a token is not noted", "token", t.ID, "error", err)
	}
}
