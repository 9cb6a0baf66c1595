package api

import (
	"context"
	"time"

	"github.com/jackfield/jackfield/store"
)

func (f *fakeStore) CreateToken(_ context.Context, t store.Token, sum []byte, _ string) (store.Token, error) {
	return locked(f, func() (store.Token, error) {
		t.ID = int64(len(f.tokens) + 1)
		f.tokens = append(f.tokens, t)
		if f.sums == nil {
			f.sums = map[string]int64{}
		}
		f.sums[string(sum)] = t.ID
		return t, nil
	})
}

func (f *fakeStore) Tokens(_ context.Context, q store.TokenFilter) ([]store.Token, error) {
	return locked(f, func() ([]store.Token, error) {
		return pick(f.tokens, q.Limit, func(t store.Token) bool { return t.ID > q.After && (q.Tenant == "" || t.Tenant == q.Tenant) }), nil
	})
}

func (f *fakeStore) Token(_ context.Context, id int64) (store.Token, error) {
	return locked(f, func() (store.Token, error) {
		return one(f.tokens, func(t store.Token) bool { return t.ID == id })
	})
}

func (f *fakeStore) TokenBySum(_ context.Context, sum []byte) (store.Token, error) {
	return locked(f, func() (store.Token, error) {
		return one(f.tokens, func(t store.Token) bool { return t.ID == f.sums[string(sum)] })
	})
}

func (f *fakeStore) UseToken(_ context.Context, id int64, at time.Time) error {
	_, err := f.setToken(id, func(t *store.Token) { t.UsedAt = at.Truncate(store.TokenUseGrain) })
	return err
}

func (f *fakeStore) RevokeToken(_ context.Context, id int64, _ string) (store.Token, error) {
	return f.setToken(id, func(t *store.Token) { t.RevokedAt = time.Unix(1, 0) })
}

func (f *fakeStore) setToken(id int64, change func(*store.Token)) (store.Token, error) {
	return locked(f, func() (store.Token, error) {
		for i := range f.tokens {
			if f.tokens[i].ID == id {
				change(&f.tokens[i])
				return f.tokens[i], nil
			}
		}
		return store.Token{}, store.ErrNotFound
	})
}
