package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

const (
	// waitInCall is how long a call waits for a bucket or a slot before its stream
	// makes room for others.
	waitInCall = 5 * time.Second
	// maxBucketCalls bounds Bucket.Max.
	maxBucketCalls = 1_000_000
	// idleBuckets is how many buckets are remembered though they are full again.
	idleBuckets = 10_000
)

// bucket grants calls at a rate (GCRA). Its turns come from the store, some at
// once, so that a restart does not fill it anew; what lies between next and end
// is granted here.
type bucket struct {
	mu       sync.Mutex // guards what follows, and the taking of turns
	next     time.Time  // the turn to grant
	end      time.Time  // of the turns that were taken
	promised time.Time  // the last turn for which a stream was told to come back
}

// pace is how a bucket grants: turns each that long, of which burst may be granted
// ahead of their time.
type pace struct {
	every time.Duration
	burst int
}

// paceOf spaces the calls so that no window of b sees more than b.Max of them,
// wherever it begins: a burst, and the rest one by one.
func paceOf(b sdk.Bucket) pace {
	burst := max(b.Max/5, 1)
	// Rounded up: a call too late is none too many.
	every := (b.Window + time.Duration(b.Max-burst)) / time.Duration(b.Max-burst+1)
	return pace{every: max(every, time.Nanosecond), burst: burst}
}

// chunk is how many turns are taken at once: of about a second.
func (p pace) chunk() int {
	return int(min(max(math.Ceil(float64(time.Second)/float64(p.every)), 1), 10_000))
}

// Limit implements sdk.Host.
func (s *services) Limit(ctx context.Context, b sdk.Bucket) error {
	scope, err := s.limitScope(b.Scope, b.Key)
	if err != nil {
		return err
	}
	if b.Max < 1 || b.Max > maxBucketCalls || b.Window < time.Millisecond || b.Window > store.MaxBucketWindow {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "bad_bucket", Message: fmt.Sprintf("bucket %s: %d calls in %v; 1 to %d in 1ms to %v are allowed", b.Key, b.Max, b.Window, maxBucketCalls, store.MaxBucketWindow)}
	}
	wait, err := s.r.bucket(scope, b.Key).take(ctx, s.r, scope, b)
	if err != nil || wait <= 0 {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.done:
		return s.open()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// limitScope is cacheScope for buckets and slots.
func (s *services) limitScope(scope sdk.CacheScope, key string) (string, error) {
	name, err := s.cacheScope(scope, key)
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		switch e.Code {
		case "bad_cache_key":
			e.Code, e.Message = "bad_limit_key", fmt.Sprintf("the key of a bucket or slot has 1 to %d bytes", maxCacheKey)
		case "bad_cache_scope":
			e.Code, e.Message = "bad_limit_scope", fmt.Sprintf("no scope %q", scope)
		}
	}
	return name, err
}

// bucketKey names a bucket.
type bucketKey struct{ scope, key string }

func (r *Runner) bucket(scope, key string) *bucket {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := bucketKey{scope, key}
	b := r.buckets[name]
	if b == nil {
		if len(r.buckets) >= idleBuckets {
			r.forgetBuckets()
		}
		b = &bucket{}
		r.buckets[name] = b
	}
	return b
}

// forgetBuckets drops the buckets that nobody uses and that the store knows as
// well. The caller holds mu.
func (r *Runner) forgetBuckets() {
	now := r.opts.Now()
	for name, b := range r.buckets {
		if b.mu.TryLock() {
			if b.end.Before(now) {
				delete(r.buckets, name)
			}
			b.mu.Unlock()
		}
	}
}

// take grants a call and returns how long to wait for it. If that is too long it
// grants none and says when to come back: each caller at a time of its own.
func (b *bucket) take(ctx context.Context, r *Runner, scope string, of sdk.Bucket) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := paceOf(of)
	now := r.opts.Now()
	turn := later(b.next, now)
	if turn.Add(p.every).After(b.end) {
		from, err := r.db.TakeTurns(ctx, scope, of.Key, p.every, p.chunk())
		if errors.Is(err, store.ErrLimit) {
			return 0, &sdk.Error{Class: sdk.ClassSystem, Code: "too_many_buckets", Message: fmt.Sprintf("bucket %s: more than %d buckets of a scope are in use", of.Key, store.MaxBuckets), Cause: err}
		}
		if err != nil {
			return 0, err
		}
		turn = later(from, turn)
		b.next, b.end = turn, from.Add(time.Duration(p.chunk())*p.every)
	}
	ahead := time.Duration(p.burst-1) * p.every
	wait := turn.Add(-ahead).Sub(now)
	if wait > waitInCall {
		b.promised = later(turn, b.promised.Add(p.every))
		e := sdk.RateLimitedUntil(b.promised.Add(-ahead))
		e.Code, e.Message, e.Safe = "bucket_empty", fmt.Sprintf("bucket %s: %d calls in %v are used up", of.Key, of.Max, of.Window), true
		e.Limit.Key = "bucket:" + of.Key // nobody else waits for it
		return 0, e
	}
	b.next = turn.Add(p.every)
	return wait, nil
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
