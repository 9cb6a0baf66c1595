package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// tokenPrefix lets those who look for secrets in texts find tokens.
const tokenPrefix = "jft_"

type tokenService struct {
	hostv1.UnimplementedTokenServiceServer
	*Server
}

// CreateToken makes a token and answers it once.
func (s *tokenService) CreateToken(ctx context.Context, req *hostv1.CreateTokenRequest) (*hostv1.CreateTokenResponse, error) {
	t, err := s.wanted(req)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, tokenBytes)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	secret := tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(secret))
	t, err = s.deps.Store.CreateToken(ctx, t, sum[:], callerOf(ctx).String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("tenant", req.GetTenant(), "jackfield tenant list")
	}
	if err != nil {
		return nil, err
	}
	s.log.Info("token created", "id", t.ID, "name", t.Name, "tenant", t.Tenant, "scopes", t.Scopes, "by", callerOf(ctx).String())
	return &hostv1.CreateTokenResponse{Token: token(t, s.opts.Now()), Secret: secret}, nil
}

// wanted reads what is asked for.
func (s *tokenService) wanted(req *hostv1.CreateTokenRequest) (store.Token, error) {
	t := store.Token{Name: req.GetName(), Tenant: req.GetTenant()}
	var wrong []FieldError
	if t.Name == "" || len(t.Name) > store.MaxTokenName {
		wrong = append(wrong, FieldError{"name", "1 to 63 bytes that say what it is for"})
	}
	known := make([]string, len(store.Scopes()))
	for i, scope := range store.Scopes() {
		known[i] = string(scope)
		if slices.Contains(req.GetScopes(), known[i]) {
			t.Scopes = append(t.Scopes, scope)
		}
	}
	if len(t.Scopes) == 0 || slices.ContainsFunc(req.GetScopes(), func(s string) bool { return !slices.Contains(known, s) }) {
		wrong = append(wrong, FieldError{"scopes", "one or more of " + strings.Join(known, ", ")})
	}
	if at := req.GetExpiresAt(); at != nil {
		t.ExpiresAt = at.AsTime()
		if at.CheckValid() != nil || !t.ExpiresAt.After(s.opts.Now()) {
			wrong = append(wrong, FieldError{"expires_at", "a time to come"})
		}
	}
	if len(wrong) > 0 {
		return t, &Error{Kind: KindInvalid, Message: "no such token can be made: " + wrong[0].Field + ": " + wrong[0].Message, Fields: wrong}
	}
	return t, nil
}

// ListTokens returns a page of them.
func (s *tokenService) ListTokens(ctx context.Context, req *hostv1.ListTokensRequest) (*hostv1.ListTokensResponse, error) {
	after, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.Tokens(ctx, store.TokenFilter{Tenant: req.GetTenant(), Limit: size + 1, After: after})
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(t store.Token) int64 { return t.ID })
	now := s.opts.Now()
	return &hostv1.ListTokensResponse{Tokens: convert(list, func(t store.Token) *hostv1.Token { return token(t, now) }), Next: next}, nil
}

// RevokeToken ends a token at once.
func (s *tokenService) RevokeToken(ctx context.Context, req *hostv1.RevokeTokenRequest) (*hostv1.RevokeTokenResponse, error) {
	id, err := parseID("token", req.GetId())
	if err != nil {
		return nil, err
	}
	t, err := s.deps.Store.RevokeToken(ctx, id, callerOf(ctx).String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("token", req.GetId(), "jackfield token list")
	}
	if err != nil {
		return nil, err
	}
	s.log.Info("token revoked", "id", t.ID, "name", t.Name, "tenant", t.Tenant, "by", callerOf(ctx).String())
	return &hostv1.RevokeTokenResponse{Token: token(t, s.opts.Now())}, nil
}

func token(t store.Token, now time.Time) *hostv1.Token {
	out := &hostv1.Token{
		Id: idText(t.ID), Name: t.Name, Tenant: t.Tenant, State: "valid",
		CreatedAt: timestamp(t.CreatedAt), ExpiresAt: timestamp(t.ExpiresAt), UsedAt: timestamp(t.UsedAt), RevokedAt: timestamp(t.RevokedAt),
	}
	for _, scope := range t.Scopes {
		out.Scopes = append(out.Scopes, string(scope))
	}
	switch {
	case !t.RevokedAt.IsZero():
		out.State = "revoked"
	case !t.Valid(now):
		out.State = "expired"
	}
	return out
}
