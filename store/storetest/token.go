package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K20, X01
func testTokens(t *testing.T, setup func(*testing.T) *world) {
	sum := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	reader := store.Token{Name: "reader", Scopes: []store.Scope{store.ScopeRead}}

	t.Run("FoundBySum", func(t *testing.T) {
		w := setup(t)
		w.create("one")
		want := store.Token{
			Name: "crm", Tenant: "acme", Scopes: []store.Scope{store.ScopeRead, store.ScopeCall},
			ExpiresAt: w.clock.Now().Add(time.Hour).Truncate(time.Millisecond),
		}
		made, err := w.s.CreateToken(w.ctx(), want, sum(1), "test")
		require.NoError(t, err)
		want.ID, want.CreatedAt = made.ID, made.CreatedAt
		require.Equal(t, want, made)
		got, err := w.s.TokenBySum(w.ctx(), sum(1))
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = w.s.TokenBySum(w.ctx(), sum(2))
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.s.Token(w.ctx(), made.ID+1)
		require.ErrorIs(t, err, store.ErrNotFound)

		require.True(t, got.Valid(w.clock.Now()))
		require.False(t, got.Valid(got.ExpiresAt))
		require.True(t, got.Allows(store.ScopeCall))
		require.False(t, got.Allows(store.ScopeOperate))
	})

	t.Run("ListedByTenant", func(t *testing.T) {
		w := setup(t)
		w.create("one")
		all, err := w.s.CreateToken(w.ctx(), reader, sum(1), "test")
		require.NoError(t, err)
		narrow := reader
		narrow.Tenant = "acme"
		theirs, err := w.s.CreateToken(w.ctx(), narrow, sum(2), "test")
		require.NoError(t, err)
		list := func(f store.TokenFilter) []store.Token {
			list, err := w.s.Tokens(w.ctx(), f)
			require.NoError(t, err)
			return list
		}
		require.Equal(t, []store.Token{all, theirs}, list(store.TokenFilter{}))
		require.Equal(t, []store.Token{theirs}, list(store.TokenFilter{Tenant: "acme"}))
		require.Empty(t, list(store.TokenFilter{Tenant: "globex"}))
		require.Equal(t, []store.Token{theirs}, list(store.TokenFilter{After: all.ID}))
		require.Equal(t, []store.Token{all}, list(store.TokenFilter{Limit: 1}))
	})

	t.Run("Refused", func(t *testing.T) {
		w := setup(t)
		for name, token := range map[string]store.Token{
			"no name":       {Scopes: reader.Scopes},
			"no scope":      {Name: "reader"},
			"unknown scope": {Name: "reader", Scopes: []store.Scope{"all"}},
		} {
			_, err := w.s.CreateToken(w.ctx(), token, sum(1), "test")
			require.ErrorIs(t, err, store.ErrInvalid, name)
		}
		_, err := w.s.CreateToken(w.ctx(), reader, []byte("in clear"), "test")
		require.ErrorIs(t, err, store.ErrInvalid)
		_, err = w.s.CreateToken(w.ctx(), store.Token{Name: "crm", Tenant: "nobody", Scopes: reader.Scopes}, sum(1), "test")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.s.RevokeToken(w.ctx(), 1, "test")
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("RevokedOnce", func(t *testing.T) {
		w := setup(t)
		made, err := w.s.CreateToken(w.ctx(), reader, sum(1), "test")
		require.NoError(t, err)
		revoked, err := w.s.RevokeToken(w.ctx(), made.ID, "test")
		require.NoError(t, err)
		require.False(t, revoked.Valid(w.clock.Now()))
		w.clock.add(time.Hour)
		again, err := w.s.RevokeToken(w.ctx(), made.ID, "test")
		require.NoError(t, err)
		require.Equal(t, revoked, again)
		events, err := w.s.RecentEvents(w.ctx(), store.EventFilter{Kind: "token"})
		require.NoError(t, err)
		require.Len(t, events, 2, "one for each that was done")
		require.Equal(t, []string{store.CodeTokenRevoked, store.CodeTokenCreated}, []string{events[0].Kind, events[1].Kind})
		for _, e := range events {
			require.JSONEq(t, fmt.Sprintf(`{"id": %d, "name": "reader", "scopes": ["read"], "by": "test"}`, made.ID), string(e.Data))
		}
		w.clock.add(store.KeepOldTokens)
		_, err = w.s.CreateToken(w.ctx(), reader, sum(2), "test")
		require.NoError(t, err)
		_, err = w.s.Token(w.ctx(), made.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "the old one made room")
	})

	t.Run("UsedToTheHour", func(t *testing.T) {
		w := setup(t)
		made, err := w.s.CreateToken(w.ctx(), reader, sum(1), "test")
		require.NoError(t, err)
		at := w.clock.Now()
		for _, when := range []time.Time{at, at.Add(-2 * time.Hour)} { // a late one changes nothing
			require.NoError(t, w.s.UseToken(w.ctx(), made.ID, when))
			got, err := w.s.Token(w.ctx(), made.ID)
			require.NoError(t, err)
			require.True(t, got.UsedAt.Equal(at.Truncate(time.Hour)), got.UsedAt)
		}
	})

	t.Run("GoesWithItsTenant", func(t *testing.T) {
		w := setup(t)
		i := w.create("one")
		token := reader
		token.Tenant = "acme"
		made, err := w.s.CreateToken(w.ctx(), token, sum(1), "test")
		require.NoError(t, err)
		require.NoError(t, w.s.ApplyChanges(w.ctx(), []store.Change{{Op: store.ChangeRemove, UID: i.UID}}))
		require.NoError(t, w.s.DeleteTenant(w.ctx(), "acme"))
		_, err = w.s.Token(w.ctx(), made.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		w.create("one") // a tenant of that name again
		_, err = w.s.TokenBySum(w.ctx(), sum(1))
		require.ErrorIs(t, err, store.ErrNotFound, "of the one before")
	})
}
