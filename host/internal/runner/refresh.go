package runner

import (
	"context"
	"errors"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// refreshKey names a credential.
type refreshKey struct {
	integration int64
	name        string
}

// refresh is a credential being refreshed by one call, while others wait.
type refresh struct {
	by   *services
	done chan struct{} // closed when it is committed or given up
}

// BeginRefresh implements sdk.Host: one call gets the right, the others wait for
// what it commits. A call that ends without a commit loses the right.
func (s *services) BeginRefresh(ctx context.Context, name string, version int64) (sdk.Credential, bool, error) {
	key := refreshKey{s.in.ID, name}
	for {
		if err := s.open(); err != nil {
			return sdk.Credential{}, false, err
		}
		other := s.r.claimRefresh(key, s)
		c, err := s.r.db.Credential(ctx, s.in.ID, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			s.r.refreshed(key, s)
			return sdk.Credential{}, false, err
		}
		if c.Version > version { // somebody was faster
			s.r.refreshed(key, s)
			out, err := s.unseal(c)
			return out, false, err
		}
		if other == nil {
			if c.Version == 0 {
				return sdk.Credential{}, true, nil
			}
			out, err := s.unseal(c)
			return out, true, err
		}
		select {
		case <-other.done:
		case <-other.by.done:
			s.r.refreshed(key, other.by)
		case <-ctx.Done():
			return sdk.Credential{}, false, context.Cause(ctx)
		}
	}
}

// claimRefresh makes by the one who refreshes, and returns nil, or returns the
// refresh that is under way.
func (r *Runner) claimRefresh(key refreshKey, by *services) *refresh {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.refreshes[key]; have != nil {
		if have.by == by {
			return nil
		}
		return have
	}
	r.refreshes[key] = &refresh{by: by, done: make(chan struct{})}
	return nil
}

// refreshed ends the refresh that by holds, if it does.
func (r *Runner) refreshed(key refreshKey, by *services) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.refreshes[key]; have != nil && have.by == by {
		close(have.done)
		delete(r.refreshes, key)
	}
}
