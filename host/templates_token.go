package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/store"
)

// tokens keeps tokens of integrations in the store, sealed.
type tokens struct{ t *templates }

// Token implements endpoint.Tokens.
func (k tokens) Token(ctx context.Context, uid string) (endpoint.Token, error) {
	in, err := k.t.db.IntegrationByUID(ctx, uid)
	if err != nil {
		return endpoint.Token{}, err
	}
	c, err := k.t.db.Credential(ctx, in.ID, tokenName)
	if err != nil {
		return endpoint.Token{}, err
	}
	plain, err := k.t.keys.Open(c.Sealed, in.Tenant, in.UID, tokenName)
	if err != nil {
		return endpoint.Token{}, err
	}
	var token endpoint.Token
	if err := json.Unmarshal(plain, &token); err != nil {
		return endpoint.Token{}, fmt.Errorf("decode token: %w", store.ErrInvalid) // the cause could show it
	}
	k.redact(in, token)
	token.Version = c.Version
	return token, nil
}

// Keep implements endpoint.Tokens.
func (k tokens) Keep(ctx context.Context, uid string, token endpoint.Token) (endpoint.Token, error) {
	in, err := k.t.db.IntegrationByUID(ctx, uid)
	if err != nil {
		return endpoint.Token{}, err
	}
	plain, err := json.Marshal(token)
	if err != nil {
		return endpoint.Token{}, fmt.Errorf("encode token: %w", err)
	}
	k.redact(in, token)
	sealed, err := k.t.keys.Seal(plain, in.Tenant, in.UID, tokenName)
	if err != nil {
		return endpoint.Token{}, err
	}
	c, err := k.t.db.CommitCredential(ctx, in.ID, tokenName, token.Version, sealed, token.ExpiresAt)
	token.Version = c.Version
	return token, err
}

func (k tokens) redact(in store.Integration, token endpoint.Token) {
	k.t.redactor.Keep(in.UID+"/"+tokenName, token.Access, token.Refresh)
}
