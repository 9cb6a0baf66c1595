package store

import (
	"slices"
	"time"
)

// Scope is a right that a token gives.
type Scope string

// The scopes of tokens. Each gives what it says and no more, but that admin gives
// all.
const (
	ScopeRead    Scope = "read"    // to see what there is
	ScopeCall    Scope = "call"    // to tell of calls, and to call the endpoints of templates
	ScopeOperate Scope = "operate" // to start, stop and repeat work
	ScopeAdmin   Scope = "admin"   // to delete, and to say who may do what
)

// Scopes returns all scopes, the least first.
func Scopes() []Scope { return []Scope{ScopeRead, ScopeCall, ScopeOperate, ScopeAdmin} }

// Token opens the API to a program. What opens it is told once, and kept as its
// SHA-256 alone.
type Token struct {
	ID        int64
	Name      string // for people
	Tenant    string // that it is for; empty: for all
	Scopes    []Scope
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	UsedAt    time.Time // to the hour; zero: never
	RevokedAt time.Time // zero: it was not
}

// Allows reports whether the token has the scope.
func (t Token) Allows(s Scope) bool {
	return slices.Contains(t.Scopes, s) || slices.Contains(t.Scopes, ScopeAdmin)
}

// Valid reports whether the token opens anything at now.
func (t Token) Valid(now time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}

// The events of tokens. Their data is the token's id, name, scopes, tenant and end, and
// who did it: by.
const (
	CodeTokenCreated = "token.created"
	CodeTokenRevoked = "token.revoked"
)

// TokenFilter selects tokens.
type TokenFilter struct {
	Tenant string // only this one's
	Limit  int    // 100 if zero
	After  int64  // id
}

// Caps on tokens.
const (
	MaxTokens     = 10_000              // that are valid
	MaxTokenName  = 63                  // bytes
	KeepOldTokens = 30 * 24 * time.Hour // those that are not valid any more
	TokenUseGrain = time.Hour           // of UsedAt
)
