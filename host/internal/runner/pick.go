package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// maxPick is how many keys may be picked from.
const maxPick = 1000

// Pick implements sdk.Host.
func (s *services) Pick(ctx context.Context, keys []string) (string, error) {
	if err := s.open(); err != nil {
		return "", err
	}
	if len(keys) == 0 || len(keys) > maxPick {
		return "", &sdk.Error{Class: sdk.ClassSystem, Code: "bad_pick", Message: fmt.Sprintf("%d keys to pick from; 1 to %d are allowed", len(keys), maxPick)}
	}
	held, err := s.r.db.Throttles(ctx, s.in.Plugin, keys)
	if err != nil {
		return "", err
	}
	if key, ok := s.r.rotate(s.in.ID, keys, held); ok {
		return key, nil
	}
	first := held[keys[0]]
	for _, until := range held {
		if until.Before(first) {
			first = until
		}
	}
	e := sdk.RateLimitedUntil(first)
	e.Code, e.Message, e.Safe = "keys_exhausted", fmt.Sprintf("all %d keys are held back by rate limits", len(keys)), true
	return "", e
}

// rotate returns the next key of the integration's rotation that is not held back.
func (r *Runner) rotate(integration int64, keys []string, held map[string]time.Time) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	turn := r.turns[integration]
	for i := range keys {
		key := keys[(turn+i)%len(keys)]
		if _, waits := held[key]; !waits {
			r.turns[integration] = (turn + i + 1) % len(keys)
			return key, true
		}
	}
	return "", false
}
